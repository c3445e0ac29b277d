package envoy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// partNames are the files that make up the configuration of one workload.
func partNames() []string {
	return []string{"listeners.json", "clusters.json", "routes.json", "endpoints.json"}
}

// IsConfigDir tells whether a directory has NAMESPACE/NAME/listeners.json and
// the like, which is how "envoy config -o files" writes it.
func IsConfigDir(dir fs.FS) bool {
	found, err := fs.Glob(dir, "*/*/*.json")
	return err == nil && slices.ContainsFunc(found, func(name string) bool { return slices.Contains(partNames(), path.Base(name)) })
}

// ReadConfigDir reads such a directory. The name stands before those of its
// files in errors.
func ReadConfigDir(name string, dir fs.FS) ([]*Dump, error) {
	found, err := fs.Glob(dir, "*/*/*.json")
	if err != nil {
		return nil, err
	}
	var all []*Dump
	for _, file := range found { // sorted: the files of a workload follow each other
		if !slices.Contains(partNames(), path.Base(file)) {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Workload != path.Dir(file) {
			all = append(all, &Dump{Config: Config{Workload: path.Dir(file)}})
		}
		if err := readPart(all[len(all)-1], name, dir, file); err != nil {
			return nil, err
		}
	}
	if all == nil {
		return nil, &report.InputError{Location: report.Location{File: name}, Err: errors.New("no NAMESPACE/NAME/{listeners,clusters,routes,endpoints}.json in the directory")}
	}
	return all, nil
}

func readPart(d *Dump, name string, dir fs.FS, file string) error {
	info, err := fs.Stat(dir, file)
	if err != nil {
		return err
	}
	shown := path.Join(name, file)
	if info.Size() > maxDump {
		return &report.InputError{Location: report.Location{File: shown}, Err: fmt.Errorf("larger than %d MiB", maxDump>>20)}
	}
	text, err := fs.ReadFile(dir, file)
	if err != nil {
		return err
	}
	p := &parser{name: shown, text: text}
	if err := p.checkSyntax(); err != nil {
		return err
	}
	return p.resources(d, strings.TrimSuffix(path.Base(file), ".json"), p.whole())
}
