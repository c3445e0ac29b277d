package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/policy"
)

type simulateOptions struct {
	streams  genericiooptions.IOStreams
	snapshot snapshotFlags
	question questionFlags
	requests string
	custom   string
	jwks     []string
	output   string
	now      func() time.Time
}

func newSimulateCmd(streams genericiooptions.IOStreams, runF func(context.Context, *simulateOptions) error) *cobra.Command {
	o := &simulateOptions{streams: streams, now: time.Now}
	cmd := &cobra.Command{
		Use:   "simulate -f FILE|DIRECTORY|ADDRESS|- --from CALLER --to DESTINATION",
		Short: "Decide requests as istiod's configuration and Envoy would",
		Long: `Decide what becomes of a request: which TLS the caller's sidecar sends and whom
it trusts, which filter chain takes the connection, tokens, and the policies of
every action. Each stage names the policy, the rule and its place; a denial
names the rule that came nearest and what it lacked.

A verdict is allow, deny (403 or a closed connection), unauthenticated (401),
refused (no filter chain, or TLS fails), rejected (400, before any policy), or
unknown, where something outside of the manifests decides: an external
authorizer (--custom says what it answers), keys at a jwksUri (--jwks says what
it serves), an address that nobody told.

--requests answers many requests in one run: it reads one JSON object a line and
answers each with one line.

Exit status: 0 allow, or all --requests answered; 1 any other verdict; 2 the
input cannot be read or names what is not there; 3 unknown.`,
		Example: `  meshctl policy simulate -f manifests/ --from deploy/web.shop --to svc/cart.shop:80 --method POST --path /items
  meshctl policy simulate -f manifests/ --plaintext --to deploy/cart.shop:8080
  meshctl policy simulate -f manifests/ --from shop/web --to svc/cart.shop:80 --claim iss=https://issuer.example --claim sub=alice
  meshctl policy simulate -f manifests/ --mesh-config mesh.yaml --requests requests.jsonl -o jsonl --custom deny`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	o.snapshot.register(cmd)
	o.question.register(cmd)
	cmd.Flags().StringVar(&o.requests, "requests", "", "requests to decide: a file with one JSON object a line, or - for standard input")
	cmd.Flags().StringVar(&o.custom, "custom", "", "what external authorizers answer: allow, deny or error")
	cmd.Flags().StringArrayVar(&o.jwks, "jwks", nil, "what a jwksUri serves: FILE, or JWKSURI=FILE or ISSUER=FILE; repeatable")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "format: text, json or yaml (default text); with --requests: jsonl")
	return cmd
}

func (o *simulateOptions) complete(cmd *cobra.Command) error {
	if err := o.snapshot.complete(cmd); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "allow", "deny", "error"}, o.custom) {
		return usagef(cmd, "custom %q: expected allow, deny or error", o.custom)
	}
	if o.requests == "" {
		if !slices.Contains([]string{"", "text", "json", "yaml"}, o.output) {
			return usagef(cmd, "output %q: expected text, json or yaml; jsonl is for --requests", o.output)
		}
		return o.question.complete(cmd)
	}
	for _, name := range o.question.names() {
		if typed(cmd, name) {
			return usagef(cmd, "--%s is for one request, and --requests reads many: leave one of them out", name)
		}
	}
	switch {
	case o.requests == "-" && slices.Contains(o.snapshot.input.filenames, "-"):
		return usagef(cmd, "standard input (-) can be read only once")
	case o.output != "" && o.output != "jsonl":
		return usagef(cmd, "output %q: with --requests expected jsonl", o.output)
	}
	return nil
}

func (o *simulateOptions) run(ctx context.Context) error {
	options, err := policyOptions(o.jwks, o.now())
	if err != nil {
		return err
	}
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	simulator := options.NewSimulator(snapshot)
	if o.requests != "" {
		return o.answerAll(ctx, simulator)
	}
	q, err := o.question.question(snapshot, o.snapshot.defaultNamespace())
	if err != nil {
		return err
	}
	q.Custom = o.custom
	answer, err := simulator.Ask(q)
	if err != nil {
		return err
	}
	if err := o.print(newSimulation(q, answer)); err != nil {
		return err
	}
	return judge(answer)
}

// judge makes the exit status of an answer.
func judge(a policy.Answer) error {
	switch a.Outcome {
	case policy.Allow:
		return nil
	case policy.Unknown:
		return partial{"verdict unknown: " + a.Reason}
	}
	return negative{"verdict " + string(a.Outcome)}
}

func (o *simulateOptions) print(s simulation) error {
	switch o.output {
	case "json":
		return printer.JSON(o.streams.Out, s)
	case "yaml":
		return printer.YAML(o.streams.Out, s)
	}
	return printSimulation(o.streams.Out, s)
}

// policyOptions are what manifests do not say.
func policyOptions(jwks []string, now time.Time) (policy.Options, error) {
	options := policy.Options{Keys: map[string]*policy.Keys{}, Now: now}
	for _, given := range jwks {
		name, file := splitKeys(given)
		keys, err := readKeys(file)
		if err != nil {
			return options, err
		}
		options.Keys[name] = keys
	}
	return options, nil
}

func readKeys(file string) (*policy.Keys, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	keys, err := policy.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

// splitKeys reads NAME=FILE, where the name may be an address with = in it, or
// FILE alone.
func splitKeys(given string) (name, file string) {
	for i := len(given) - 1; i > 0; i-- {
		if given[i] == '=' {
			return given[:i], given[i+1:]
		}
	}
	return "", given
}

// answerAll decides the requests of --requests. One that is unknown makes the
// answer partial.
func (o *simulateOptions) answerAll(ctx context.Context, simulator *policy.Simulator) error {
	in := o.streams.In
	if o.requests != "-" {
		f, err := os.Open(o.requests)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	answers, err := simulator.AnswerAll(ctx, o.requests, in, o.custom)
	if err != nil {
		return err
	}
	if _, err := answers.WriteTo(o.streams.Out); err != nil {
		return err
	}
	if answers.Unknown > 0 {
		return partial{fmt.Sprintf("%d of %d verdicts are unknown; the first: %s", answers.Unknown, answers.Total, answers.First)}
	}
	return nil
}
