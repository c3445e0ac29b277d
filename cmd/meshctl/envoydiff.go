package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type envoyDiffOptions struct {
	streams       genericiooptions.IOStreams
	source        sourceFlags
	summary, full bool
	failOn        string
	output        formatFlag[comparison]
	arguments     []string
}

// comparison is what is printed, and how much of it.
type comparison struct {
	*diff.Result
	summary, full, colour bool
}

func newEnvoyDiffCmd(streams genericiooptions.IOStreams, runF func(context.Context, *envoyDiffOptions) error) *cobra.Command {
	o := &envoyDiffOptions{streams: streams}
	o.output.formats = comparisonFormats()
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Tell what changes for sidecars between two versions",
		Long: `Compare what two versions tell the sidecars, by keys and by meaning. OLD and NEW
are manifests (a file or a directory), REVISION:PATH of the git repository here,
a config dump of Envoy (/config_dump?include_eds, or istioctl proxy-config all -o
json), or what "meshctl envoy config" printed or wrote; the content tells which.

Lines say what the changes mean and, for manifests, which object causes them.
Each is tagged: looser lets in what was refused, or may, if it is not understood;
tighter refuses what was let in; routing leads requests elsewhere; cosmetic
decides nothing. Modes of mTLS go by what a port takes: DISABLE plaintext, STRICT
mTLS, PERMISSIVE both; to DISABLE is looser always, as no caller has an identity
then. --summary counts, --full lists every field before and after. Secrets are
never shown.

Exit status: 0 the same, or with --fail-on looser no line that is looser; 1
different; 2 the input cannot be read.`,
		Example: `  meshctl envoy diff HEAD~1:deploy/ deploy/
  meshctl envoy diff config_dump.json manifests/ --workload prod/reviews --mesh-config mesh.yaml
  meshctl envoy diff main:deploy deploy --fail-on looser -o markdown=comment.md`,
		Args: cobra.ArbitraryArgs,
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
	flags := cmd.Flags()
	o.source.register(flags)
	flags.BoolVar(&o.summary, "summary", false, "count changes only")
	flags.BoolVar(&o.full, "full", false, "list every field before and after")
	flags.StringVar(&o.failOn, "fail-on", "any", "differences that make the exit status 1: any or looser")
	o.output.register(flags)
	return cmd
}

func (o *envoyDiffOptions) complete(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) != 2:
		return usagef(cmd, "expected two versions, OLD and NEW, got %d", len(args))
	case args[0] == "-" && args[1] == "-":
		return usagef(cmd, "standard input (-) can be read only once")
	case o.summary && o.full:
		return usagef(cmd, "--summary and --full exclude each other")
	case o.failOn != "any" && o.failOn != "looser":
		return usagef(cmd, "fail-on %q: expected any or looser", o.failOn)
	case o.source.all && len(o.source.workloads) > 0:
		return usagef(cmd, "--workload and --all exclude each other")
	}
	for _, name := range o.source.workloads {
		if namespace, workload, ok := strings.Cut(name, "/"); !ok || namespace == "" || workload == "" {
			return usagef(cmd, "workload %q: expected NAMESPACE/NAME", name)
		}
	}
	if _, err := o.source.templates(); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	o.arguments = args
	return o.output.validate(cmd)
}

func (o *envoyDiffOptions) run(ctx context.Context) error {
	before, after, err := o.source.sides(ctx, o.streams, o.arguments)
	if err != nil {
		return err
	}
	for _, d := range slices.Concat(before.Dumps, after.Dumps) {
		for _, note := range d.Notes {
			if err := printer.Lines(o.streams.ErrOut, "warning: "+note); err != nil {
				return err
			}
		}
	}
	result := diff.Compare(before, after)
	if err := o.output.emit(o.streams.Out, comparison{result, o.summary, o.full, isTerminal(o.streams.Out)}); err != nil {
		return err
	}
	switch {
	case result.Same(), o.failOn == "looser" && !result.Looser():
		return nil
	case o.failOn == "looser":
		return negative{"something is looser"}
	}
	return negative{"the configurations differ"}
}

// isTerminal tells whether colours are welcome.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func comparisonFormats() []format[comparison] {
	return []format[comparison]{
		{"text", printComparison},
		{"json", func(w io.Writer, c comparison) error {
			return printer.JSON(w, struct {
				APIVersion string          `json:"apiVersion"`
				Kind       string          `json:"kind"`
				Items      []diff.Workload `json:"items"`
			}{apiVersion, "EnvoyDiff", append([]diff.Workload{}, c.Workloads...)})
		}},
		{"markdown", printComparisonMarkdown},
		{"github", printComparisonGitHub},
	}
}

// tally counts what has changed for a workload by what it does, and in how many
// parts of the configuration.
func tally(w *diff.Workload) string {
	ops, tags := map[diff.Op]int{}, map[diff.Tag]int{}
	for _, c := range w.Changes {
		ops[c.Op]++
	}
	for _, i := range w.Intents {
		tags[i.Tag]++
	}
	var does, parts []string
	for _, t := range []diff.Tag{diff.Looser, diff.Tighter, diff.Routing, diff.Cosmetic} {
		if tags[t] > 0 {
			does = append(does, fmt.Sprintf("%d %s", tags[t], t))
		}
	}
	for _, o := range []diff.Op{diff.Added, diff.Changed, diff.Removed, diff.Renamed} {
		if ops[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", ops[o], o))
		}
	}
	return fmt.Sprintf("%s (parts: %s)", strings.Join(does, ", "), strings.Join(parts, ", "))
}

