package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// apiVersion is that of meshctl's own JSON.
const apiVersion = printer.APIVersion

// fetchTimeout bounds the reading of an address.
const fetchTimeout = 30 * time.Second

// inputFlags say which manifests to read, in kubectl's manner.
type inputFlags struct {
	filenames []string
	kustomize string
	selector  string
	recursive bool
	verbose   bool
	whole     bool // what is no object by itself is left out (manifest.Loader)

	picks labels.Selector // selector, parsed; nil picks all
}

func (f *inputFlags) register(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.filenames, "filename", "f", nil, "manifest to read: a file, a directory, an address, or - for standard input; repeatable")
	flags.StringVarP(&f.kustomize, "kustomize", "k", "", "kustomization directory to build and read")
	flags.BoolVarP(&f.recursive, "recursive", "R", false, "read the subdirectories of directories too")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "list the files that were skipped")
}

// registerSelector is for commands that change workloads.
func (f *inputFlags) registerSelector(flags *pflag.FlagSet) {
	flags.StringVarP(&f.selector, "selector", "l", "", "label selector: workloads that it does not match stay as they are")
}

// complete takes arguments as further files and insists on some input.
func (f *inputFlags) complete(cmd *cobra.Command, args []string) error {
	f.filenames = append(f.filenames, args...)
	if len(f.filenames) == 0 && f.kustomize == "" {
		return usagef(cmd, "no input: give -f FILE, DIRECTORY, ADDRESS or -, or -k DIRECTORY")
	}
	if f.selector == "" {
		return nil
	}
	var err error
	if f.picks, err = labels.Parse(f.selector); err != nil {
		return usagef(cmd, "selector %q: %v", f.selector, err)
	}
	return nil
}

// load reads the input. With an error of files there is what could be read, too
// (manifest.Faults).
func (f *inputFlags) load(ctx context.Context, stdin io.Reader, warn io.Writer) ([]*manifest.Stream, error) {
	loader := manifest.Loader{Stdin: stdin, Fetch: fetch, Build: buildKustomization, Recursive: f.recursive, Whole: f.whole}
	loaded, faults := loader.Load(ctx, f.filenames)
	if f.kustomize != "" {
		built, err := loader.LoadKustomization(f.kustomize)
		if err != nil {
			return nil, errors.Join(faults, err)
		}
		loaded.Streams = append(loaded.Streams, built.Streams...)
	}
	return loaded.Streams, errors.Join(faults, noteCharts(warn, loaded.Charts), f.listSkipped(warn, loaded.Skipped))
}

// noteCharts says that what is in charts was not looked at.
func noteCharts(warn io.Writer, charts []string) error {
	for _, dir := range charts {
		if _, err := fmt.Fprintf(warn, "note: %s is a Helm chart, and its templates are left out: render them first, as helm template does\n", dir); err != nil {
			return err
		}
	}
	return nil
}

// listSkipped names the files that hold no objects, if asked for.
func (f *inputFlags) listSkipped(warn io.Writer, skipped []string) error {
	if !f.verbose {
		return nil
	}
	for _, name := range skipped {
		if _, err := fmt.Fprintf(warn, "skipped %s: no Kubernetes objects\n", name); err != nil {
			return err
		}
	}
	return nil
}

// fetch opens an address that the user named.
func fetch(ctx context.Context, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: fetchTimeout}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close() // the status says enough
		return nil, fmt.Errorf("%s: server answered %s", address, response.Status)
	}
	return response.Body, nil
}

func buildKustomization(dir string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return resources.AsYaml()
}
