package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// format is a form in which results of type T come out.
type format[T any] struct {
	name  string
	write func(io.Writer, T) error
}

// formatFlag is -o of a command that gives results. The first format goes to
// standard output unless -o FORMAT names another; -o FORMAT=PATH writes a file
// beside that.
type formatFlag[T any] struct {
	formats []format[T]
	asked   []string
	force   bool
	private []string // names of those whose files only the user may read

	targets []target[T] // asked, understood
}

// target is a format and the file it goes to; "" is standard output.
type target[T any] struct {
	format[T]
	path string
}

func (f *formatFlag[T]) register(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.asked, "output", "o", nil, "format: "+f.list()+"; FORMAT=PATH writes it to a file besides; repeatable (default "+f.formats[0].name+")")
	flags.BoolVar(&f.force, "force", false, "overwrite files of -o FORMAT=PATH")
}

// list names the formats in words.
func (f *formatFlag[T]) list() string {
	var names []string
	for _, known := range f.formats {
		names = append(names, known.name)
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// validate understands what was asked for, without touching a file.
func (f *formatFlag[T]) validate(cmd *cobra.Command) error {
	stdout := ""
	seen := map[string]string{}
	f.targets = nil
	for _, asked := range f.asked {
		name, path, file := strings.Cut(asked, "=")
		known := f.find(name)
		switch {
		case known == nil:
			return usagef(cmd, "output %q: expected %s%s", asked, f.list(), f.meant(name, file))
		case file && path == "":
			return usagef(cmd, "output %q: expected a file after =", asked)
		case !file && stdout != "":
			return usagef(cmd, "output %q: standard output takes one format, and gets %s: write the other to a file with -o %s=PATH", asked, stdout, name)
		case file && seen[filepath.Clean(path)] != "":
			return usagef(cmd, "output %q: the file takes one format, and gets %s", asked, seen[filepath.Clean(path)])
		case file:
			seen[filepath.Clean(path)] = name
		default:
			stdout = name
		}
		f.targets = append(f.targets, target[T]{*known, path})
	}
	if stdout == "" {
		f.targets = append(f.targets, target[T]{f.formats[0], ""})
	}
	return nil
}

func (f *formatFlag[T]) find(name string) *format[T] {
	for i := range f.formats {
		if f.formats[i].name == name {
			return &f.formats[i]
		}
	}
	return nil
}

// meant guesses what a format that does not exist is to be.
func (f *formatFlag[T]) meant(name string, file bool) string {
	if name == "files" && file {
		return ": this command has no items to write one by one; FORMAT=PATH writes one file"
	}
	// cobra measures the distance of names as it does for commands.
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, known := range f.formats {
		names.AddCommand(&cobra.Command{Use: known.name, Run: func(*cobra.Command, []string) {}})
	}
	if near := names.SuggestionsFor(name); name != "" && len(near) > 0 {
		return ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// emit writes the results in all formats that were asked for. Whatever fails,
// standard output stays empty and no file is half written.
func (f *formatFlag[T]) emit(stdout io.Writer, results T) error {
	var printed bytes.Buffer
	var files []atomicfile.File
	for _, t := range f.targets {
		var text bytes.Buffer
		if err := t.write(&text, results); err != nil {
			return fmt.Errorf("output %s: %w", t.name, err)
		}
		if t.path == "" {
			printed = text
			continue
		}
		file, err := f.file(t.path, text.Bytes())
		if err != nil {
			return err
		}
		if slices.Contains(f.private, t.name) {
			file.Mode = private
		}
		files = append(files, file)
	}
	if err := atomicfile.Write(files...); err != nil {
		return err
	}
	_, err := printed.WriteTo(stdout)
	return err
}

// file refuses to overwrite what somebody may miss. In an empty file, such as
// the one that CI hands out for a summary, there is nothing to miss.
func (f *formatFlag[T]) file(path string, data []byte) (atomicfile.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err = os.Stat(filepath.Dir(path)) // names the directory that is missing
		return atomicfile.File{Name: path, Data: data, Mode: 0o644}, err
	case err != nil:
		return atomicfile.File{}, err
	case !info.Mode().IsRegular():
		return atomicfile.File{}, fmt.Errorf("%s: cannot be written: it is not a file", path)
	case info.Size() > 0 && !f.force:
		return atomicfile.File{}, fmt.Errorf("%s: exists already: use --force to overwrite", path)
	}
	return atomicfile.Existing(path, data)
}

// suiteFormats are the forms of results of tests; kind is that of the document
// in JSON and YAML.
func suiteFormats(kind string) []format[[]meshreport.Suite] {
	type suites = []meshreport.Suite
	return []format[suites]{
		{"table", printer.Failures},
		{"json", func(w io.Writer, s suites) error { return printer.JSON(w, printer.List(kind, s)) }},
		{"yaml", func(w io.Writer, s suites) error { return printer.YAML(w, printer.List(kind, s)) }},
		{"junit", printer.JUnit},
		{"tap", printer.TAP},
		{"github", printer.GitHub},
		{"markdown", printer.Markdown},
	}
}
