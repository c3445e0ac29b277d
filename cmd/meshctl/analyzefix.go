package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	"github.com/meshctl/meshctl/pkg/manifest"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// mostRounds bounds the repair: a fix may lay open the next finding.
const mostRounds = 10

// repair is what the safe fixes make of files.
type repair struct {
	files []repairedFile
	made  int
	left  []meshreport.Finding
}

type repairedFile struct {
	name          string
	before, after []byte
}

// repair makes the fixes of findings, and those of what is found then.
func (o *analyzeOptions) repair(ctx context.Context, in analyze.Input, findings []meshreport.Finding) (*repair, error) {
	before := slices.Clone(in.Streams)
	in.Streams = slices.Clone(in.Streams)
	r := &repair{}
	for range mostRounds {
		made := 0
		for i, s := range in.Streams {
			text, n := analyze.Apply(s.Data, s.Name, findings)
			if n == 0 {
				continue
			}
			fixed, err := manifest.Read(s.Name, text)
			if err != nil {
				return nil, fmt.Errorf("the fixes of %s do not hold: %w", s.Name, err)
			}
			in.Streams[i], made = fixed, made+n
		}
		if made == 0 {
			break
		}
		r.made += made
		var err error
		if findings, err = analyze.Analyze(ctx, catalog.Rules(), in, o.options); err != nil {
			return nil, err
		}
	}
	for i, s := range in.Streams {
		if !bytes.Equal(s.Data, before[i].Data) {
			r.files = append(r.files, repairedFile{s.Name, before[i].Data, s.Data})
		}
	}
	r.left = findings
	return r, nil
}

// show writes the changes as a patch.
func (r *repair) show(w io.Writer) error {
	for _, f := range r.files {
		if _, err := w.Write(diff.Diff("a/"+f.name, f.before, "b/"+f.name, f.after)); err != nil {
			return err
		}
	}
	return nil
}

// save writes the files, all of them or none.
func (r *repair) save() error {
	var files []atomicfile.File
	for _, f := range r.files {
		file, err := atomicfile.Existing(f.name, f.after)
		if err != nil {
			return fmt.Errorf("cannot be fixed in place: %w", err)
		}
		files = append(files, file)
	}
	return atomicfile.Write(files...)
}

// String says what was done.
func (r *repair) String() string {
	return fmt.Sprintf("fixed %s in %s", meshreport.Count(r.made, "finding"), meshreport.Count(len(r.files), "file"))
}
