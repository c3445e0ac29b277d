package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

type envoyShowOptions struct {
	streams  genericiooptions.IOStreams
	workload string
	parts    []string
	output   formatFlag[overview]
	dump     string
	now      func() time.Time
}

// overview is what a proxy was told, as it is printed.
type overview struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Workload   string        `json:"workload,omitempty"`
	Tables     []envoy.Table `json:"tables"`
	Policy     []string      `json:"policy,omitempty"`
}

// overviewParts are what --part takes.
func overviewParts() []string {
	return []string{"listeners", "clusters", "routes", "endpoints", "secrets", "policy"}
}

func newEnvoyShowCmd(streams genericiooptions.IOStreams, runF func(context.Context, *envoyShowOptions) error) *cobra.Command {
	o := &envoyShowOptions{streams: streams, now: time.Now}
	o.output.formats = []format[overview]{
		{"table", printOverview},
		{"json", func(w io.Writer, v overview) error { return printer.JSON(w, v) }},
		{"yaml", func(w io.Writer, v overview) error { return printer.YAML(w, v) }},
	}
	cmd := &cobra.Command{
		Use:   "show DUMP",
		Short: "Tell what a proxy was told",
		Long: `Show a configuration in the tables of istioctl proxy-config, and what it enforces
in words. It is a config dump of any Envoy (/config_dump, or istioctl proxy-config
all -o json), or what "meshctl envoy config" printed; "-" reads standard input.
Keys are never shown.

Exit status: 0 shown; 2 the input cannot be read.`,
		Example: `  meshctl envoy show config_dump.json
  meshctl envoy show config_dump.json --part listeners,policy`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run()
		},
	}
	cmd.Flags().StringVar(&o.workload, "workload", "", "whose configuration, if there are several: NAMESPACE/NAME")
	cmd.Flags().StringSliceVar(&o.parts, "part", nil, "show only: "+strings.Join(overviewParts(), ", ")+"; repeatable")
	o.output.register(cmd.Flags())
	return cmd
}

func (o *envoyShowOptions) complete(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef(cmd, "expected one configuration, got %d", len(args))
	}
	for _, part := range o.parts {
		if !slices.Contains(overviewParts(), part) {
			return usagef(cmd, "part %q: expected %s", part, strings.Join(overviewParts(), ", "))
		}
	}
	o.dump = args[0]
	return o.output.validate(cmd)
}

func (o *envoyShowOptions) run() error {
	d, err := readDump(o.streams, o.dump, o.workload)
	if err != nil {
		return err
	}
	wanted := func(part string) bool { return o.parts == nil || slices.Contains(o.parts, part) }
	v := overview{APIVersion: apiVersion, Kind: "EnvoyOverview", Workload: d.Workload, Tables: []envoy.Table{}}
	for _, t := range d.Tables(o.now()) {
		if wanted(t.Name) {
			v.Tables = append(v.Tables, t)
		}
	}
	if wanted("policy") {
		v.Policy = diff.Describe(d)
	}
	return o.output.emit(o.streams.Out, v)
}

func printOverview(w io.Writer, v overview) error {
	for i, t := range v.Tables {
		if i > 0 {
			if err := printer.Lines(w, ""); err != nil {
				return err
			}
		}
		rows := make([][]string, len(t.Rows))
		for i, row := range t.Rows {
			for _, cell := range row {
				rows[i] = append(rows[i], clean(cell))
			}
		}
		if err := printer.Table(w, t.Columns, rows); err != nil {
			return err
		}
	}
	if len(v.Policy) == 0 {
		return nil
	}
	lines := []string{"POLICY"}
	if len(v.Tables) > 0 {
		lines = []string{"", "POLICY"}
	}
	for _, line := range v.Policy {
		lines = append(lines, clean(line))
	}
	return printer.Lines(w, lines...)
}
