package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/mesh"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type explainCodeOptions struct {
	streams genericiooptions.IOStreams
	code    string
	format  formatFlag[ruleAccount]
}

// ruleAccount is all there is to say about a rule.
type ruleAccount struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Code       string              `json:"code"`
	Name       string              `json:"name"`
	Severity   meshreport.Severity `json:"severity"`
	Confidence analyze.Confidence  `json:"confidence"`
	Strict     bool                `json:"strict"` // runs in the profile strict only
	Title      string              `json:"title"`
	Text       string              `json:"text"`
	Bad        []catalog.Example   `json:"bad"`
	Good       []catalog.Example   `json:"good"`
}

func newExplainCodeCmd(streams genericiooptions.IOStreams, runF func(context.Context, *explainCodeOptions) error) *cobra.Command {
	o := &explainCodeOptions{streams: streams, format: formatFlag[ruleAccount]{formats: []format[ruleAccount]{
		{"text", printRule},
		{"json", func(w io.Writer, r ruleAccount) error { return printer.JSON(w, r) }},
		{"yaml", func(w io.Writer, r ruleAccount) error { return printer.YAML(w, r) }},
		{"markdown", func(w io.Writer, r ruleAccount) error { return printer.Lines(w, r.markdown()) }},
	}}}
	cmd := &cobra.Command{
		Use:   "explain CODE",
		Short: "Tell what the code of a finding means",
		Long: `Tell what the code of a finding of meshctl analyze means, what to do about it, and
show a bad and a good example. meshctl analyze --list lists the codes.

Exit status: 0 done, 2 there is no such code.`,
		Example: `  meshctl explain MSH0301
  meshctl explain unknown-field -o markdown`,
		ValidArgsFunction: cobra.FixedCompletions(ruleNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "expected one code, such as MSH0301; meshctl analyze --list lists them")
			}
			o.code = args[0]
			if err := o.format.validate(cmd); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.explain(cmd.Context())
		},
	}
	o.format.register(cmd.Flags())
	return cmd
}

func (o *explainCodeOptions) explain(context.Context) error {
	rules := catalog.Rules()
	i := slices.IndexFunc(rules, func(r analyze.Rule) bool { return strings.EqualFold(r.Code, o.code) || r.Slug == o.code })
	if i < 0 {
		if why, known := catalog.OutOfScope()[strings.ToUpper(o.code)]; known {
			return fmt.Errorf("%s is not looked for: %s", strings.ToUpper(o.code), why)
		}
		var names []string
		for _, r := range rules {
			names = append(names, r.Code, r.Slug)
		}
		hint := "meshctl analyze --list lists the codes"
		if near := mesh.Nearest(o.code, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("no code %q: %s", o.code, hint)
	}
	account, err := accountOf(rules[i])
	if err != nil {
		return err
	}
	return o.format.emit(o.streams.Out, account)
}

func accountOf(r analyze.Rule) (ruleAccount, error) {
	page, err := catalog.ReadPage(r.Code)
	if err != nil {
		return ruleAccount{}, err
	}
	return ruleAccount{apiVersion, "Rule", r.Code, r.Slug, r.Severity, r.Confidence, r.Strict, page.Title, page.Text, page.Bad, page.Good}, nil
}

// documented are the rules as SARIF tells them.
func documented() ([]printer.Rule, error) {
	var all []printer.Rule
	for _, r := range catalog.Rules() {
		a, err := accountOf(r)
		if err != nil {
			return nil, err
		}
		all = append(all, printer.Rule{Code: a.Code, Name: a.Name, Title: a.Title, Help: a.Text, Severity: a.Severity})
	}
	return all, nil
}

// printRule writes an account for terminals.
func printRule(w io.Writer, r ruleAccount) error {
	lines := []string{fmt.Sprintf("%s %s (%s, %s)", r.Code, r.Name, r.Severity, r.Confidence), r.Title, "", r.Text}
	for _, part := range []struct {
		heading  string
		examples []catalog.Example
	}{{"Bad:", r.Bad}, {"Good:", r.Good}} {
		lines = append(lines, "", part.heading)
		for _, e := range part.examples {
			if len(part.examples) > 1 {
				lines = append(lines, "  # "+e.Name)
			}
			for line := range strings.Lines(e.Text) {
				lines = append(lines, strings.TrimRight("  "+line, "\n "))
			}
		}
	}
	return printer.Lines(w, lines...)
}

// markdown is the account as a page of documentation.
func (r ruleAccount) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n`%s`, %s, %s", r.Code, r.Title, r.Name, r.Severity, r.Confidence)
	if r.Strict {
		b.WriteString(", in the profile strict")
	}
	fmt.Fprintf(&b, "\n\n%s\n", r.Text)
	for _, part := range []struct {
		heading  string
		examples []catalog.Example
	}{{"Bad", r.Bad}, {"Good", r.Good}} {
		fmt.Fprintf(&b, "\n## %s\n", part.heading)
		for _, e := range part.examples {
			fmt.Fprintf(&b, "\n```yaml\n%s```\n", e.Text)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
