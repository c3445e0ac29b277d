package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// execute runs one command line. Standard output carries the product and
// nothing else; reports, warnings and errors go to standard error.
func execute(ctx context.Context, streams genericiooptions.IOStreams, program string, args []string) exitCode {
	root := newRootCmd(streams)
	if strings.HasPrefix(filepath.Base(program), "kubectl-mesh") {
		// As a plugin of kubectl it is called by another name.
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mesh"}
	}
	root.SetArgs(args)
	return report(streams.ErrOut, root.ExecuteContext(ctx))
}

func newRootCmd(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:   "meshctl",
		Short: "Secure an Istio mesh without a cluster",
		Long: `meshctl injects sidecars into manifests, tells what the mesh's policies do with a
request, tests and explains them, and shows what Envoy would be told: offline.

It touches no network and no kubeconfig unless a flag asks for it. Every flag
can also be set as MESHCTL_<FLAG> in the environment, or in .meshctl.yaml, the
nearest one upwards from the current directory, then in the user's
configuration directory.

Exit status: 0 done, 1 the answer is no, 2 could not answer, 3 answered in part.`,
		Args:         noArgs,
		SilenceUsage: true,

		SuggestionsMinimumDistance: 2,

		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return applySettings(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flag of a mistyped command is unknown too; the command is the fault.
		if args := cmd.Flags().Args(); cmd.HasSubCommands() && cmd.Args != nil && cmd.Args(cmd, args) != nil {
			return cmd.Args(cmd, args)
		}
		return usageError{err, cmd.CommandPath()}
	})
	root.AddCommand(
		newInjectCmd(streams, nil),
		newUninjectCmd(streams, nil),
		newKubeInjectCmd(streams, nil),
		newAnalyzeCmd(streams, nil),
		newExplainCodeCmd(streams, nil),
		newPolicyCmd(streams),
		newDescribeCmd(streams),
		newEnvoyCmd(streams),
		newCACmd(streams),
		newCertCmd(streams),
		newVersionCmd(streams, nil),
		newDocsCmd(streams, root),
	)
	return root
}

// noArgs refuses arguments, and explains what may have been meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = cmd.Root().SuggestionsMinimumDistance // cobra asks each command for its own
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef(cmd, "unknown command %q for %q: did you mean %s?", args[0], cmd.CommandPath(), strings.Join(near, " or "))
	}
	switch {
	case cmd.HasSubCommands():
		return usagef(cmd, "unknown command %q for %q", args[0], cmd.CommandPath())
	case cmd.Flags().Lookup("filename") != nil:
		return usagef(cmd, "unexpected argument %q: files are given with -f", args[0])
	default:
		return usagef(cmd, "unexpected argument %q", args[0])
	}
}
