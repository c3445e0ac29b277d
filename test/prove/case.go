package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Names of the workload that every case is about.
const (
	appNamespace = "shop"
	appName      = "app"
)

// object is a document of a manifest, or a mesh config.
type object = map[string]any

// testCase is a small mesh with requests: to its one workload, or that workloads
// send through their own sidecars.
type testCase struct {
	name       string
	meshConfig object
	objects    []object
	requests   []policy.Request
	sends      []send
	custom     string // what external authorizers answer to sends; allow if empty
	redirected string // the workload, if any, whose sidecar takes all that it sends
}

// compiledCase is a case as the simulator and Envoy get it.
type compiledCase struct {
	*testCase
	model    *policy.Model
	config   *envoy.Config
	identity string
}

// build reads the case as a user's files would be read. It fails for what meshctl
// refuses.
func (c *testCase) build() (*mesh.Snapshot, error) {
	configText, err := yaml.Marshal(c.meshConfig)
	if err != nil {
		return nil, err
	}
	config, err := mesh.ParseConfig(configText)
	if err != nil {
		return nil, err
	}
	text, err := manifests(c.objects)
	if err != nil {
		return nil, err
	}
	stream, err := manifest.Read("mesh.yaml", text)
	if err != nil {
		return nil, err
	}
	return mesh.Build([]*manifest.Stream{stream}, mesh.Options{Config: config})
}

// compile makes the model and the configuration of the one workload.
func (c *testCase) compile(now time.Time) (*compiledCase, error) {
	snapshot, err := c.build()
	if err != nil {
		return nil, err
	}
	w := snapshot.Workload(appNamespace, appName)
	if w == nil {
		return nil, fmt.Errorf("no workload %s/%s", appNamespace, appName)
	}
	simulator := policy.Options{Now: now}.NewSimulator(snapshot)
	model := simulator.Model(w)
	rendered, err := envoy.NewGenerator(snapshot, simulator).Config(w)
	if err != nil {
		return nil, err
	}
	return &compiledCase{c, model, rendered, w.Identity(snapshot.Config.TrustDomain)}, nil
}

// manifests are the documents of a file.
func manifests(objects []object) ([]byte, error) {
	var out bytes.Buffer
	for i, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// Files of a case that is kept.
const (
	meshConfigFile = "meshconfig.yaml"
	manifestsFile  = "mesh.yaml"
	requestsFile   = "requests.jsonl"
	sendsFile      = "sends.jsonl"
	customFile     = "custom"     // for sends
	redirectedFile = "redirected" // for sends
)

// archive writes a case down, with a comment.
func (c *testCase) archive(comment string) ([]byte, error) {
	config, err := yaml.Marshal(c.meshConfig)
	if err != nil {
		return nil, err
	}
	text, err := manifests(c.objects)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for i := range c.requests {
		line, err := encodeRequest(&c.requests[i])
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	name := requestsFile
	if c.sends != nil {
		name = sendsFile
	}
	for i := range c.sends {
		line, err := json.Marshal(c.sends[i])
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	a := &txtar.Archive{Comment: []byte(comment), Files: []txtar.File{
		{Name: meshConfigFile, Data: config}, {Name: manifestsFile, Data: text}, {Name: name, Data: lines.Bytes()},
	}}
	for _, word := range []txtar.File{{Name: customFile, Data: []byte(c.custom)}, {Name: redirectedFile, Data: []byte(c.redirected)}} {
		if len(word.Data) > 0 {
			a.Files = append(a.Files, txtar.File{Name: word.Name, Data: append(word.Data, '\n')})
		}
	}
	return txtar.Format(a), nil
}

// readCase reads a case that was kept.
func readCase(name string, text []byte) (*testCase, error) {
	c := &testCase{name: name, meshConfig: object{}}
	for _, f := range txtar.Parse(text).Files {
		var err error
		switch f.Name {
		case meshConfigFile:
			err = yaml.Unmarshal(f.Data, &c.meshConfig)
		case manifestsFile:
			c.objects, err = parseObjects(string(f.Data))
		case requestsFile:
			c.requests, err = policy.ReadRequests(name, bytes.NewReader(f.Data))
		case sendsFile:
			c.sends, err = readSends(f.Data)
		case customFile:
			c.custom = string(bytes.TrimSpace(f.Data))
		case redirectedFile:
			c.redirected = string(bytes.TrimSpace(f.Data))
		default:
			err = fmt.Errorf("unknown file %s", f.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(c.requests)+len(c.sends) == 0 {
		return nil, fmt.Errorf("%s: no requests", name)
	}
	return c, nil
}

func readSends(text []byte) (all []send, err error) {
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var one send
		if err := d.Decode(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// encodeRequest writes a request as policy.ReadRequests reads it: header lines
// are an object in the order of the lines, names may repeat.
func encodeRequest(r *policy.Request) ([]byte, error) {
	plain := *r
	var lines []string
	if r.HTTP != nil {
		h := *r.HTTP
		for _, l := range h.Headers {
			name, err := json.Marshal(l.Name)
			if err != nil {
				return nil, err
			}
			value, err := json.Marshal(l.Value)
			if err != nil {
				return nil, err
			}
			lines = append(lines, string(name)+":"+string(value))
		}
		h.Headers = nil
		plain.HTTP = &h
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(plain); err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(out.Bytes())
	if lines == nil {
		return text, nil
	}
	// Headers go in where the path is, which comes before them.
	return bytes.Replace(text, []byte(`"http":{`), []byte(`"http":{"headers":{`+strings.Join(lines, ",")+`},`), 1), nil
}

// parseObjects reads the documents of a manifest.
func parseObjects(text string) ([]object, error) {
	var all []object
	for text := range strings.SplitSeq(text, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}
