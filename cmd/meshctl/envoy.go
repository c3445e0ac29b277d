package main

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func newEnvoyCmd(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "envoy",
		Short:   "Generate, compare, read, question and run the Envoy configuration of sidecars",
		Example: "  meshctl envoy config -f manifests/ --workload shop/web\n  meshctl envoy diff HEAD~1:deploy/ deploy/",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEnvoyConfigCmd(streams, nil), newEnvoyDiffCmd(streams, nil), newEnvoyEvalCmd(streams, nil), newEnvoyRunCmd(streams, nil), newEnvoyShowCmd(streams, nil))
	return cmd
}
