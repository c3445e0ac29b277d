package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

type envoyConfigOptions struct {
	streams   genericiooptions.IOStreams
	snapshot  snapshotFlags
	workloads []string
	all       bool
	form      string
	output    string
	force     bool
}

// Values of --form.
const (
	istiodForm = "istiod"
	staticForm = "static"
)

func newEnvoyConfigCmd(streams genericiooptions.IOStreams, runF func(context.Context, *envoyConfigOptions) error) *cobra.Command {
	o := &envoyConfigOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "config -f FILE|DIRECTORY|ADDRESS|- --workload NAMESPACE/NAME|--all",
		Short: "Print what istiod would tell a sidecar",
		Long: `Print the listeners, clusters, routes and endpoints that istiod would send to the
sidecar of a workload: names, matches, ALPN, TLS contexts, RBAC and JWT as istiod
writes them. Secrets are named, never shown; in keys of token rules that are in the
manifests "(not shown)" stands for what is secret, such as a symmetric key.

Addresses that a cluster would assign are made up: the same name always gets the
same address. Istio's own telemetry extensions, tracing, access logs and
EnvoyFilters are left out; -v says everything that is.

One workload is one document; several are a List. -o files=DIRECTORY writes
DIRECTORY/NAMESPACE/NAME/{listeners,clusters,routes,endpoints}.json.

--form static is a bootstrap by which a stock Envoy runs the sidecar on this
machine, without a control plane: it is called at an address in 127.0.0.0/8, the
application is expected at the same ports of 127.0.0.1, and other workloads are
called at the addresses of their own bootstraps. Comments in the YAML, or -v with
JSON, say where it takes what the application sends; ports below 1024 are 20000
higher there. -o files=DIRECTORY writes

  DIRECTORY/NAMESPACE/NAME/bootstrap.yaml    envoy --disable-hot-restart -c this
  DIRECTORY/NAMESPACE/NAME/{cert,root}.pem   made for it, valid for a day
  DIRECTORY/NAMESPACE/NAME/key.pem           only this user can read it

All of one run trust each other. A bootstrap.yaml that has to have a symmetric key
of a token rule is for this user only, too. Printed, the bootstrap names cert.pem,
key.pem and root.pem in the current folder; keys are never printed.

Exit status: 0 done; 2 the input cannot be read or names what is not there.`,
		Example: `  meshctl envoy config -f manifests/ --workload shop/web
  meshctl envoy config -f manifests/ --workload deploy/web.shop --mesh-config mesh.yaml -o yaml
  meshctl envoy config -f manifests/ --all -o files=config/
  meshctl envoy config -f manifests/ --all --form static -o files=run/ && envoy --disable-hot-restart -c run/shop/web/bootstrap.yaml`,
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
	cmd.Flags().Lookup("verbose").Usage = "list the files that were skipped, and what configurations leave out"
	cmd.Flags().StringArrayVar(&o.workloads, "workload", nil, "workload to configure: NAMESPACE/NAME or KIND/NAME.NAMESPACE; repeatable")
	cmd.Flags().BoolVar(&o.all, "all", false, "configure all workloads that have a sidecar")
	cmd.Flags().StringVar(&o.form, "form", istiodForm, "istiod (what it would send), or static (a bootstrap that a stock Envoy runs here)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "json", "form: json, yaml, or files=DIRECTORY (four files a workload)")
	cmd.Flags().BoolVar(&o.force, "force", false, "overwrite files of -o files=DIRECTORY")
	return cmd
}

func (o *envoyConfigOptions) complete(cmd *cobra.Command) error {
	if err := o.snapshot.complete(cmd); err != nil {
		return err
	}
	form, dir, files := strings.Cut(o.output, "=")
	switch {
	case files && form == "files" && dir != "", !files && (form == "json" || form == "yaml"):
	default:
		return usagef(cmd, "output %q: expected json, yaml or files=DIRECTORY", o.output)
	}
	switch {
	case o.form != istiodForm && o.form != staticForm:
		return usagef(cmd, "form %q: expected istiod or static", o.form)
	case o.form == staticForm && !files && (o.all || len(o.workloads) > 1):
		return usagef(cmd, "--form static prints one workload: name one, or write all with -o files=DIRECTORY")
	case o.all && len(o.workloads) > 0:
		return usagef(cmd, "--workload and --all exclude each other")
	case !o.all && len(o.workloads) == 0:
		return usagef(cmd, "no workload: give --workload NAMESPACE/NAME or --all")
	}
	return nil
}

func (o *envoyConfigOptions) run(ctx context.Context) error {
	snapshot, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	workloads, err := o.pick(snapshot)
	if err != nil {
		return err
	}
	if o.snapshot.input.verbose {
		for _, what := range envoy.LeftOut(snapshot) {
			if err := printer.Lines(o.streams.ErrOut, "left out: "+what); err != nil {
				return err
			}
		}
	}
	if err := o.tellBypasses(snapshot, workloads); err != nil {
		return err
	}
	generator := envoy.NewGenerator(snapshot, policy.NewSimulator(snapshot))
	if o.form == staticForm {
		return o.static(snapshot, generator, workloads)
	}
	configs := make([]*envoy.Config, len(workloads))
	err = workers.Each(ctx, len(workloads), 1, func(i int) (err error) {
		config, err := generator.Config(workloads[i])
		if err == nil {
			configs[i] = config.Shown()
		}
		return err
	})
	if err != nil {
		return err
	}
	return o.print(workloads, configs)
}

// tellBypasses says which ports a sidecar is told of and does not see.
func (o *envoyConfigOptions) tellBypasses(s *mesh.Snapshot, workloads []*mesh.Workload) error {
	if !o.snapshot.input.verbose && o.form != staticForm {
		return nil
	}
	var lines []string
	for _, w := range workloads {
		for _, p := range s.InboundPorts(w) {
			if annotation, bypasses := w.BypassesInbound(p.Number); bypasses {
				lines = append(lines, fmt.Sprintf("note: on a pod of %s port %d bypasses the sidecar (%s): what is configured for it decides nothing", w, p.Number, annotation))
			}
		}
	}
	return printer.Lines(o.streams.ErrOut, lines...)
}

// pick finds the workloads. One without a sidecar is configured all the same if
// it is asked for, with a warning.
func (o *envoyConfigOptions) pick(s *mesh.Snapshot) ([]*mesh.Workload, error) {
	if o.all {
		return withSidecars(s)
	}
	var picked []*mesh.Workload
	for _, name := range o.workloads {
		w, err := s.FindWorkload(name, o.snapshot.defaultNamespace())
		if err != nil {
			return nil, err
		}
		if !w.Membership.Sidecar {
			text := fmt.Sprintf("warning: %s has no sidecar: %s; this is what one would be told", w, w.Membership.Describe())
			if err := printer.Lines(o.streams.ErrOut, text); err != nil {
				return nil, err
			}
		}
		picked = append(picked, w)
	}
	return picked, nil
}

// withSidecars are all workloads that have one.
func withSidecars(s *mesh.Snapshot) ([]*mesh.Workload, error) {
	var all []*mesh.Workload
	for _, w := range s.Workloads {
		if w.Membership.Sidecar && !w.IsGateway() {
			all = append(all, w)
		}
	}
	if all == nil {
		return nil, errors.New("no workload in the manifests has a sidecar")
	}
	return all, nil
}

func (o *envoyConfigOptions) print(workloads []*mesh.Workload, configs []*envoy.Config) error {
	encoder := envoy.NewEncoder()
	switch form, dir, _ := strings.Cut(o.output, "="); form {
	case "files":
		return o.writeFiles(dir, encoder, workloads, configs)
	case "yaml":
		if len(configs) == 1 {
			return printer.YAML(o.streams.Out, configs[0])
		}
		return printer.YAML(o.streams.Out, struct {
			Kind  string          `json:"kind"`
			Items []*envoy.Config `json:"items"`
		}{"List", configs})
	}
	return encoder.Write(o.streams.Out, configs)
}

// writeFiles writes four files a workload. Of workloads of one name the later
// ones have their kind in it.
func (o *envoyConfigOptions) writeFiles(dir string, encoder *envoy.Encoder, workloads []*mesh.Workload, configs []*envoy.Config) error {
	texts := map[string][]byte{}
	for i, w := range workloads {
		place := filepath.Join(dir, pathPart(w.Namespace), pathPart(w.Name))
		if texts[filepath.Join(place, "listeners.json")] != nil {
			place += "-" + strings.ToLower(pathPart(w.Kind))
		}
		files, err := encoder.Files(configs[i])
		if err != nil {
			return err
		}
		for name, text := range files {
			texts[filepath.Join(place, name)] = text
		}
	}
	return o.writeNew(texts, nil)
}

// writeNew writes files that must not be there yet, unless --force says so. What
// is secret goes into files, and folders, that only the user can read.
func (o *envoyConfigOptions) writeNew(public, secret map[string][]byte) error {
	var files []atomicfile.File
	folder := os.FileMode(0o755)
	if secret != nil {
		folder = 0o700
	}
	all := maps.Clone(public)
	maps.Copy(all, secret)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, err := os.Lstat(name); err == nil && !o.force {
			return fmt.Errorf("%s: exists already: use --force to overwrite", name)
		}
		if err := os.MkdirAll(filepath.Dir(name), folder); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if secret[name] != nil {
			mode = 0o600
		}
		files = append(files, atomicfile.File{Name: name, Data: all[name], Mode: mode})
	}
	return atomicfile.Write(files...)
}

// pathPart is a name without anything that could lead elsewhere.
func pathPart(name string) string {
	if part := strings.Trim(unsafeName.ReplaceAllString(name, "-"), ".-"); part != "" {
		return part
	}
	return "unnamed"
}
