package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// snapshotFlags say which manifests make up the mesh.
type snapshotFlags struct {
	input      inputFlags
	meshConfig string
	namespace  string
}

func (f *snapshotFlags) register(cmd *cobra.Command) {
	f.input.register(cmd.Flags())
	cmd.Flags().StringVar(&f.meshConfig, "mesh-config", "", "mesh config: the raw config, its ConfigMap, or a stream that holds it")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of objects that name none")
}

// load reads the mesh.
func (f *snapshotFlags) load(ctx context.Context, streams genericiooptions.IOStreams) (*mesh.Snapshot, error) {
	loaded, err := f.input.load(ctx, streams.In, streams.ErrOut)
	if err != nil {
		return nil, err
	}
	o := mesh.Options{Namespace: f.namespace}
	if f.meshConfig != "" {
		text, err := os.ReadFile(f.meshConfig)
		if err != nil {
			return nil, err
		}
		if text, err = inject.ExtractConfigMap(f.meshConfig, text, inject.MeshConfigMap, "", "mesh"); err != nil {
			return nil, err
		}
		if o.Config, err = mesh.ParseConfig(text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.meshConfig, err)
		}
	}
	return mesh.Build(loaded, o)
}

type simulateOptions struct {
	streams  genericiooptions.IOStreams
	snapshot snapshotFlags
	requests string
	custom   string
	output   string
}

func newSimulateCmd(streams genericiooptions.IOStreams, runF func(context.Context, *simulateOptions) error) *cobra.Command {
	o := &simulateOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "simulate -f FILE|DIRECTORY|ADDRESS|- --requests FILE",
		Short: "Decide requests as istiod's configuration and Envoy would",
		Long: `Decide requests as a sidecar would that runs istiod's configuration for these
manifests: mTLS mode, tokens, and the policies of every action.

--requests reads one JSON object a line and answers each with one line. A
verdict is allow, deny (403 or a closed connection), unauthenticated (401),
refused (no filter chain, or TLS fails), rejected (400, before any policy), or
unknown, where an external authorizer decides and --custom does not say how.

Exit status: 0 all requests were answered, 2 the input cannot be read, 3 some
verdict is unknown.`,
		Example: `  meshctl policy simulate -f manifests/ --requests requests.jsonl
  meshctl policy simulate -f manifests/ --mesh-config mesh.yaml --requests - -o jsonl --custom deny`,
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
	cmd.Flags().StringVar(&o.requests, "requests", "", "requests to decide: a file with one JSON object a line, or - for standard input")
	cmd.Flags().StringVar(&o.custom, "custom", "", "what external authorizers answer: allow, deny or error")
	cmd.Flags().StringVarP(&o.output, "output", "o", "jsonl", "format: jsonl, one verdict a line")
	return cmd
}

func (o *simulateOptions) complete(cmd *cobra.Command) error {
	if err := o.snapshot.input.complete(cmd, nil); err != nil {
		return err
	}
	switch {
	case o.requests == "":
		return usagef(cmd, "no requests: give --requests FILE, or - for standard input")
	case o.requests == "-" && slices.Contains(o.snapshot.input.filenames, "-"):
		return usagef(cmd, "standard input (-) can be read only once")
	case !slices.Contains([]string{"", "allow", "deny", "error"}, o.custom):
		return usagef(cmd, "custom %q: expected allow, deny or error", o.custom)
	case o.output != "jsonl":
		return usagef(cmd, "output %q: expected jsonl", o.output)
	}
	return nil
}

func (o *simulateOptions) run(ctx context.Context) error {
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	requests, err := o.read()
	if err != nil {
		return err
	}
	simulator := policy.Options{Now: time.Now()}.NewSimulator(snapshot)
	answers, err := simulator.EvaluateAll(ctx, requests, o.custom)
	if err != nil {
		return err
	}
	return o.print(answers)
}

func (o *simulateOptions) read() ([]policy.Request, error) {
	if o.requests == "-" {
		return policy.ReadRequests("-", o.streams.In)
	}
	f, err := os.Open(o.requests)
	if err != nil {
		return nil, err
	}
	requests, err := policy.ReadRequests(o.requests, f)
	return requests, errors.Join(err, f.Close())
}

// print writes one verdict a line. One that is unknown makes the answer partial.
func (o *simulateOptions) print(verdicts []policy.Verdict) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	unknown := 0
	for i := range verdicts {
		if verdicts[i].Outcome == policy.Unknown {
			unknown++
		}
		if err := encoder.Encode(&verdicts[i]); err != nil {
			return err
		}
	}
	w := bufio.NewWriter(o.streams.Out)
	if _, err := io.Copy(w, &out); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if unknown > 0 {
		return partial{fmt.Sprintf("%d of %d verdicts are unknown: an external authorizer decides; --custom says what it answers", unknown, len(verdicts))}
	}
	return nil
}
