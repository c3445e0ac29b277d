// Command prove asks a real Envoy the requests that the simulator decides, over
// real connections to sidecars with random policies, and wants the same answers:
// the outcome, what the client is told, the rules that matched, and the dry run.
// A disagreement is made as small as it gets and printed as a case that can be
// kept in testdata; those that are there are asked first.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy/live"
)

// options are the command line.
type options struct {
	requests, perMesh int
	meshes, senders   int
	seed              uint64
	first             int
	threads           int
	tools, kept       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out io.Writer) int {
	o := options{}
	flags := flag.NewFlagSet("prove", flag.ContinueOnError)
	flags.IntVar(&o.requests, "n", 5000, "random requests to prove, at least")
	flags.IntVar(&o.perMesh, "requests", 50, "requests for each random mesh")
	flags.IntVar(&o.meshes, "meshes", 25, "random meshes in one Envoy")
	flags.IntVar(&o.senders, "senders", 10, "random meshes beside them whose workloads send, each in an Envoy of its own")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of all that is random")
	flags.IntVar(&o.first, "first", 0, "number of the first mesh")
	flags.IntVar(&o.threads, "threads", 1, "threads of Envoy")
	flags.StringVar(&o.tools, "tools", filepath.Join(".tools", "bin"), "folder that may have Envoy")
	flags.StringVar(&o.kept, "kept", filepath.Join("test", "prove", "testdata"), "folder of cases that are kept")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	began := time.Now()
	t := newTally()
	err := o.prove(ctx, t, out)
	if err != nil {
		_, _ = fmt.Fprintln(out, "prove:", err)
	}
	failed := len(t.findings)
	_, _ = fmt.Fprintf(out, "gate prove: %d cases, seed %d, %s\n%d passed, %d failed\n", t.requests, o.seed, time.Since(began).Round(time.Second), t.requests-failed, failed)
	if err != nil || failed > 0 || t.requests == 0 {
		return 1
	}
	return 0
}

// mostShrunk is how many disagreements are looked into.
const mostShrunk = 3

// prove asks what is kept, then random cases, and reports the disagreements.
func (o *options) prove(ctx context.Context, t *tally, out io.Writer) error {
	binary, err := live.Search{Getenv: os.Getenv, Folders: []string{o.tools}}.Find()
	if err != nil {
		return err
	}
	signer, err := newSigner()
	if err != nil {
		return err
	}
	p := &prover{binary: binary, threads: o.threads, now: time.Now()}
	if err := o.proveKept(ctx, p, t); err != nil {
		return err
	}
	g := &generator{seed: o.seed, requests: o.perMesh, signer: signer, now: p.now}
	for n, end := o.first, t.requests+o.requests; t.requests < end && len(t.findings) < mostShrunk; n += o.meshes {
		var cases []*testCase
		for i := n; i < n+o.meshes; i++ {
			c, err := g.make(i)
			if err != nil {
				return err
			}
			cases = append(cases, c)
		}
		for i := n; i < n+min(o.senders, o.meshes); i++ {
			c, err := g.makeSends(i)
			if err != nil {
				return err
			}
			cases = append(cases, c)
		}
		if err := p.check(ctx, cases, t); err != nil {
			return err
		}
	}
	if err := t.print(out); err != nil {
		return err
	}
	for _, f := range t.findings[:min(len(t.findings), mostShrunk)] {
		if err := report(ctx, p, &f, out); err != nil {
			return err
		}
	}
	return nil
}

// proveKept asks the cases that are kept.
func (o *options) proveKept(ctx context.Context, p *prover, t *tally) error {
	files, err := filepath.Glob(filepath.Join(o.kept, "*.txtar"))
	if err != nil {
		return err
	}
	var cases []*testCase
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		c, err := readCase(file, text)
		if err != nil {
			return err
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return fmt.Errorf("no cases in %s", o.kept)
	}
	return p.check(ctx, cases, t)
}

// report prints a disagreement as a case to be kept.
func report(ctx context.Context, p *prover, f *finding, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "\n%s\n", f.name)
	for _, d := range f.differences {
		_, _ = fmt.Fprintln(out, "  "+d)
	}
	_, _ = fmt.Fprintf(out, "  envoy's log: %+v\n", f.log)
	shown, err := p.disagrees(ctx, []*testCase{f.testCase})
	if err != nil {
		return err
	}
	small, what := f.testCase, "asked again they agree; the case as it was:"
	if shown[0] {
		if small, err = (&shrinker{p.disagrees}).shrink(ctx, f.testCase); err != nil {
			return err
		}
		what = "smallest case, to be kept as testdata/NAME.txtar:"
	}
	text, err := small.archive("Found as " + f.name + ".\n")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n%s", what, text)
	return err
}
