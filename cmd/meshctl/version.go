package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/internal/version"
	"github.com/meshctl/meshctl/pkg/inject/profile"
)

type versionOptions struct {
	streams genericiooptions.IOStreams
	output  string
}

func newVersionCmd(streams genericiooptions.IOStreams, runF func(context.Context, *versionOptions) error) *cobra.Command {
	o := &versionOptions{streams: streams}
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of meshctl and of the Istio that it injects",
		Example: "  meshctl version -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != "text" && o.output != "json" {
				return usagef(cmd, "output %q: expected text or json", o.output)
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "format: text or json")
	return cmd
}

func (o *versionOptions) run(context.Context) error {
	info := version.Read(release)
	if o.output == "json" {
		return printer.JSON(o.streams.Out, struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			version.Info
			Istio string `json:"istio"`
		}{apiVersion, "Version", info, profile.IstioVersion})
	}
	return printer.Lines(o.streams.Out, fmt.Sprintf("meshctl %s (%s), injects Istio %s", info.Version, info.Go, profile.IstioVersion))
}
