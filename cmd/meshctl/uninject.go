package main

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/inject"
)

type uninjectOptions struct {
	streams      genericiooptions.IOStreams
	input        inputFlags
	output       outputFlags
	podTemplates []string
}

func newUninjectCmd(streams genericiooptions.IOStreams, runF func(context.Context, *uninjectOptions) error) *cobra.Command {
	o := &uninjectOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "uninject -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Take the sidecar out of workloads",
		Long: `Take the Istio sidecar out of injected workloads.

Probes, Prometheus annotations and the user's own settings of injected
containers come back. After inject --preserve, uninject --preserve gives the
original file back, byte for byte.`,
		Example: `  meshctl uninject -f injected.yaml
  meshctl uninject --preserve --write -f app.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.input.complete(cmd, args); err != nil {
				return err
			}
			if err := o.output.validate(cmd); err != nil {
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
	o.output.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.podTemplates, "pod-template", nil, "kind that was injected too: Kind.group=path; repeatable")
	return cmd
}

func (o *uninjectOptions) run(ctx context.Context) error {
	foreign, err := (&injectorFlags{podTemplates: o.podTemplates}).templates()
	if err != nil {
		return err
	}
	streams, err := o.input.load(ctx, o.streams.In, o.streams.ErrOut)
	if err != nil {
		return err
	}
	outputs, err := inject.Run(ctx, streams, inject.NewUninjector(foreign, o.input.picks).Document)
	if err != nil {
		return err
	}
	return o.output.emit(ctx, o.streams, outputs)
}
