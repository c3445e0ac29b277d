package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// outputFlags say in which form manifests come out, and where.
type outputFlags struct {
	output     string
	preserve   bool
	write      bool
	force      bool
	report     string
	failOnSkip bool
	failIfNone bool
}

func (f *outputFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.output, "output", "o", "yaml", "form: yaml, json, patch (JSON patches), kustomize (a component), or files=DIRECTORY (one file an object)")
	flags.BoolVar(&f.preserve, "preserve", false, "edit the documents in place: comments, order, quoting and unknown fields stay")
	flags.BoolVarP(&f.write, "write", "w", false, "write the files back instead of printing them")
	flags.BoolVar(&f.force, "force", false, "overwrite files of -o files=DIRECTORY")
	flags.StringVar(&f.report, "report", "table", "report on standard error: table, json or none")
	flags.BoolVar(&f.failOnSkip, "fail-on-skip", false, "exit 1 and print nothing if a workload is skipped")
	flags.BoolVar(&f.failIfNone, "fail-if-none", false, "exit 1 and print nothing if there is nothing to do")
}

func (f *outputFlags) validate(cmd *cobra.Command) error {
	form, dir, files := strings.Cut(f.output, "=")
	known := []string{"yaml", "json", "patch", "kustomize"}
	switch {
	case files && form == "files" && dir != "":
	case !files && slices.Contains(known, form):
	default:
		return usagef(cmd, "output %q: expected yaml, json, patch, kustomize or files=DIRECTORY", f.output)
	}
	if (f.preserve || f.write) && form != "yaml" {
		return usagef(cmd, "--preserve and --write go with -o yaml only")
	}
	if !slices.Contains([]string{"table", "json", "none"}, f.report) {
		return usagef(cmd, "report %q: expected table, json or none", f.report)
	}
	return nil
}

// emit reports what became of the objects and prints them. Whatever fails,
// standard output stays empty and no file is half written.
func (f *outputFlags) emit(ctx context.Context, streams genericiooptions.IOStreams, outputs []inject.Output) error {
	var outcomes []inject.Outcome
	for _, o := range outputs {
		outcomes = append(outcomes, o.Outcomes()...)
	}
	if err := printReport(streams.ErrOut, f.report, outcomes); err != nil {
		return err
	}
	if err := f.judge(outcomes); err != nil {
		return err
	}
	form, dir, _ := strings.Cut(f.output, "=")
	switch form {
	case "json":
		return emitJSON(streams.Out, outputs)
	case "patch", "kustomize":
		return emitPatches(streams.Out, form, outputs)
	case "files":
		return f.emitFiles(dir, outputs)
	}
	return f.emitYAML(ctx, streams.Out, outputs)
}

// judge turns the outcomes into the answer that the flags ask for.
func (f *outputFlags) judge(outcomes []inject.Outcome) error {
	changed := 0
	for _, o := range outcomes {
		if f.failOnSkip && o.Reason.Skipped() {
			return negative{fmt.Sprintf("%s: skipped: %s", o.Object, o.Reason.Describe())}
		}
		if o.Reason == inject.Injected || o.Reason == inject.Uninjected {
			changed++
		}
	}
	if f.failIfNone && changed == 0 {
		return negative{"no workload was changed"}
	}
	return nil
}

