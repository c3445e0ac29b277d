package main

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func newPolicyCmd(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   "Ask what the mesh's policies do",
		Example: "  meshctl policy simulate -f manifests/ --requests requests.jsonl",
		Args:    noArgs,

		SuggestionsMinimumDistance: 2,

		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimulateCmd(streams, nil), newPolicyTestCmd(streams, nil), newCoverageCmd(streams, nil), newPolicyExplainCmd(streams, nil))
	return cmd
}
