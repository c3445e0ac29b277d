package main

import (
	"context"
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type coverageOptions struct {
	streams   genericiooptions.IOStreams
	tests     testFlags
	run       string
	threshold float64
	format    formatFlag[meshreport.Coverage]

	only *regexp.Regexp // run, compiled
}

func newCoverageCmd(streams genericiooptions.IOStreams, runF func(context.Context, *coverageOptions) error) *cobra.Command {
	o := &coverageOptions{streams: streams, format: formatFlag[meshreport.Coverage]{formats: coverageFormats()}}
	cmd := &cobra.Command{
		Use:   "coverage [DIRECTORY|FILE...]",
		Short: "List the rules of policies that no test exercises",
		Long: `Run the tests as policy test does and list the rules of the mesh's
AuthorizationPolicies, each with the number of cases that had a request which the
rule matches. Whether cases pass does not matter.

Rules that no test can reach are told apart and do not count: those of a policy
that selects no workload, or none with a sidecar, and those that istiod leaves
out because they cannot be expressed. Policies without rules have none to
exercise.

Exit status: 0 done, 1 less than --threshold percent of the rules are exercised,
2 the tests cannot be run.`,
		Example: `  meshctl policy coverage
  meshctl policy coverage tests/ --threshold 80 -o table -o markdown=$GITHUB_STEP_SUMMARY`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.measure(cmd.Context())
		},
	}
	flags := cmd.Flags()
	o.tests.register(cmd)
	o.format.register(flags)
	flags.StringVar(&o.run, "run", "", "run only the cases whose names match this regular expression")
	flags.Float64Var(&o.threshold, "threshold", 0, "percentage of rules that has to be exercised")
	return cmd
}

// coverageFormats are the forms of a coverage.
func coverageFormats() []format[meshreport.Coverage] {
	type coverage = meshreport.Coverage
	return []format[coverage]{
		{"table", printer.Coverage},
		{"json", func(w io.Writer, c coverage) error { return printer.JSON(w, printer.CoverageDocument(c)) }},
		{"yaml", func(w io.Writer, c coverage) error { return printer.YAML(w, printer.CoverageDocument(c)) }},
		{"github", printer.CoverageGitHub},
		{"markdown", printer.CoverageMarkdown},
	}
}

func (o *coverageOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.tests.complete(cmd, args); err != nil {
		return err
	}
	if o.threshold < 0 || o.threshold > 100 {
		return usagef(cmd, "threshold %v: expected 0 to 100", o.threshold)
	}
	var err error
	if o.only, err = compileRun(o.run); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	return o.format.validate(cmd)
}

func (o *coverageOptions) measure(ctx context.Context) error {
	suites, err := o.tests.load(ctx, o.streams)
	if err != nil {
		return err
	}
	result, err := policytest.Run(ctx, suites, policytest.Options{Only: o.only})
	if err != nil {
		return explainRun(err, o.run)
	}
	c := result.Coverage
	if _, total := c.Counts(); total == 0 && o.threshold > 0 {
		return fmt.Errorf("threshold %v: nothing to measure: the manifests have no rule of an AuthorizationPolicy that a sidecar enforces", o.threshold)
	}
	if err := o.format.emit(o.streams.Out, c); err != nil {
		return err
	}
	if c.Percent() < o.threshold {
		return negative{fmt.Sprintf("%s: less than the threshold of %v %%", c, o.threshold)}
	}
	return nil
}
