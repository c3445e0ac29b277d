package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// testFlags say which tests to run, and on which meshes.
type testFlags struct {
	snapshot snapshotFlags // in place of the files' own inputs
	jwks     []string
	paths    []string
}

func (f *testFlags) register(cmd *cobra.Command) {
	f.snapshot.register(cmd)
	cmd.Flags().StringArrayVar(&f.jwks, "jwks", nil, "what a jwksUri serves: FILE, or JWKSURI=FILE or ISSUER=FILE; repeatable")
	for name, usage := range map[string]string{
		"filename":    "manifest to read in place of the test files' inputs: a file, a directory, an address, or - for standard input; repeatable",
		"kustomize":   "kustomization directory to build and read in place of the test files' inputs",
		"mesh-config": "mesh config in place of the test files': the raw config, its ConfigMap, or a stream that holds it",
		"recursive":   "read the subdirectories of manifests' directories too",
	} {
		cmd.Flags().Lookup(name).Usage = usage
	}
}

// complete takes arguments as directories and files of tests.
func (f *testFlags) complete(cmd *cobra.Command, args []string) error {
	f.paths = args
	if len(args) == 0 {
		f.paths = []string{"."}
	}
	return f.snapshot.validate(cmd)
}

// load reads the tests and the meshes that they are about. It fails with all
// that is wrong with any of them.
func (f *testFlags) load(ctx context.Context, streams genericiooptions.IOStreams) ([]policytest.Suite, error) {
	names, err := findTests(f.paths)
	if err != nil {
		return nil, err
	}
	files, err := parseTests(ctx, names)
	problems := []error{err}
	l := &meshLoader{testFlags: f, streams: streams, meshes: map[string]*mesh.Snapshot{}, options: map[string]*policy.Options{}}
	var suites []policytest.Suite
	for _, file := range files {
		suite, err := l.suite(ctx, file)
		problems = append(problems, err)
		suites = append(suites, suite)
	}
	return suites, errors.Join(problems...)
}

// isTestFile tells by its name what is found without being named.
func isTestFile(name string) bool {
	return strings.HasSuffix(name, ".meshtest.yaml") || strings.HasSuffix(name, ".meshtest.yml")
}

// findTests lists the test files of directories, and files that are named.
func findTests(paths []string) ([]string, error) {
	var files []string
	var problems []error
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("open %s: %w", path, errors.Unwrap(err)))
		case info.IsDir():
			found, err := walkTests(path)
			problems = append(problems, err)
			files = append(files, found...)
		default:
			files = append(files, filepath.Clean(path))
		}
	}
	slices.Sort(files)
	return slices.Compact(files), errors.Join(problems...)
}

func walkTests(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case !entry.IsDir() && isTestFile(entry.Name()):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && files == nil {
		err = &meshreport.InputError{
			Location: meshreport.Location{File: dir}, Err: errors.New("no *.meshtest.yaml file in this directory or below"),
			Hint: "meshctl policy test --init -f MANIFESTS writes a first one, which pins what the policies do today",
		}
	}
	return files, err
}

func parseTests(ctx context.Context, names []string) ([]*policytest.File, error) {
	var files []*policytest.File
	var problems []error
	for _, name := range names {
		loaded, err := manifest.Loader{}.Load(ctx, []string{name})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, stream := range loaded.Streams {
			parsed, err := policytest.Parse(stream)
			files, problems = append(files, parsed...), append(problems, err)
		}
	}
	return files, errors.Join(problems...)
}

// meshLoader builds the mesh of each test file, once for those that have the
// same.
type meshLoader struct {
	*testFlags
	streams genericiooptions.IOStreams
	given   []*manifest.Stream // of the flags
	meshes  map[string]*mesh.Snapshot
	options map[string]*policy.Options
}

func (l *meshLoader) suite(ctx context.Context, file *policytest.File) (policytest.Suite, error) {
	s := policytest.Suite{File: file, Namespace: l.snapshot.defaultNamespace()}
	if file.Namespace != "" && l.snapshot.namespace == "" && !l.snapshot.allNamespaces {
		s.Namespace = file.Namespace
	}
	var err, keys error
	s.Mesh, err = l.mesh(ctx, file)
	s.Policy, keys = l.policyOptions(file)
	return s, errors.Join(err, keys)
}

// mesh builds the mesh of a file; one that cannot be built is told once.
func (l *meshLoader) mesh(ctx context.Context, file *policytest.File) (*mesh.Snapshot, error) {
	flags := l.snapshot
	if flags.namespace == "" && !flags.allNamespaces {
		flags.namespace = file.Namespace
	}
	if flags.meshConfig == "" && file.MeshConfig != nil && !flags.fromCluster {
		flags.meshConfig = beside(file, file.MeshConfig.Path)
		if _, err := os.Stat(flags.meshConfig); err != nil {
			return nil, file.Fault(*file.MeshConfig, "", fmt.Errorf("open %s: %w", flags.meshConfig, errors.Unwrap(err)))
		}
	}
	key := fmt.Sprintf("%q %q", flags.namespace, flags.meshConfig)
	if !flags.given() {
		key += inputKey(file)
	}
	if built, known := l.meshes[key]; known {
		return built, nil
	}
	l.meshes[key] = nil
	var err error
	l.meshes[key], err = l.build(ctx, &flags, file)
	return l.meshes[key], err
}

