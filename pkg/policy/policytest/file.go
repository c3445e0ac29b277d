package policytest

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// The header of a test file's documents.
const (
	APIVersion = "meshctl.dev/v1alpha1"
	Kind       = "PolicyTest"
)

// File is a document of a test file.
type File struct {
	Name      string // metadata.name, else the file's
	Source    string // the file
	Namespace string // of objects and names that give none; "" is not told
	// Inputs are the manifests of the mesh. Without any they are those of the
	// folder that the file is in.
	Inputs     []Input
	MeshConfig *Input // nil is istiod's default
	// Keys are files with what a jwksUri serves, by its address or an issuer; ""
	// is for all others.
	Keys map[string]Input

	identities map[string]identity
	tokens     map[string]token
	cases      []testCase
	decoder    *decoder
}

// Input is something to read: paths are relative to the test file.
type Input struct {
	Path      string
	Recursive bool   // a directory with its subdirectories
	GitRef    string // Path is read from this commit of the repository around the file; "" is the working tree
	Kustomize string // a kustomization to build, in place of Path
	At        report.Location

	node node
}

// header is what all documents have.
type header struct {
	apiVersion, kind string
	metadata         metadata
	namespace        string
	inputs           []Input
	meshConfig       *Input
	keys             map[string]Input
	defaults         call
	identities       map[string]identity
	tokens           map[string]token
	cases            []testCase
}

type metadata struct{ name string }