func (f *outputFlags) emitYAML(ctx context.Context, w io.Writer, outputs []inject.Output) error {
	encoder := &manifest.Encoder{}
	texts := make([][]byte, len(outputs))
	for i, o := range outputs {
		var err error
		if f.preserve {
			texts[i], err = o.Preserved(ctx)
		} else {
			texts[i], err = o.Canonical(ctx, encoder)
		}
		if err != nil {
			return err
		}
	}
	if f.write {
		return writeBack(outputs, texts)
	}
	for i, text := range texts {
		if f.preserve && i > 0 {
			// The end of one file must not run into the start of the next.
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// writeBack replaces the files whose text has changed.
func writeBack(outputs []inject.Output, texts [][]byte) error {
	for _, o := range outputs {
		if info, err := os.Stat(o.Stream.Name); err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("%s: cannot be written back: it is not a file", o.Stream.Name)
		}
	}
	var files []atomicfile.File
	for i, o := range outputs {
		changed := slices.ContainsFunc(o.Results, func(r *inject.Result) bool { return r.Changed() })
		if !changed {
			continue
		}
		file, err := atomicfile.Existing(o.Stream.Name, texts[i])
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	return atomicfile.Write(files...)
}

func emitJSON(w io.Writer, outputs []inject.Output) error {
	items := []json.RawMessage{}
	for _, o := range outputs {
		objects, err := o.JSON()
		if err != nil {
			return err
		}
		items = append(items, objects...)
	}
	if len(items) == 1 {
		return printer.JSON(w, items[0])
	}
	return printer.JSON(w, struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}{"v1", "List", items})
}

func emitPatches(w io.Writer, form string, outputs []inject.Output) error {
	patches := []inject.Patch{}
	for _, o := range outputs {
		p, err := o.Patches()
		if err != nil {
			return err
		}
		patches = append(patches, p...)
	}
	if form == "patch" {
		return printer.JSON(w, struct {
			APIVersion string         `json:"apiVersion"`
			Kind       string         `json:"kind"`
			Items      []inject.Patch `json:"items"`
		}{apiVersion, "PatchList", patches})
	}
	text, err := inject.Kustomization(patches)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// unsafeName is what an object's name must not bring into a file name.
var unsafeName = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// emitFiles writes one file an object into dir.
func (f *outputFlags) emitFiles(dir string, outputs []inject.Output) error {
	encoder := &manifest.Encoder{}
	texts := map[string][]byte{}
	for _, o := range outputs {
		objects, err := o.JSON()
		if err != nil {
			return err
		}
		for _, object := range objects {
			name := fileName(object)
			for n := 2; texts[name+".yaml"] != nil; n++ {
				name = fmt.Sprintf("%s-%d", fileName(object), n)
			}
			if texts[name+".yaml"], err = encoder.FromJSON(object); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // manifests are not secret
		return err
	}
	if !f.force {
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				return fmt.Errorf("%s: exists already: use --force to overwrite", filepath.Join(dir, name))
			}
		}
	}
	var files []atomicfile.File
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		files = append(files, atomicfile.File{Name: filepath.Join(dir, name), Data: texts[name], Mode: 0o644})
	}
	return atomicfile.Write(files...)
}

// fileName is "kind-namespace-name" without anything that could lead elsewhere.
func fileName(object json.RawMessage) string {
	var head struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
	}
	if json.Unmarshal(object, &head) != nil || head.Kind == "" {
		return "document"
	}
	parts := []string{strings.ToLower(head.Kind)}
	for _, part := range []string{head.Metadata.Namespace, head.Metadata.Name} {
		if part != "" {
			parts = append(parts, strings.Trim(unsafeName.ReplaceAllString(part, "-"), ".-"))
		}
	}
	return unsafeName.ReplaceAllString(strings.Join(parts, "-"), "-")
}

// printReport tells of every object what became of it.
func printReport(w io.Writer, form string, outcomes []inject.Outcome) error {
	switch form {
	case "none":
		return nil
	case "json":
		return printer.JSON(w, struct {
			APIVersion string           `json:"apiVersion"`
			Kind       string           `json:"kind"`
			Items      []inject.Outcome `json:"items"`
		}{apiVersion, "InjectionReport", append([]inject.Outcome{}, outcomes...)})
	}
	var rows [][]string
	for _, o := range outcomes {
		if o.Reason == inject.NotKubernetes && o.Object.Name == "" {
			continue // comments between documents
		}
		rows = append(rows, []string{o.Object.String(), string(o.Reason), o.Reason.Describe(), o.Object.Location.String()})
	}
	if len(rows) > 0 {
		if err := printer.Table(w, []string{"OBJECT", "RESULT", "WHY", "AT"}, rows); err != nil {
			return err
		}
	}
	return printer.Lines(w, warningLines(outcomes)...)
}

// warningLines are the warnings of all objects, each with its place.
func warningLines(outcomes []inject.Outcome) []string {
	var lines []string
	for _, o := range outcomes {
		for _, warning := range o.Warnings {
			lines = append(lines, fmt.Sprintf("warning: %s: %s: %s", o.Object.Location, o.Object, warning))
		}
	}
	return lines
}
