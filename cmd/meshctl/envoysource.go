package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/diff"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// sourceFlags say how manifests become configurations.
type sourceFlags struct {
	snapshotFlags
	workloads []string
	all       bool
}

func (f *sourceFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.meshConfig, "mesh-config", "", "mesh config of manifests: the raw config, its ConfigMap, or a stream that holds it")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of objects and of names that come without one (default \"default\")")
	flags.StringSliceVar(&f.podTemplates, "pod-template", nil, "another kind that runs pods: Kind.group=path, such as CloneSet.apps.kruise.io=spec.template; repeatable")
	flags.BoolVar(&f.assumeInjected, "assume-injected", true, "take a workload for one with a sidecar where nothing in the manifests tells")
	flags.BoolVarP(&f.input.recursive, "recursive", "R", false, "read the subdirectories of directories of manifests too")
	flags.BoolVarP(&f.input.verbose, "verbose", "v", false, "list the files that were skipped")
	flags.StringArrayVar(&f.workloads, "workload", nil, "workload to compare: NAMESPACE/NAME; repeatable (default all)")
	flags.BoolVar(&f.all, "all", false, "compare all workloads (the default)")
}

// source is what an argument turned out to be: a mesh to render, or
// configurations as they are.
type source struct {
	name     string
	snapshot *mesh.Snapshot
	dumps    []*envoy.Dump
}

// maxInput limits the bytes of standard input.
const maxInput = 256 << 20

// open finds out what an argument is, by its content.
func (f *sourceFlags) open(ctx context.Context, streams genericiooptions.IOStreams, argument string) (*source, error) {
	info, err := os.Stat(argument)
	switch {
	case argument == "-":
		text, err := io.ReadAll(io.LimitReader(streams.In, maxInput+1))
		if err != nil {
			return nil, err
		}
		return f.text(argument, text)
	case err == nil && info.IsDir():
		if dir := os.DirFS(argument); envoy.IsConfigDir(dir) {
			dumps, err := envoy.ReadConfigDir(argument, dir)
			return &source{name: argument, dumps: dumps}, err
		}
		return f.manifests(ctx, streams, argument)
	case err == nil:
		return f.file(ctx, streams, argument)
	}
	if revision, _, ok := strings.Cut(argument, ":"); ok && revision != "" && !strings.Contains(argument, "://") {
		return f.git(ctx, argument)
	}
	return nil, &meshreport.InputError{Location: meshreport.Location{File: argument}, Err: err, Hint: "give a file, a directory, or REVISION:PATH of a git repository"}
}

// isConfig tells a configuration of Envoy from manifests: those always say
// their apiVersion.
func isConfig(text []byte) bool {
	if bytes.HasPrefix(text, []byte("\x1f\x8b")) {
		return true // gzip: dumps are large, and manifests are not read from it
	}
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return !bytes.Contains(trimmed[:min(len(trimmed), 1<<16)], []byte(`"apiVersion"`))
	}
	return bytes.Contains(trimmed[:min(len(trimmed), 1<<16)], []byte("kind: EnvoyConfig"))
}