func printComparison(w io.Writer, c comparison) error {
	paint := func(t diff.Tag) string {
		code := map[diff.Tag]string{diff.Looser: "31", diff.Tighter: "32", diff.Routing: "33", diff.Cosmetic: "2"}[t]
		text := fmt.Sprintf("%-9s", t)
		if c.colour {
			return "\x1b[" + code + "m" + text + "\x1b[0m"
		}
		return text
	}
	if c.Same() {
		return printer.Lines(w, "no difference")
	}
	var lines []string
	for i := range c.Workloads {
		one := &c.Workloads[i]
		lines = append(lines, one.Name+": "+tally(one))
		if c.summary {
			continue
		}
		for _, intent := range one.Intents {
			lines = append(lines, "  "+paint(intent.Tag)+" "+clean(intent.String()))
		}
		if c.full {
			lines = append(lines, changeLines(one)...)
		}
	}
	return printer.Lines(w, lines...)
}

// clean shows a text of a file without what would move a terminal's cursor.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return '\ufffd'
		}
		return r
	}, text)
}

func changeLines(one *diff.Workload) []string {
	var lines []string
	for _, c := range one.Changes {
		sign := map[diff.Op]string{diff.Added: "+", diff.Removed: "-", diff.Changed: "~", diff.Renamed: "="}[c.Op]
		var tags []string
		for _, t := range c.Tags {
			tags = append(tags, string(t))
		}
		lines = append(lines, clean(fmt.Sprintf("  %s %s [%s]", sign, strings.Join(c.Key, " / "), strings.Join(tags, ", "))))
		for _, f := range c.Fields {
			value := fmt.Sprintf("%s -> %s", shownValue(f.Before), shownValue(f.After))
			switch c.Op {
			case diff.Added:
				value = shownValue(f.After)
			case diff.Removed:
				value = shownValue(f.Before)
			}
			lines = append(lines, clean("      "+f.Path+": "+value))
		}
	}
	return lines
}

func shownValue(text string) string {
	if text == "" {
		return "(none)"
	}
	return strings.ReplaceAll(text, "\n", " or ")
}

// maxMarkdown is what fits into a comment on GitHub, which takes 65,536
// characters.
const maxMarkdown = 60000

func printComparisonMarkdown(w io.Writer, c comparison) error {
	if c.Same() {
		return printer.Lines(w, "**The sidecars are told the same.**")
	}
	told := fmt.Sprintf("**%d sidecars are told something else.**", len(c.Workloads))
	if len(c.Workloads) == 1 {
		told = "**One sidecar is told something else.**"
	}
	lines := []string{told, "", "| Workload | Tag | Change | Because |", "| --- | --- | --- | --- |"}
	size := 0
	for i := range c.Workloads {
		one := &c.Workloads[i]
		if c.summary {
			lines = append(lines, fmt.Sprintf("| %s |  | %s |  |", printer.MarkdownCode(one.Name), tally(one)))
			continue
		}
		for _, intent := range one.Intents {
			cause := ""
			if intent.Cause != nil {
				cause = printer.MarkdownCode(intent.Cause.String())
			}
			line := fmt.Sprintf("| %s | %s | %s | %s |", printer.MarkdownCode(one.Name), intent.Tag, printer.MarkdownCode(intent.Text), cause)
			if size += len(line); size > maxMarkdown {
				return printer.Lines(w, append(lines, "", "More changes do not fit here.")...)
			}
			lines = append(lines, line)
		}
	}
	if !c.full {
		return printer.Lines(w, lines...)
	}
	lines = append(lines, "", "<details><summary>Fields</summary>", "")
	for i := range c.Workloads {
		for _, line := range changeLines(&c.Workloads[i]) {
			if size += len(line); size > maxMarkdown {
				return printer.Lines(w, append(lines, "", "More fields do not fit here.", "", "</details>")...)
			}
			lines = append(lines, "- "+printer.MarkdownCode(strings.TrimSpace(line)))
		}
	}
	return printer.Lines(w, append(lines, "", "</details>")...)
}

func printComparisonGitHub(w io.Writer, c comparison) error {
	var lines []string
	for i := range c.Workloads {
		one := &c.Workloads[i]
		for _, intent := range one.Intents {
			level, at := "notice", meshreport.Location{}
			if intent.Tag == diff.Looser {
				level = "warning"
			}
			if intent.Cause != nil {
				at = intent.Cause.At
			}
			lines = append(lines, printer.Annotation(level, at, string(intent.Tag)+" "+one.Name, intent.String()))
		}
		lines = append(lines, one.Name+": "+tally(one))
	}
	if c.Same() {
		lines = []string{"no difference"}
	}
	return printer.Lines(w, lines...)
}
