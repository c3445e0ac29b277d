package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// defaultTestFile is what --init writes into a directory.
const defaultTestFile = "policies.meshtest.yaml"

// completeInit refuses what a test file cannot name.
func (o *policyTestOptions) completeInit(cmd *cobra.Command) error {
	snapshot := &o.tests.snapshot
	remote := func(name string) bool { return name == "-" || strings.Contains(name, "://") }
	switch {
	case len(o.tests.paths) > 1:
		return usagef(cmd, "--init writes one file: name one directory or file")
	case snapshot.fromCluster:
		return usagef(cmd, "--init writes a test of manifests: save the cluster's objects to a file first, and name that with -f")
	case slices.ContainsFunc(snapshot.input.filenames, remote):
		return usagef(cmd, "--init writes a test that names its manifests: save them to a file first, and name that with -f")
	case snapshot.allNamespaces:
		return usagef(cmd, "--all-namespaces is not for --init")
	}
	return nil
}

// initTests writes a first test file.
func (o *policyTestOptions) initTests(ctx context.Context) error {
	target, err := o.target()
	if err != nil {
		return err
	}
	snapshot := o.tests.snapshot
	start := policytest.Start{Name: testName(target), Namespace: snapshot.namespace}
	if !snapshot.given() { // those of the folder, which a file without inputs is about
		snapshot.input.filenames = []string{filepath.Dir(target)}
	}
	if start.Inputs, err = pinnedInputs(filepath.Dir(target), &snapshot.input); err != nil {
		return err
	}
	if snapshot.meshConfig != "" {
		if start.MeshConfig, err = relative(filepath.Dir(target), snapshot.meshConfig); err != nil {
			return err
		}
	}
	mesh, err := snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	text, err := policytest.Init(ctx, mesh, start)
	if err != nil {
		return err
	}
	file := atomicfile.File{Name: target, Data: text, Mode: 0o644}
	if _, err := os.Stat(target); err == nil {
		if file, err = atomicfile.Existing(target, text); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // tests are not secret
		return err
	}
	if err := atomicfile.Write(file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.streams.ErrOut, "wrote %s\n", target)
	return err
}

// target is the file to write.
func (o *policyTestOptions) target() (string, error) {
	target := o.tests.paths[0]
	if !isTestFile(target) {
		info, err := os.Stat(target)
		switch {
		case errors.Is(err, fs.ErrNotExist): // made when there is something to write
		case err != nil:
			return "", fmt.Errorf("open %s: %w", target, errors.Unwrap(err))
		case !info.IsDir():
			return "", fmt.Errorf("%s: expected a directory, or the name of a *.meshtest.yaml file", target)
		}
		target = filepath.Join(target, defaultTestFile)
	}
	if _, err := os.Lstat(target); err == nil && !o.format.force {
		return "", fmt.Errorf("%s: exists already: use --force to overwrite", target)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return target, nil
}

// testName is what a test is called after: its file or, for the usual one, its
// folder.
func testName(target string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(target), ".meshtest.yaml"), ".meshtest.yml")
	if filepath.Base(target) != defaultTestFile {
		return name
	}
	if dir, err := filepath.Abs(filepath.Dir(target)); err == nil && filepath.Dir(dir) != dir {
		return filepath.Base(dir)
	}
	return name
}

// pinnedInputs name the manifests as the test file will.
func pinnedInputs(dir string, given *inputFlags) ([]policytest.Input, error) {
	var all []policytest.Input
	for _, name := range given.filenames {
		path, err := relative(dir, name)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, errors.Unwrap(err))
		}
		all = append(all, policytest.Input{Path: path, Recursive: given.recursive && info.IsDir()})
	}
	if given.kustomize != "" {
		path, err := relative(dir, given.kustomize)
		if err != nil {
			return nil, err
		}
		all = append(all, policytest.Input{Kustomize: path})
	}
	if len(all) == 1 && all[0] == (policytest.Input{Path: "."}) {
		return nil, nil // the default
	}
	return all, nil
}

// relative is the path of a file seen from a directory.
func relative(dir, name string) (string, error) {
	from, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	path, err := filepath.Rel(from, to)
	return filepath.ToSlash(path), err
}
