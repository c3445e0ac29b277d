package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// static prints the bootstrap of one workload, or writes those of several with
// their certificates and keys.
func (o *envoyConfigOptions) static(s *mesh.Snapshot, generator *envoy.Generator, workloads []*mesh.Workload) error {
	roster := live.NewRoster(generator, s.Config.TrustDomain)
	for _, w := range workloads {
		if _, err := roster.Add(w); err != nil {
			return err
		}
	}
	form, dir, files := strings.Cut(o.output, "=")
	if !files {
		return o.printStatic(s, roster, form)
	}
	root, err := filepath.Abs(dir) // Envoy may be started anywhere
	if err != nil {
		return err
	}
	folder := func(workload string) string {
		namespace, name, _ := strings.Cut(workload, "/")
		return filepath.Join(root, pathPart(namespace), pathPart(name))
	}
	all, err := roster.Standalone(s, folder)
	if err != nil {
		return err
	}
	public, secret, err := live.Certify(s.Config.TrustDomain, time.Now, all)
	if err != nil {
		return err
	}
	var lines []string
	for i := range all {
		name := filepath.Join(folder(all[i].Workload), "bootstrap.yaml")
		text, err := bootstrapYAML(&all[i], all[i].Bootstrap)
		if err != nil {
			return err
		}
		if _, keyed := envoy.HideKeys(all[i].Bootstrap); keyed {
			secret[name] = text // a symmetric key signs as well
		} else {
			public[name] = text
		}
		lines = append(lines, fmt.Sprintf("%s on %s: envoy --disable-hot-restart -c %s", all[i].Workload, all[i].Address, filepath.Join(dir, strings.TrimPrefix(name, root))))
	}
	if err := o.writeNew(public, secret); err != nil {
		return err
	}
	return printer.Lines(o.streams.ErrOut, lines...)
}

func (o *envoyConfigOptions) printStatic(s *mesh.Snapshot, roster *live.Roster, form string) error {
	all, err := roster.Standalone(s, func(string) string { return "" })
	if err != nil {
		return err
	}
	shown, keyed := envoy.HideKeys(all[0].Bootstrap)
	if keyed {
		const warning = "warning: the symmetric keys of token rules are not shown, and Envoy takes none of such rules without: -o files=DIRECTORY writes them, for you only"
		if err := printer.Lines(o.streams.ErrOut, warning); err != nil {
			return err
		}
	}
	if o.snapshot.input.verbose && form == "json" { // which has no comments
		if err := printer.Lines(o.streams.ErrOut, placeLines(&all[0])...); err != nil {
			return err
		}
	}
	text, err := protojson.Marshal(shown)
	if err != nil {
		return err
	}
	if form == "yaml" {
		if text, err = bootstrapYAML(&all[0], shown); err != nil {
			return err
		}
		_, err = o.streams.Out.Write(text)
		return err
	}
	return printer.JSON(o.streams.Out, json.RawMessage(text))
}

// bootstrapYAML begins with where the sidecar is called, and by whom.
func bootstrapYAML(s *live.Standalone, bootstrap proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(bootstrap)
	if err != nil {
		return nil, err
	}
	body, err := (&manifest.Encoder{}).FromJSON(text)
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	for _, line := range placeLines(s) {
		head.WriteString("# " + line + "\n")
	}
	return append(head.Bytes(), body...), nil
}

// placeLines say where others call a sidecar, and where its application sends what
// goes to others.
func placeLines(s *live.Standalone) []string {
	lines := []string{fmt.Sprintf("The sidecar of %s. Others call it at %s%s.", s.Workload, s.Address, portsText(s.Ports))}
	if len(s.Outlets) > 0 {
		lines = append(lines, "What the application sends:")
	}
	for _, o := range s.Outlets {
		switch {
		case o.Address == "" && o.Service == "":
			lines = append(lines, fmt.Sprintf("  to port %d, told apart by host: %s", o.Port, o.At))
		case o.Address == "":
			lines = append(lines, fmt.Sprintf("  to %s:%d: %s", o.Service, o.Port, o.At))
		case o.Service == "":
			lines = append(lines, fmt.Sprintf("  to %s:%d: %s", o.Address, o.Port, o.At))
		default:
			lines = append(lines, fmt.Sprintf("  to %s:%d (%s): %s", o.Service, o.Port, o.Address, o.At))
		}
	}
	return lines
}

func portsText(ports []uint32) string {
	if len(ports) == 0 {
		return ""
	}
	all := make([]string, len(ports))
	for i, port := range ports {
		all[i] = strconv.FormatUint(uint64(port), 10)
	}
	if len(all) == 1 {
		return ", port " + all[0]
	}
	return ", ports " + strings.Join(all, ", ")
}
