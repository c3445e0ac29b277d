package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type policyTestOptions struct {
	streams    genericiooptions.IOStreams
	tests      testFlags
	run        string
	failFast   bool
	initialize bool
	engine     string
	format     formatFlag[[]meshreport.Suite]

	only *regexp.Regexp // run, compiled
}

func newPolicyTestCmd(streams genericiooptions.IOStreams, runF func(context.Context, *policyTestOptions) error) *cobra.Command {
	o := &policyTestOptions{streams: streams, format: formatFlag[[]meshreport.Suite]{formats: suiteFormats("PolicyTestReport")}}
	cmd := &cobra.Command{
		Use:   "test [DIRECTORY|FILE...]",
		Short: "Test what the mesh's policies do",
		Long: `Run the tests in *.meshtest.yaml files, of these directories and below (default
the current one). A case says who calls what with which request, and what shall
become of it; docs/policy-tests.md describes the files. The mesh is what the
files' inputs say; -f, -k or --from-cluster put another in its place.

--init writes a first test file, DIRECTORY/policies.meshtest.yaml or the FILE
that is named, which pins what the policies of the manifests (-f, -k, else those
of the directory) do today.

--engine envoy asks a real Envoy too, over real connections on loopback: it runs
the configuration that istiod would send to the called workloads, with throwaway
certificates. What the callers' sidecars make of requests stays simulated. A case
that cannot be asked there is unknown, with the reason; one on which Envoy and
the simulator do not agree fails, and the exit status is 2: it is a fault of
meshctl.

Exit status: 0 all cases passed, 1 some failed, 2 the tests cannot be run, 3
none failed, but some are unknown: something outside of the manifests decides,
or the engine cannot be asked. It is the same in every format.`,
		Example: `  meshctl policy test
  meshctl policy test tests/ --run 'admin|delete' -o table -o junit=report.xml
  meshctl policy test tests/ -k overlays/production
  meshctl policy test tests/ --engine envoy
  meshctl policy test --init -f manifests/ tests/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			if o.initialize {
				return o.initTests(cmd.Context())
			}
			return o.test(cmd.Context())
		},
	}
	flags := cmd.Flags()
	o.tests.register(cmd)
	o.format.register(flags)
	flags.StringVar(&o.run, "run", "", "run only the cases whose names match this regular expression")
	flags.BoolVar(&o.failFast, "fail-fast", false, "stop at the first case that fails")
	flags.BoolVar(&o.initialize, "init", false, "write a test file that pins what the policies do today")
	flags.StringVar(&o.engine, "engine", engineSimulator, "what decides: simulator, or envoy (a real Envoy as well; "+whereEnvoyIs+")")
	flags.Lookup("verbose").Usage = "list the cases that passed too, and the files that were skipped"
	flags.Lookup("force").Usage = "overwrite files of -o FORMAT=PATH and --init"
	return cmd
}

func (o *policyTestOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.tests.complete(cmd, args); err != nil {
		return err
	}
	if err := o.format.validate(cmd); err != nil {
		return err
	}
	if o.engine != engineSimulator && o.engine != engineEnvoy {
		return usagef(cmd, "engine %q: expected simulator or envoy", o.engine)
	}
	var err error
	if o.only, err = compileRun(o.run); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	if !o.initialize {
		return nil
	}
	for _, name := range []string{"run", "fail-fast", "output", "jwks", "engine"} {
		if typed(cmd, name) {
			return usagef(cmd, "--init writes a test file and runs none: leave out --%s", name)
		}
	}
	return o.completeInit(cmd)
}

// compileRun is nil for no expression.
func compileRun(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // all is meant
	}
	only, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", text, err)
	}
	return only, nil
}

func (o *policyTestOptions) test(ctx context.Context) error {
	suites, err := o.tests.load(ctx, o.streams)
	if err != nil {
		return err
	}
	options := policytest.Options{Only: o.only, FailFast: o.failFast}
	if o.engine == engineEnvoy {
		var ignore context.CancelFunc
		ctx, ignore = untilHangUp(ctx)
		defer ignore()
		binary, err := findEnvoy()
		if err != nil {
			return err
		}
		options.Engine = &live.Engine{Binary: binary, Now: time.Now}
	}
	result, err := policytest.Run(ctx, suites, options)
	if err != nil {
		return explainRun(err, o.run)
	}
	if o.tests.snapshot.input.verbose {
		for i := range o.format.targets {
			if o.format.targets[i].name == "table" {
				o.format.targets[i].write = printer.Cases
			}
		}
	}
	if err := o.format.emit(o.streams.Out, result.Suites); err != nil {
		return err
	}
	if options.Engine == nil {
		return verdictOf(meshreport.Summarize(result.Suites))
	}
	if err := printer.Lines(o.streams.ErrOut, engineLines(&result.Engine)...); err != nil {
		return err
	}
	return engineVerdict(&result.Engine, meshreport.Summarize(result.Suites))
}

// explainRun says which expression matched no case.
func explainRun(err error, run string) error {
	if errors.Is(err, policytest.ErrNoCase) {
		return fmt.Errorf("run %q: %w", run, err)
	}
	return err
}

// verdictOf makes the exit status of a run.
func verdictOf(s meshreport.Summary) error {
	switch {
	case s.Failed > 0:
		return negative{fmt.Sprintf("%d of %s failed", s.Failed, counted(s.Total(), "case"))}
	case s.Unknown > 0:
		return partial{fmt.Sprintf("%d of %s unknown: something outside of the manifests decides", s.Unknown, counted(s.Total(), "case"))}
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
