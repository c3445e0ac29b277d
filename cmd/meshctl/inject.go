package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/inject"
)

type injectOptions struct {
	streams  genericiooptions.IOStreams
	input    inputFlags
	injector injectorFlags
	output   outputFlags
	clean    bool
}

func newInjectCmd(streams genericiooptions.IOStreams, runF func(context.Context, *injectOptions) error) *cobra.Command {
	o := &injectOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "inject -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Add the sidecar to workloads",
		Long: `Add the Istio sidecar to the workloads of manifests.

Without configuration it adds the sidecar of a current Istio's default profile.
--inject-config, --values and --mesh-config take a cluster's own settings from
files, --from-cluster from a cluster.

What is not a workload passes through. If any document is bad nothing is
printed, every fault is told with its place, and the exit status is 2.`,
		Example: `  # inject and apply
  meshctl inject -f app.yaml | kubectl apply -f -

  # edit the file in place, comments and all
  meshctl inject --preserve --write -f app.yaml

  # with the settings of a cluster, saved once
  kubectl -n istio-system get cm istio-sidecar-injector istio -o yaml > mesh.yaml
  meshctl inject --inject-config mesh.yaml --mesh-config mesh.yaml -f app.yaml`,
		Args: cobra.ArbitraryArgs, // files; explain is a subcommand
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	o.input.register(cmd.Flags())
	o.input.registerSelector(cmd.Flags())
	o.injector.register(cmd.Flags())
	o.output.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.clean, "clean", false, "take an existing sidecar out first, so that nothing of it stays; implied by --preserve")
	cmd.AddCommand(newInjectExplainCmd(streams, nil))
	return cmd
}

func (o *injectOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.input.complete(cmd, args); err != nil {
		return err
	}
	if err := o.injector.validate(cmd); err != nil {
		return err
	}
	return o.output.validate(cmd)
}

func (o *injectOptions) run(ctx context.Context) error {
	injector, err := o.injector.injector(ctx)
	if err != nil {
		return fmt.Errorf("injection config: %w", err)
	}
	if o.clean || o.output.preserve {
		injector.Reinject = inject.Clean
	}
	injector.Selector = o.input.picks
	streams, err := o.input.load(ctx, o.streams.In, o.streams.ErrOut)
	if err != nil {
		return err
	}
	outputs, err := inject.Run(ctx, streams, injector.Document)
	if err != nil {
		return err
	}
	return o.output.emit(ctx, o.streams, outputs)
}