func (l *meshLoader) build(ctx context.Context, flags *snapshotFlags, file *policytest.File) (*mesh.Snapshot, error) {
	if flags.fromCluster {
		return flags.load(ctx, l.streams)
	}
	o, err := flags.options(flags.meshConfig)
	if err != nil {
		return nil, err
	}
	if !flags.given() {
		streams, err := l.inputs(ctx, file)
		if err != nil {
			return nil, err
		}
		return mesh.Build(streams, o)
	}
	if l.given == nil { // standard input can be read only once
		if l.given, err = flags.input.load(ctx, l.streams.In, l.streams.ErrOut); err != nil {
			return nil, err
		}
	}
	return mesh.Build(l.given, o)
}

// beside is a path relative to a test file.
func beside(file *policytest.File, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(file.Source), path)
}

func inputsOf(file *policytest.File) []policytest.Input {
	if file.Inputs == nil {
		return []policytest.Input{{Path: "."}}
	}
	return file.Inputs
}

// inputKey is the same for files with the same inputs.
func inputKey(file *policytest.File) string {
	var key strings.Builder
	for _, input := range inputsOf(file) {
		path := beside(file, input.Path)
		if input.GitRef != "" {
			path = filepath.Dir(file.Source) + ":" + input.Path
		}
		if input.Kustomize != "" {
			path = beside(file, input.Kustomize)
		}
		fmt.Fprintf(&key, " %q %v %q %v", path, input.Recursive, input.GitRef, input.Kustomize != "")
	}
	return key.String()
}

// inputs reads the manifests that a file names. Faults of what it names are
// placed in the file.
func (l *meshLoader) inputs(ctx context.Context, file *policytest.File) ([]*manifest.Stream, error) {
	var all []*manifest.Stream
	var problems []error
	seen := map[string]bool{}
	for _, input := range inputsOf(file) {
		streams, err := l.input(ctx, file, input)
		problems = append(problems, err)
		for _, s := range streams {
			if !seen[s.Name] && !isTestFile(s.Name) {
				seen[s.Name] = true
				all = append(all, s)
			}
		}
	}
	return all, errors.Join(problems...)
}

func (l *meshLoader) input(ctx context.Context, file *policytest.File, input policytest.Input) ([]*manifest.Stream, error) {
	loader := manifest.Loader{Build: buildKustomization, Recursive: input.Recursive || l.snapshot.input.recursive, Whole: true}
	switch {
	case input.GitRef != "":
		streams, err := repository{filepath.Dir(file.Source)}.load(ctx, input.GitRef, filepath.ToSlash(input.Path), loader.Recursive)
		if err != nil && !errors.As(err, new(*meshreport.InputError)) {
			err = file.Fault(input, "", err)
		}
		return streams, err
	case input.Kustomize != "":
		loaded, err := loader.LoadKustomization(beside(file, input.Kustomize))
		if err != nil {
			return nil, err
		}
		return loaded.Streams, nil
	}
	paths, err := expandGlob(beside(file, input.Path))
	if err != nil {
		if input.At.File == "" { // the default
			return nil, err
		}
		return nil, file.Fault(input, "paths are relative to this file", err)
	}
	loaded, err := loader.Load(ctx, paths)
	if err != nil {
		return nil, err
	}
	return loaded.Streams, l.snapshot.input.listSkipped(l.streams.ErrOut, loaded.Skipped)
}

// expandGlob lists what a path or a pattern names.
func expandGlob(path string) ([]string, error) {
	_, err := os.Stat(path)
	if err == nil {
		return []string{path}, nil
	}
	if !strings.ContainsAny(path, "*?[") {
		return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	found, err := filepath.Glob(path)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no file matches %s", path)
	}
	return slices.DeleteFunc(found, isTestFile), err
}

// policyOptions are those of a file: its keys, with those of the flags over
// them. The time of real tokens is not checked, so that tests stay the same.
func (l *meshLoader) policyOptions(file *policytest.File) (*policy.Options, error) {
	var given []string
	for _, name := range slices.Sorted(maps.Keys(file.Keys)) {
		given = append(given, name+"="+beside(file, file.Keys[name].Path))
	}
	key := fmt.Sprintf("%q", given)
	if known := l.options[key]; known != nil {
		return known, nil
	}
	options := &policy.Options{Keys: map[string]*policy.Keys{}}
	var problems []error
	for name, input := range file.Keys {
		keys, err := readKeys(beside(file, input.Path))
		if err != nil {
			problems = append(problems, file.Fault(input, "", err))
		}
		options.Keys[name] = keys
	}
	for _, text := range l.jwks {
		name, path := splitKeys(text)
		keys, err := readKeys(path)
		problems = append(problems, err)
		options.Keys[name] = keys
	}
	l.options[key] = options
	return options, errors.Join(problems...)
}