// Parse reads the documents of a test file. It fails with all that is wrong
// with them.
func Parse(stream *manifest.Stream) ([]*File, error) {
	var files []*File
	var problems []error
	for i := range stream.Documents {
		document := &stream.Documents[i]
		var root yaml.Node
		if err := yaml.Unmarshal(document.Text, &root); err != nil {
			problems = append(problems, document.Explain(err))
			continue
		}
		if len(root.Content) == 0 || root.Content[0].ShortTag() == "!!null" {
			continue // comments only
		}
		d := &decoder{document: document, subject: Kind}
		file := d.file(d.use(root.Content[0], ""))
		files = append(files, file)
		problems = append(problems, d.err())
	}
	if len(files) == 0 && len(problems) == 0 {
		problems = append(problems, &report.InputError{
			Location: report.Location{File: stream.Name}, Err: errors.New("the file has no test in it"),
			Hint: "it needs apiVersion: " + APIVersion + ", kind: " + Kind + ", and cases",
		})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return files, nil
}

// file reads one document.
func (d *decoder) file(n node) *File {
	f := &File{Source: d.document.Source, decoder: d}
	f.Name, _, _ = strings.Cut(path.Base(strings.ReplaceAll(f.Source, `\`, "/")), ".meshtest.")
	if name := d.peekName(n); name != "" {
		f.Name = name
		d.subject = Kind + " " + name
	}
	h, ok := object(fileFields()).read(d, n)
	if d.exhausted() {
		d.fail(n, "", "its aliases add more than %d values", maxAliased)
	} else if ok {
		f.Namespace, f.Inputs, f.MeshConfig, f.Keys = h.namespace, h.inputs, h.meshConfig, h.keys
		f.identities, f.tokens, f.cases = h.identities, h.tokens, d.complete(&h)
	}
	return f
}

// peekName finds the document's name, which every fault is told with.
func (d *decoder) peekName(n node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		m := d.use(n.Content[i+1], "")
		if n.Content[i].Value != "metadata" || m.Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j+1 < len(m.Content); j += 2 {
			if m.Content[j].Value == "name" {
				return m.Content[j+1].Value
			}
		}
	}
	return ""
}

func fileFields() []field[header] {
	name := set("name", "The name of the test; the file's, if it is not given.", text(), func(m *metadata) *string { return &m.name })
	exactly := func(want string) kind[string] {
		return kind[string]{schema{"const": want}, func(d *decoder, n node) (string, bool) {
			if n.Value != want {
				d.fail(n, "", "%q: expected %s", n.Value, want)
			}
			return want, n.Value == want
		}}
	}
	return []field[header]{
		must(set("apiVersion", "The version of this format.", exactly(APIVersion), func(h *header) *string { return &h.apiVersion })),
		must(set("kind", "What this document is.", exactly(Kind), func(h *header) *string { return &h.kind })),
		set("metadata", "What the document is called.", object([]field[metadata]{name}), func(h *header) *metadata { return &h.metadata }),
		set("namespace", "The namespace of objects, and of names in this file, that give none. Default: default.", text(), func(h *header) *string { return &h.namespace }),
		set("inputs", "The manifests of the mesh. Default: the folder that this file is in.", listOf(input()), func(h *header) *[]Input { return &h.inputs }),
		set("meshConfig", "The mesh config, its ConfigMap or a stream that holds it, relative to this file. Default: istiod's own.", pointer(file()), func(h *header) **Input { return &h.meshConfig }),
		set("jwks", "What a jwksUri serves, for tokens given as jwt: a file relative to this one, or files by jwksUri or issuer.", keys(), func(h *header) *map[string]Input { return &h.keys }),
		set("defaults", "What requests are where a case does not say.", kind[call]{objectSchema(callFields(ofCall)), object(callFields(ofCall)).read}, func(h *header) *call { return &h.defaults }),
		set("identities", "Short names of callers.", mapOf(identityKind(), identityName), func(h *header) *map[string]identity { return &h.identities }),
		set("tokens", "Short names of JSON web tokens.", mapOf(tokenKind(), tokenName), func(h *header) *map[string]token { return &h.tokens }),
		must(set("cases", "The tests.", listOf(caseKind()), func(h *header) *[]testCase { return &h.cases })),
		refused[header]("invariants", "write cases for single requests until then",
			"these are proofs about all requests at once, which this version does not have; it decides single requests"),
	}
}

// input is a path, or a mapping that says more.
func input() kind[Input] {
	plain := checked(text(), inputPath)
	long := object([]field[Input]{
		set("path", "A file, a directory or a glob, relative to this file. With gitRef: from the root of the repository, or from this file if it begins with ./ or ../.", plain, func(i *Input) *string { return &i.Path }),
		set("recursive", "Read a directory with its subdirectories.", boolean(), func(i *Input) *bool { return &i.Recursive }),
		set("gitRef", "A commit, branch or tag of the git repository around this file, to read the path from.", checked(text(), gitRef), func(i *Input) *string { return &i.GitRef }),
		set("kustomize", "A kustomization directory to build, relative to this file.", plain, func(i *Input) *string { return &i.Kustomize }),
	})
	long.schema["oneOf"] = []any{schema{"required": []string{"path"}}, schema{"required": []string{"kustomize"}}}
	return kind[Input]{schema{"anyOf": []any{plain.schema, long.schema}}, func(d *decoder, n node) (Input, bool) {
		var i Input
		var ok bool
		if n.Kind == yaml.MappingNode {
			i, ok = long.read(d, n)
			switch {
			case ok && (i.Path == "") == (i.Kustomize == ""):
				d.fail(n, "", "expected either path or kustomize")
				ok = false
			case ok && i.Kustomize != "" && (i.GitRef != "" || i.Recursive):
				d.fail(n, "", "kustomize goes with neither gitRef nor recursive")
				ok = false
			}
		} else {
			i.Path, ok = plain.read(d, n)
		}
		i.At, i.node = d.location(n), n
		return i, ok
	}}
}

// file is the path of a file.
func file() kind[Input] {
	plain := checked(text(), inputPath)
	return kind[Input]{plain.schema, func(d *decoder, n node) (Input, bool) {
		v, ok := plain.read(d, n)
		return Input{Path: v, At: d.location(n), node: n}, ok
	}}
}

func pointer[V any](k kind[V]) kind[*V] {
	return kind[*V]{k.schema, func(d *decoder, n node) (*V, bool) {
		v, ok := k.read(d, n)
		return &v, ok
	}}
}

// keys are files by jwksUri or issuer, or one for all.
func keys() kind[map[string]Input] {
	one, many := file(), mapOf(file(), func(string) error { return nil })
	return kind[map[string]Input]{schema{"anyOf": []any{one.schema, many.schema}}, func(d *decoder, n node) (map[string]Input, bool) {
		if n.Kind == yaml.MappingNode {
			return many.read(d, n)
		}
		v, ok := one.read(d, n)
		return map[string]Input{"": v}, ok
	}}
}

// inputPath refuses what is no path: tests touch no network.
func inputPath(v string) error {
	switch {
	case v == "-":
		return errors.New("standard input is not for test files: name a file, or give the manifests with -f -")
	case strings.Contains(v, "://"):
		return fmt.Errorf("%q: tests touch no network: download it and name the file", v)
	}
	return nil
}

// gitRef refuses what git would take for an option or a range.
func gitRef(v string) error {
	if strings.HasPrefix(v, "-") || strings.ContainsAny(v, ": \t\n\x00") || strings.Contains(v, "..") {
		return fmt.Errorf("%q: expected a commit, branch or tag", v)
	}
	return nil
}

// Fault is an error about an input, placed where the file names it.
func (f *File) Fault(i Input, hint string, err error) error {
	return f.decoder.fault(i.node, hint, err)
}