func (f *sourceFlags) file(ctx context.Context, streams genericiooptions.IOStreams, name string) (*source, error) {
	file, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	begin := make([]byte, 1<<16)
	n, err := io.ReadFull(file, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if !isConfig(begin[:n]) {
		return f.manifests(ctx, streams, name)
	}
	dumps, err := envoy.ReadConfig(name, io.MultiReader(bytes.NewReader(begin[:n]), file))
	return &source{name: name, dumps: dumps}, err
}

func (f *sourceFlags) text(name string, text []byte) (*source, error) {
	if isConfig(text) {
		dumps, err := envoy.ParseConfig(name, text)
		return &source{name: name, dumps: dumps}, err
	}
	stream, err := manifest.Read(name, text)
	if err != nil {
		return nil, err
	}
	return f.build(name, []*manifest.Stream{stream})
}

func (f *sourceFlags) manifests(ctx context.Context, streams genericiooptions.IOStreams, name string) (*source, error) {
	input := f.input
	input.filenames = []string{name}
	loaded, err := input.load(ctx, streams.In, streams.ErrOut)
	if err != nil {
		return nil, err
	}
	return f.build(name, loaded)
}

func (f *sourceFlags) build(name string, loaded []*manifest.Stream) (*source, error) {
	o, err := f.options(f.meshConfig)
	if err != nil {
		return nil, err
	}
	s, err := mesh.Build(loaded, o)
	return &source{name: name, snapshot: s}, err
}

// git reads REVISION:PATH of the repository around the current directory.
func (f *sourceFlags) git(ctx context.Context, argument string) (*source, error) {
	s, err := f.committed(ctx, repository{"."}, argument)
	if err == nil {
		return s, nil
	}
	if input := (*meshreport.InputError)(nil); errors.As(err, &input) {
		return nil, err
	}
	return nil, &meshreport.InputError{
		Location: meshreport.Location{File: argument}, Err: err, Hint: "expected a file, a directory, or REVISION:PATH of the git repository here",
	}
}

func (f *sourceFlags) committed(ctx context.Context, r repository, argument string) (*source, error) {
	ref, name, _ := strings.Cut(argument, ":")
	commit, err := r.git(ctx, nil, "rev-parse", "--verify", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("git: no commit %q: %w", ref, err)
	}
	object := strings.TrimSpace(string(commit)) + ":" + rooted(name)
	if text, err := r.git(ctx, nil, "cat-file", "blob", object); err == nil && isConfig(text) {
		dumps, err := envoy.ParseConfig(argument, text)
		return &source{name: argument, dumps: dumps}, err
	}
	if tree, err := committedTree(ctx, r, object); err == nil && envoy.IsConfigDir(tree) {
		dumps, err := envoy.ReadConfigDir(argument, tree)
		return &source{name: argument, dumps: dumps}, err
	}
	loaded, err := r.load(ctx, ref, name, f.input.recursive)
	if err != nil {
		return nil, err
	}
	return f.build(argument, loaded)
}

// committedTree is a directory of a commit. It fails for what is none.
func committedTree(ctx context.Context, r repository, object string) (fs.FS, error) {
	id, err := r.git(ctx, nil, "rev-parse", "--verify", object+"^{tree}")
	if err != nil {
		return nil, err
	}
	// Below the top git would leave out what is elsewhere; with its folder named it
	// does not.
	where, err := r.git(ctx, nil, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return nil, err
	}
	archive, err := r.git(ctx, nil, "--git-dir="+strings.TrimSpace(string(where)), "archive", "--format=zip", "-0", strings.TrimSpace(string(id)))
	if err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
}

// side renders the workloads that were asked for.
func (f *sourceFlags) side(s *source, only map[string]bool) (diff.Side, error) {
	side := diff.Side{}
	wanted := func(name string) bool { return only == nil || only[name] }
	for _, d := range s.dumps {
		if wanted(d.Workload) || len(s.dumps) == 1 && d.Workload == "" {
			side.Dumps = append(side.Dumps, d)
		}
	}
	if s.snapshot == nil {
		return side, nil
	}
	side.Models, side.Snapshot = map[string]*policy.Model{}, s.snapshot
	simulator := policy.NewSimulator(s.snapshot)
	generator := envoy.NewGenerator(s.snapshot, simulator)
	for _, w := range s.snapshot.Workloads {
		name := w.Namespace + "/" + w.Name
		if !wanted(name) || w.IsGateway() || !w.Membership.Sidecar || side.Models[name] != nil {
			continue
		}
		config, err := generator.Config(w)
		if err != nil {
			return side, err
		}
		side.Dumps = append(side.Dumps, &envoy.Dump{Config: *config})
		side.Models[name] = simulator.Model(w)
	}
	return side, nil
}

// sides opens both arguments, and makes the configurations of the workloads to
// compare: those that were asked for, or that of the one dump that is given, or
// all.
func (f *sourceFlags) sides(ctx context.Context, streams genericiooptions.IOStreams, arguments []string) (before, after diff.Side, err error) {
	a, err := f.open(ctx, streams, arguments[0])
	if err != nil {
		return before, after, err
	}
	b, err := f.open(ctx, streams, arguments[1])
	if err != nil {
		return before, after, err
	}
	only := map[string]bool{}
	for _, name := range f.workloads {
		only[name] = true
	}
	for _, s := range []*source{a, b} {
		if len(f.workloads) == 0 && len(s.dumps) == 1 && a.snapshot != nil != (b.snapshot != nil) && !f.all {
			if only[s.dumps[0].Workload] = true; s.dumps[0].Workload == "" {
				return before, after, &meshreport.InputError{Location: meshreport.Location{File: s.name}, Err: errors.New("nothing tells whose proxy it is"), Hint: "give --workload NAMESPACE/NAME"}
			}
		}
	}
	if len(only) == 0 {
		only = nil
	}
	if before, err = f.side(a, only); err != nil {
		return before, after, err
	}
	if after, err = f.side(b, only); err != nil {
		return before, after, err
	}
	hideAlike(before.Dumps, after.Dumps)
	return before, after, missingWorkload(only, a, b, before, after)
}

// hideAlike lets no key differ from one that is not shown.
func hideAlike(dumps ...[]*envoy.Dump) {
	all := slices.Concat(dumps...)
	if !slices.ContainsFunc(all, func(d *envoy.Dump) bool { return d.Hides() }) {
		return
	}
	for _, d := range all {
		d.Config = *d.Shown()
	}
}

// missingWorkload is an error for a workload that was asked for and that neither
// side has, and for none at all.
func missingWorkload(only map[string]bool, a, b *source, before, after diff.Side) error {
	found := map[string]bool{"": true}
	for _, d := range slices.Concat(before.Dumps, after.Dumps) {
		found[d.Workload] = true
	}
	none := len(before.Dumps)+len(after.Dumps) == 0
	for _, name := range slices.Sorted(maps.Keys(only)) {
		if !found[name] && (none || a.snapshot != nil || b.snapshot != nil || len(found) > 1) {
			return fmt.Errorf("no workload %s with a sidecar in %s or %s; there are %s", name, a.name, b.name, strings.Join(sidecarNames(a, b), ", "))
		}
	}
	if none {
		return fmt.Errorf("no workload with a sidecar in %s or %s", a.name, b.name)
	}
	return nil
}

// sidecarNames are the workloads of sources, sorted.
func sidecarNames(sources ...*source) []string {
	names := map[string]bool{}
	for _, s := range sources {
		for _, d := range s.dumps {
			names[orUnnamed(d.Workload)] = true
		}
		if s.snapshot == nil {
			continue
		}
		for _, w := range s.snapshot.Workloads {
			if w.Membership.Sidecar && !w.IsGateway() {
				names[w.Namespace+"/"+w.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
