package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

type envoyRunOptions struct {
	streams   genericiooptions.IOStreams
	snapshot  snapshotFlags
	workloads []string
	as        []string
	custom    string
	duration  time.Duration
}

func newEnvoyRunCmd(streams genericiooptions.IOStreams, runF func(context.Context, *envoyRunOptions) error) *cobra.Command {
	o := &envoyRunOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "run -f FILE|DIRECTORY|ADDRESS|-",
		Short: "Run sidecars in a real Envoy on this machine",
		Long: `Start one real Envoy with what istiod would send to the sidecars of workloads, and
print commands that call them: without TLS, with a client certificate, and through
the sidecar of another workload. Each workload has an address in 127.0.0.0/8 and an
application that answers with what it was asked.

Certificates and keys are made for this run. The keys of clients are in a folder
that only this user can read; it goes when the command ends. Ctrl-C or SIGTERM, or
the time of --for, ends it and all that it started.

External authorizers are stood in for by one that answers as --custom says. Keys
behind a jwksUri are not fetched, so tokens that need them are not valid. What
Envoy cannot run here is left out: gateways, and endpoints outside of the manifests.

Envoy is looked for ` + whereEnvoyIs + `.

Exit status: 0 it ran until it was told to end; 2 it cannot run, or Envoy ended.`,
		Example: `  meshctl envoy run -f manifests/
  meshctl envoy run -f manifests/ --workload shop/web --workload shop/curl --as shop/curl
  meshctl envoy run -f manifests/ --for 30s -v`,
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
	flags := cmd.Flags()
	flags.Lookup("verbose").Usage = "list the files that were skipped, and print Envoy's own log"
	flags.StringArrayVar(&o.workloads, "workload", nil, "workload to run: NAMESPACE/NAME or KIND/NAME.NAMESPACE; repeatable (default all that have a sidecar)")
	flags.StringArrayVar(&o.as, "as", nil, "who the commands call as: NAMESPACE/SERVICEACCOUNT or a SPIFFE ID; repeatable (default another workload that runs)")
	flags.StringVar(&o.custom, "custom", string(policy.Allow), "what external authorizers answer: allow, deny or error")
	flags.DurationVar(&o.duration, "for", 0, "end after this time, such as 30s; 0 is never")
	return cmd
}

func (o *envoyRunOptions) complete(cmd *cobra.Command) error {
	if err := o.snapshot.complete(cmd); err != nil {
		return err
	}
	switch {
	case o.duration < 0:
		return usagef(cmd, "for %s: expected a time that is not negative", o.duration)
	case o.custom != "allow" && o.custom != "deny" && o.custom != "error":
		return usagef(cmd, "custom %q: expected allow, deny or error", o.custom)
	}
	return nil
}

func (o *envoyRunOptions) run(ctx context.Context) (err error) {
	ctx, ignore := untilHangUp(ctx)
	defer ignore()
	binary, err := findEnvoy()
	if err != nil {
		return err
	}
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	callers, err := o.callers(snapshot)
	if err != nil {
		return err
	}
	workloads, err := o.pick(snapshot)
	if err != nil {
		return err
	}
	simulator := policy.NewSimulator(snapshot)
	roster := live.NewRoster(envoy.NewGenerator(snapshot, simulator), snapshot.Config.TrustDomain)
	options := live.Options{
		Binary: binary, Form: envoy.OwnAddresses, TrustDomain: snapshot.Config.TrustDomain, Now: time.Now, Senders: true, Custom: o.custom,
	}
	if o.snapshot.input.verbose {
		options.Log = o.streams.ErrOut
	}
	if o.workloads == nil {
		options.Plain = withoutSidecars(snapshot)
	}
	for _, w := range workloads {
		if _, err := roster.Add(w); err != nil {
			return err
		}
	}
	sidecars, err := live.Start(ctx, roster.Workloads, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sidecars.Close()) }()
	lines, err := newCallLines(snapshot, simulator, sidecars, callers).all(workloads, roster.Workloads)
	if err != nil {
		return err
	}
	if err := printer.Lines(o.streams.Out, lines...); err != nil {
		return err
	}
	return o.wait(ctx, sidecars.Process())
}

// wait returns when the run is to end: being told so is what is expected.
func (o *envoyRunOptions) wait(ctx context.Context, p *live.Process) error {
	var end <-chan time.Time
	if o.duration > 0 {
		end = time.After(o.duration)
	}
	select {
	case <-ctx.Done():
	case <-end:
	case <-p.Exited():
		return p.Err()
	}
	return nil
}

// pick finds the workloads; all must have a sidecar.
func (o *envoyRunOptions) pick(s *mesh.Snapshot) ([]*mesh.Workload, error) {
	if o.workloads == nil {
		return withSidecars(s)
	}
	var picked []*mesh.Workload
	for _, name := range o.workloads {
		w, err := s.FindWorkload(name, o.snapshot.defaultNamespace())
		if err != nil {
			return nil, err
		}
		if !w.Membership.Sidecar {
			return nil, fmt.Errorf("%s has no sidecar to run: %s", w, w.Membership.Describe())
		}
		picked = append(picked, w)
	}
	return picked, nil
}

// callers are the SPIFFE IDs of --as.
func (o *envoyRunOptions) callers(s *mesh.Snapshot) ([]string, error) {
	var all []string
	for _, text := range o.as {
		id, err := callerIdentity(s, text)
		if err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, nil
}

// withoutSidecars are the workloads that others may call without a sidecar in
// between, and their ports.
func withoutSidecars(s *mesh.Snapshot) map[string][]uint32 {
	all := map[string][]uint32{}
	for _, w := range s.Workloads {
		if w.Membership.Sidecar || w.IsGateway() {
			continue
		}
		for _, p := range s.InboundPorts(w) {
			name := w.Namespace + "/" + w.Name
			all[name] = append(all[name], uint32(p.Number)) //nolint:gosec // a port
		}
	}
	return all
}
