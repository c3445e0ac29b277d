package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/policy"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type policyExplainOptions struct {
	streams  genericiooptions.IOStreams
	snapshot snapshotFlags
	output   formatFlag[policy.Explanation]
	subject  string
}

func newPolicyExplainCmd(streams genericiooptions.IOStreams, runF func(context.Context, *policyExplainOptions) error) *cobra.Command {
	o := &policyExplainOptions{streams: streams}
	o.output.formats = explanationFormats()
	cmd := &cobra.Command{
		Use:   "explain POLICY|WORKLOAD -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Say in plain sentences what a policy means, or all that applies to a workload",
		Long: `Say in plain sentences what a policy means: which workloads of the manifests it
selects, what each rule matches, what becomes of it where bytes are no HTTP
requests, and what is easily overlooked. Each sentence names its place.

For a workload it tells all that applies there, in the order in which a sidecar
looks: mTLS, CUSTOM, tokens, AUDIT, DENY, ALLOW, and what becomes of the rest.

The argument is KIND/NAME.NAMESPACE, such as ap/web.shop, pa/default.shop,
ra/tokens.shop or deploy/web.shop; NAMESPACE/NAME will do where only one object
has the name.

Exit status: 0 explained; 2 the input cannot be read, or there is no such
object.`,
		Example: `  meshctl policy explain ap/details-viewer.bookinfo -f manifests/
  meshctl policy explain deploy/details-v1.bookinfo -f manifests/ --mesh-config mesh.yaml
  meshctl policy explain shop/default -f manifests/ -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "expected one POLICY or WORKLOAD, such as ap/web.shop or deploy/web.shop, got %d", len(args))
			}
			o.subject = args[0]
			if err := o.snapshot.complete(cmd); err != nil {
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
	o.snapshot.register(cmd)
	o.output.register(cmd.Flags())
	return cmd
}

func (o *policyExplainOptions) run(ctx context.Context) error {
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	subject, err := policy.FindSubject(snapshot, o.subject, o.snapshot.defaultNamespace())
	if err != nil {
		return err
	}
	return o.output.emit(o.streams.Out, policy.NewSimulator(snapshot).ExplainSubject(subject))
}

func explanationFormats() []format[policy.Explanation] {
	type document struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		policy.Explanation
	}
	const kind = "PolicyExplanation"
	return []format[policy.Explanation]{
		{"text", printPolicyExplanation},
		{"json", func(w io.Writer, e policy.Explanation) error { return printer.JSON(w, document{apiVersion, kind, e}) }},
		{"yaml", func(w io.Writer, e policy.Explanation) error { return printer.YAML(w, document{apiVersion, kind, e}) }},
	}
}

// printPolicyExplanation writes the sentences under the headings of their
// topics.
func printPolicyExplanation(w io.Writer, e policy.Explanation) error {
	lines := []string{e.Subject + placed(e.At)}
	var topic policy.Topic
	for _, s := range e.Sentences {
		if s.Topic != topic {
			topic = s.Topic
			lines = append(lines, "", "  "+topic.Title())
		}
		lines = append(lines, "    "+s.Text+placed(s.At))
	}
	return printer.Lines(w, lines...)
}

// placed is a place in parentheses, after what stands there.
func placed(at meshreport.Location) string {
	if text := at.String(); text != "" {
		return " (" + text + ")"
	}
	return ""
}
