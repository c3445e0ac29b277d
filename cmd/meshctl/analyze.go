package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/internal/version"
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type analyzeOptions struct {
	streams      genericiooptions.IOStreams
	mesh         snapshotFlags
	networks     string
	complete     bool
	profile      string
	only, skip   []string
	suppressions []string
	failOn       string
	fix, diff    bool
	list         bool
	format       formatFlag[[]meshreport.Finding]
	rules        formatFlag[[]listedRule] // the same flag, with --list

	options analyze.Options // profile to suppressions, understood
}

func newAnalyzeCmd(streams genericiooptions.IOStreams, runF func(context.Context, *analyzeOptions) error) *cobra.Command {
	o := &analyzeOptions{streams: streams, format: formatFlag[[]meshreport.Finding]{formats: findingFormats()}, rules: formatFlag[[]listedRule]{formats: ruleFormats()}}
	cmd := &cobra.Command{
		Use:   "analyze [FILE|DIRECTORY...]",
		Short: "Find what is wrong with the manifests of a mesh",
		Long: `Find what is wrong with the manifests of a mesh: objects that a cluster would
refuse, references that lead nowhere, policies that do not do what they seem to.
Codes IST are those of istioctl analyze; codes MSH are meshctl's own. meshctl
explain CODE tells what one means.

Without --complete the manifests may be a part of what runs: what is not in them
is a warning at most.

Exit status: 0 nothing at or above --fail-on was found, 1 something was, 2 a file
or document cannot be read, whatever rules are chosen.`,
		Example: `  meshctl analyze deploy/
  meshctl analyze --complete --profile strict -f deploy/ --mesh-config mesh.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.prepare(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.analyze(cmd.Context())
		},
	}
	o.mesh.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.networks, "mesh-networks", "", "mesh networks: a file that holds a MeshNetworks")
	flags.BoolVar(&o.complete, "complete", false, "the manifests are the whole world: what is not in them does not exist")
	flags.StringVar(&o.profile, "profile", string(analyze.Baseline), "rules to run: baseline, strict or ci")
	flags.StringSliceVar(&o.only, "only", nil, "codes or names of the only rules to run")
	flags.StringSliceVar(&o.skip, "skip", nil, "codes or names of rules not to run")
	flags.StringArrayVarP(&o.suppressions, "suppress", "S", nil, "CODE=Kind name.namespace, patterns allowed: findings not to report; repeatable")
	flags.StringVar(&o.failOn, "fail-on", "error", "least severity that makes the exit status 1: error, warning, info or none")
	flags.BoolVar(&o.fix, "fix", false, "make the safe fixes in the files, and report what is left")
	flags.BoolVar(&o.diff, "diff", false, "show what --fix would change, instead of findings")
	flags.BoolVar(&o.list, "list", false, "list the rules that would run, as table, json or yaml, and look at nothing")
	o.format.register(flags)
	for _, name := range []string{"only", "skip"} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(ruleNames(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is registered above
		}
	}
	return cmd
}

func (o *analyzeOptions) prepare(cmd *cobra.Command, args []string) error {
	if o.fix && o.diff {
		return usagef(cmd, "--fix and --diff exclude each other")
	}
	if (o.fix || o.diff) && o.mesh.fromCluster {
		return usagef(cmd, "--fix and --diff are for files, and --from-cluster reads none")
	}
	if files := slices.Concat(o.mesh.input.filenames, args); o.fix && slices.ContainsFunc(files, notAFile) {
		return usagef(cmd, "--fix writes files, and standard input and addresses are none: --diff shows the fixes")
	}
	o.mesh.input.filenames = append(o.mesh.input.filenames, args...)
	if !o.mesh.given() {
		o.mesh.input.filenames = []string{"."}
	}
	if err := o.mesh.complete(cmd); err != nil {
		return err
	}
	o.options = analyze.Options{Profile: analyze.Profile(o.profile), Only: o.only, Skip: o.skip, Namespace: o.mesh.namespace, Foreign: slices.Sorted(maps.Keys(catalog.OutOfScope()))}
	if !slices.Contains(analyze.Profiles(), o.options.Profile) {
		return usagef(cmd, "profile %q: expected baseline, strict or ci", o.profile)
	}
	if !slices.Contains([]string{"error", "warning", "info", "none"}, o.failOn) {
		return usagef(cmd, "fail-on %q: expected error, warning, info or none", o.failOn)
	}
	for _, text := range o.suppressions {
		s, err := analyze.ParseSuppression(text)
		if err != nil {
			return usageError{err, cmd.CommandPath()}
		}
		o.options.Suppressions = append(o.options.Suppressions, s)
	}
	if o.list {
		o.rules.asked, o.rules.force = o.format.asked, o.format.force
		return o.rules.validate(cmd)
	}
	return o.format.validate(cmd)
}

// notAFile tells standard input and addresses.
func notAFile(name string) bool { return name == "-" || strings.Contains(name, "://") }

func (o *analyzeOptions) analyze(ctx context.Context) error {
	if o.list {
		return o.listRules()
	}
	in, err := o.input(ctx)
	if err != nil {
		return err
	}
	findings, err := analyze.Analyze(ctx, catalog.Rules(), in, o.options)
	if err != nil {
		return err
	}
	if o.fix || o.diff {
		r, err := o.repair(ctx, in, findings)
		if err != nil {
			return err
		}
		if o.diff {
			return r.show(o.streams.Out)
		}
		if err := r.save(); err != nil {
			return err
		}
		if err := printer.Lines(o.streams.ErrOut, r.String()); err != nil {
			return err
		}
		findings = r.left
	}
	if err := o.format.emit(o.streams.Out, findings); err != nil {
		return err
	}
	return o.verdict(findings)
}

// input reads what there is to analyze.
func (o *analyzeOptions) input(ctx context.Context) (analyze.Input, error) {
	in := analyze.Input{Complete: o.complete, ConfigGiven: o.mesh.meshConfig != "" || o.mesh.fromCluster}
	var err error
	in.Options, in.Streams, err = o.mesh.read(ctx, o.streams)
	if in.Faults, err = manifest.Faults(err); err != nil {
		return in, err
	}
	if err := barren(in.Streams, o.mesh.fromCluster); err != nil {
		return in, err
	}
	if o.mesh.meshConfig != "" {
		in.ConfigFile = o.mesh.meshConfig
		if in.ConfigText, err = os.ReadFile(o.mesh.meshConfig); err != nil {
			return in, err
		}
	}
	if o.networks != "" {
		in.NetworksFile = o.networks
		in.Networks, in.NetworksText, err = readMeshNetworks(o.networks)
	}
	return in, err
}

// barren refuses input without an object, which nothing is wrong with: the
// command before a pipe has failed, or another file was meant.
func barren(files []*manifest.Stream, cluster bool) error {
	var problems []error
	for _, s := range files {
		if !cluster && s.Barren() {
			what := "this file"
			if s.Name == "-" {
				what = "standard input"
			}
			problems = append(problems, &meshreport.InputError{Location: meshreport.Location{File: s.Name}, Err: fmt.Errorf("no manifests in %s", what), Hint: "it holds no Kubernetes object: apiVersion and kind name one"})
		}
	}
	return errors.Join(problems...)
}

// verdict turns findings into an exit status, the same in every format.
func (o *analyzeOptions) verdict(findings []meshreport.Finding) error {
	unread := 0
	for _, f := range findings {
		if f.Code == analyze.Unreadable {
			unread++
		}
	}
	if unread > 0 {
		return fmt.Errorf("%s cannot be read (%s): what stands there was not analyzed", meshreport.Count(unread, "place"), analyze.Unreadable)
	}
	least := map[string]meshreport.Severity{"info": meshreport.Info, "warning": meshreport.Warning, "error": meshreport.Error, "none": meshreport.Error + 1}[o.failOn]
	n := 0
	for _, f := range findings {
		if f.Severity >= least {
			n++
		}
	}
	if n > 0 {
		return negative{fmt.Sprintf("%s at or above %s", meshreport.Count(n, "finding"), o.failOn)}
	}
	return nil
}

// findingFormats are the forms of findings.
func findingFormats() []format[[]meshreport.Finding] {
	type findings = []meshreport.Finding
	return []format[findings]{
		{"table", printer.Findings},
		{"json", func(w io.Writer, f findings) error { return printer.JSON(w, printer.FindingsDocument(f)) }},
		{"yaml", func(w io.Writer, f findings) error { return printer.YAML(w, printer.FindingsDocument(f)) }},
		{"sarif", func(w io.Writer, f findings) error {
			rules, err := documented()
			if err != nil {
				return err
			}
			return printer.SARIF(w, version.Read(release).Version, rules, f)
		}},
		{"junit", func(w io.Writer, f findings) error { return printer.JUnit(w, printer.FindingSuites(f)) }},
		{"github", printer.FindingsGitHub},
		{"gitlab", printer.FindingsGitLab},
		{"markdown", printer.FindingsMarkdown},
	}
}

// ruleNames are all codes, for completion and errors.
func ruleNames() []cobra.Completion {
	var names []cobra.Completion
	for _, r := range catalog.Rules() {
		names = append(names, cobra.CompletionWithDesc(r.Code, strings.ReplaceAll(r.Slug, "-", " ")))
	}
	return names
}
