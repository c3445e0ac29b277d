package policytest

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// notWord is what short names are free of.
var notWord = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// bundle is a case: requests that have in common what becomes of them.
type bundle struct {
	to, verdict, by, host        string
	tcp                          bool
	from, tokens, methods, paths []string
}

// bundles makes cases of the requests, in the order of their first ones.
func bundles(pins []pin) []bundle {
	var all []bundle
	for _, p := range pins {
		b := bundle{to: p.to, verdict: string(p.verdict), by: p.by, host: p.sample.host, tcp: p.tcp, from: []string{p.from}}
		if !p.tcp {
			b.tokens, b.methods, b.paths = []string{p.token}, []string{p.sample.method}, []string{p.sample.path}
		}
		all = append(all, b)
	}
	for _, list := range []func(*bundle) *[]string{
		func(b *bundle) *[]string { return &b.from },
		func(b *bundle) *[]string { return &b.paths },
		func(b *bundle) *[]string { return &b.methods },
		func(b *bundle) *[]string { return &b.tokens },
	} {
		all = fold(all, list)
	}
	return split(all)
}

// split keeps cases within what a file may hold, by their callers.
func split(all []bundle) []bundle {
	var parts []bundle
	for _, b := range all {
		each := max(1, len(b.tokens)) * max(1, len(b.methods)) * max(1, len(b.paths))
		for from := range slices.Chunk(b.from, max(1, maxRows/each)) {
			b.from = from
			parts = append(parts, b)
		}
	}
	return parts
}

// fold puts together what differs in one list only.
func fold(all []bundle, list func(*bundle) *[]string) []bundle {
	var folded []bundle
	at := map[string]int{}
	for _, b := range all {
		rest := b
		*list(&rest) = nil
		key := fmt.Sprintf("%#v", rest)
		if i, known := at[key]; known {
			*list(&folded[i]) = append(*list(&folded[i]), *list(&b)...)
			continue
		}
		at[key] = len(folded)
		folded = append(folded, b)
	}
	return folded
}

// render writes the file.
func (w *writer) render(start Start, pins []pin) ([]byte, error) {
	file := mapping("apiVersion", APIVersion, "kind", Kind, "metadata", flow(mapping("name", start.Name)))
	file.HeadComment = "yaml-language-server: $schema=" + SchemaID +
		"\nWhat the policies of these manifests do today, written by meshctl policy test\n--init. Change it where they shall do something else."
	if start.Namespace != "" {
		add(file, "namespace", start.Namespace)
	}
	if start.Inputs != nil {
		add(file, "inputs", w.inputs(start.Inputs))
	}
	if start.MeshConfig != "" {
		add(file, "meshConfig", start.MeshConfig)
	}
	if w.sourceIP != "" {
		add(file, "defaults", flow(mapping("sourceIP", w.sourceIP, "destinationIP", w.destinationIP)))
	}
	if len(w.tokens) > 0 {
		tokens := mapping()
		for _, name := range slices.Sorted(maps.Keys(w.tokens)) {
			add(tokens, name, w.tokens[name].render())
		}
		add(file, "tokens", tokens)
	}
	cases := &yaml.Node{Kind: yaml.SequenceNode}
	for _, b := range bundles(pins) {
		cases.Content = append(cases.Content, w.renderCase(b))
	}
	add(file, "cases", cases)
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		return nil, err
	}
	return text.Bytes(), e.Close()
}

func (w *writer) inputs(inputs []Input) *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, i := range inputs {
		item := scalar(i.Path)
		switch {
		case i.Kustomize != "":
			item = flow(mapping("kustomize", i.Kustomize))
		case i.Recursive:
			item = flow(mapping("path", i.Path, "recursive", true))
		}
		all.Content = append(all.Content, item)
	}
	return all
}

func (t token) render() *yaml.Node {
	n := mapping("iss", t.issuer.value, "sub", t.subject.value)
	if len(t.audiences) > 0 {
		add(n, "aud", t.audiences[0])
	}
	if len(t.Claims) > 0 {
		claims := &yaml.Node{}
		_ = claims.Encode(t.Claims) // texts and maps of them can be encoded
		add(n, "claims", flow(claims))
	}
	if t.In != "header" {
		add(n, "in", t.In)
	}
	if t.In != "header" || t.Name != "authorization" {
		add(n, "name", t.Name)
	}
	if t.prefix.given() && t.prefix.value != defaultPrefix(&t.Token) {
		add(n, "prefix", t.prefix.value)
	}
	return flow(n)
}

func (w *writer) renderCase(b bundle) *yaml.Node {
	_, name, _ := strings.Cut(b.to, "/")
	name += " " + b.verdict
	if b.by != "" {
		name += " by " + b.by
	}
	if w.names[name]++; w.names[name] > 1 {
		name = fmt.Sprintf("%s (%d)", name, w.names[name])
	}
	n := mapping("name", name, "to", b.to, "from", list(b.from))
	if b.tcp {
		add(n, "tcp", true)
	} else {
		if len(b.tokens) > 1 || b.tokens[0] != noToken {
			add(n, "token", list(b.tokens))
		}
		add(n, "method", list(b.methods))
		add(n, "path", list(b.paths))
		if b.host != "" {
			add(n, "host", b.host)
		}
	}
	add(n, "expect", b.verdict)
	if b.by != "" {
		add(n, "by", b.by)
	}
	return n
}

// mapping is one of these keys and values, in turns.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		add(n, fmt.Sprint(pairs[i]), pairs[i+1])
	}
	return n
}

func add(n *yaml.Node, key string, value any) {
	var child *yaml.Node
	switch v := value.(type) {
	case *yaml.Node:
		child = v
	case bool:
		child = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
	default:
		child = scalar(fmt.Sprint(v))
	}
	n.Content = append(n.Content, scalar(key), child)
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// list is one value as such, and several in brackets.
func list(all []string) *yaml.Node {
	if len(all) == 1 {
		return scalar(all[0])
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, one := range all {
		n.Content = append(n.Content, scalar(one))
	}
	return flow(n)
}

func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}
