package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/inject/iptables"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

type injectExplainOptions struct {
	streams  genericiooptions.IOStreams
	input    inputFlags
	injector injectorFlags
	workload string
	output   string
	iptables bool
	ipv6     bool
}

func newInjectExplainCmd(streams genericiooptions.IOStreams, runF func(context.Context, *injectExplainOptions) error) *cobra.Command {
	o := &injectExplainOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "explain [KIND/]NAME[.NAMESPACE] -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Tell what decides about a workload's sidecar, and what bypasses it",
		Long: `Tell for a workload what decides about its sidecar: labels, annotations, the
injector's policy and selectors, and the labels of its namespace if the
manifests define it. Then list the traffic that bypasses the sidecar.

Without a name it tells of every workload in the manifests.`,
		Example: `  meshctl inject explain deploy/web -f app.yaml
  meshctl inject explain web.prod -f manifests/ --iptables`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.workload = args[0]
			}
			if err := o.input.complete(cmd, nil); err != nil {
				return err
			}
			if err := o.injector.validate(cmd); err != nil {
				return err
			}
			if o.output != "text" && o.output != "json" {
				return usagef(cmd, "output %q: expected text or json", o.output)
			}
			if o.ipv6 && !o.iptables {
				return usagef(cmd, "--ipv6 is for --iptables")
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
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "format: text or json")
	cmd.Flags().BoolVar(&o.iptables, "iptables", false, "print the rules that istio-init sets up, for iptables-restore")
	cmd.Flags().BoolVar(&o.ipv6, "ipv6", false, "with --iptables: the rules for ip6tables-restore")
	return cmd
}

func (o *injectExplainOptions) run(ctx context.Context) error {
	injector, err := o.injector.injector(ctx)
	if err != nil {
		return fmt.Errorf("injection config: %w", err)
	}
	injector.Selector = o.input.picks
	streams, err := o.input.load(ctx, o.streams.In, o.streams.ErrOut)
	if err != nil {
		return err
	}
	namespaces := namespacesOf(streams)
	found := []inject.Explanation{}
	var problems []error
	for _, s := range streams {
		for d := range s.Documents {
			all, err := injector.Explain(&s.Documents[d], namespaces)
			if err != nil {
				problems = append(problems, err)
			}
			for _, e := range all {
				if o.selects(e) {
					found = append(found, e)
				}
			}
		}
	}
	switch {
	case problems != nil:
		return errors.Join(problems...)
	case len(found) == 0 && o.workload != "":
		return fmt.Errorf("no workload %q in the manifests", o.workload)
	case len(found) == 0 && o.output == "text":
		return errors.New("no workload in the manifests")
	case o.iptables:
		return o.printRules(found)
	case o.output == "json":
		return printer.JSON(o.streams.Out, struct {
			APIVersion string               `json:"apiVersion"`
			Kind       string               `json:"kind"`
			Items      []inject.Explanation `json:"items"`
		}{apiVersion, "InjectionExplanation", found})
	}
	for n, e := range found {
		if n > 0 {
			if err := printer.Lines(o.streams.Out, ""); err != nil {
				return err
			}
		}
		if err := printExplanation(o.streams.Out, e); err != nil {
			return err
		}
	}
	return nil
}

// selects tells whether the workload is the one that was asked for.
func (o *injectExplainOptions) selects(e inject.Explanation) bool {
	if o.workload == "" {
		return true
	}
	kind, name, qualified := strings.Cut(o.workload, "/")
	if !qualified {
		kind, name = "", o.workload
	}
	if kind != "" && !mesh.IsKind(kind, e.Object.Kind) {
		return false
	}
	namespace := e.Object.Namespace
	if namespace == "" {
		namespace = "default"
	}
	return name == e.Object.Name || name == e.Object.Name+"."+namespace
}

func (o *injectExplainOptions) printRules(found []inject.Explanation) error {
	family := iptables.IPv4
	if o.ipv6 {
		family = iptables.IPv6
	}
	for _, e := range found {
		title := "# " + e.Object.String()
		switch {
		case e.Capture == nil:
			title += ": no sidecar: " + e.Reason.Describe()
		case e.Capture.Mode == iptables.None:
			title += ": nothing is captured"
		}
		if err := printer.Lines(o.streams.Out, title); err != nil {
			return err
		}
		if e.Capture == nil {
			continue
		}
		if err := iptables.Write(o.streams.Out, e.Capture.Rules(family)); err != nil {
			return err
		}
	}
	return nil
}

func printExplanation(w io.Writer, e inject.Explanation) error {
	verdict := "no sidecar: " + e.Reason.Describe()
	if e.Reason == inject.Injected {
		verdict = fmt.Sprintf("sidecar %s, template %s, revision %s", e.Image, strings.Join(e.Templates, ", "), e.Revision)
	}
	lines := []string{
		fmt.Sprintf("%s (%s)", e.Object, e.Object.Location),
		"  " + verdict,
	}
	if len(e.Steps) > 0 {
		lines = append(lines, "", "  What decides, in this order:")
	}
	for _, s := range e.Steps {
		line := fmt.Sprintf("    %s: %s", s.Test, s.Found)
		if s.Decides {
			line += "  <- decides"
		}
		lines = append(lines, line)
	}
	if e.Webhook.Verdict != "" {
		lines = append(lines, "", fmt.Sprintf("  A cluster's webhook: %s: %s", e.Webhook.Verdict, e.Webhook.Because))
	}
	if len(e.Bypasses) > 0 {
		lines = append(lines, "", "  Bypasses the sidecar:")
	}
	for _, b := range e.Bypasses {
		lines = append(lines, fmt.Sprintf("    %s %s: %s", b.Direction, b.Traffic, b.Why))
	}
	for _, warning := range e.Warnings {
		lines = append(lines, "", "  warning: "+warning)
	}
	return printer.Lines(w, lines...)
}

// namespacesOf collects the labels of the Namespace objects.
func namespacesOf(streams []*manifest.Stream) inject.Namespaces {
	found := inject.Namespaces{}
	type object struct {
		Kind     string
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Items []json.RawMessage
	}
	var collect func(text []byte)
	collect = func(text []byte) {
		var o object
		if json.Unmarshal(text, &o) != nil {
			return // another kind of document: told elsewhere
		}
		if o.Kind == "Namespace" {
			found[o.Metadata.Name] = o.Metadata.Labels
		}
		for _, item := range o.Items {
			collect(item)
		}
	}
	for _, s := range streams {
		for _, d := range s.Documents {
			if text, err := yaml.YAMLToJSON(d.Text); err == nil {
				collect(text)
			}
		}
	}
	return found
}
