package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// errEdit says that a document is written in a way that Edit does not master.
var errEdit = errors.New("cannot be edited in place: leave out --preserve to get the canonical form")

// Editor edits documents in place. It may be shared.
type Editor struct {
	Key     ListKey // tells the items of lists apart
	decoder Decoder
}

// Edit rewrites text, one YAML or JSON document, by the changes that lead from
// before to after, two trees of JSON values of its object (see Apply). All
// other bytes stay: comments, order, quoting, anchors, unknown fields. Edit
// reads its result again and fails rather than return a text that does not say
// what it should.
func (r *Editor) Edit(text []byte, before, after any) ([]byte, error) {
	if Equal(before, after) {
		return text, nil
	}
	tree, err := r.parse(text)
	if err != nil {
		return nil, err
	}
	want := Apply(tree, before, after, r.Key)
	says := func(edited []byte) bool {
		got, err := r.parse(edited)
		return err == nil && Equal(got, want)
	}
	// Aliases stay if what they stand for becomes what they are to mean.
	if bytes.IndexByte(text, '*') >= 0 && bytes.IndexByte(text, '&') >= 0 {
		if edited, err := r.rewrite(text, tree, before, after, true); err == nil && says(edited) {
			return edited, nil
		}
	}
	edited, err := r.rewrite(text, tree, before, after, false)
	if err != nil {
		return nil, err
	}
	if !says(edited) {
		return nil, errEdit
	}
	return edited, nil
}

// rewrite makes the changes in a text, which says tree. With keep it leaves
// aliases as they are.
func (r *Editor) rewrite(text []byte, tree, before, after any, keep bool) ([]byte, error) {
	e, err := newEditing(text, r.Key)
	if err != nil {
		return nil, err
	}
	e.keep = keep
	if err := e.edit(e.root, tree, before, after, nil); err != nil {
		return nil, err
	}
	if !keep {
		if err := e.expandAliases(); err != nil {
			return nil, err
		}
	}
	return e.result()
}

// parse is the value of a document, numbers as they are written.
func (r *Editor) parse(text []byte) (any, error) {
	j, err := r.decoder.JSON(text)
	if err != nil {
		return nil, err
	}
	return parseJSON(j)
}

func parseJSON(text []byte) (any, error) {
	if tree, err := decodeJSON(text); err == nil {
		return tree, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tree any
	err := d.Decode(&tree)
	return tree, err
}

// replacement puts text in place of the bytes from start to end.
type replacement struct {
	start, end int
	text       string
}

// editing holds a document's bytes, its nodes, and the replacements so far.
type editing struct {
	text    []byte
	bare    bool   // text came without a final line end
	newline string // the document's line end
	keep    bool   // aliases stay
	compact bool   // sequences stand at the column of their key
	lines   []int  // offset of each line
	root    *yaml.Node
	parents map[*yaml.Node]*yaml.Node
	ends    map[*yaml.Node]int  // last line of each node, from 0
	dropped map[*yaml.Node]bool // aliases that are replaced already
	edits   []replacement
	key     ListKey
}

func newEditing(text []byte, key ListKey) (*editing, error) {
	e := &editing{text: text, newline: "\n", key: key, ends: map[*yaml.Node]int{}, parents: map[*yaml.Node]*yaml.Node{}, dropped: map[*yaml.Node]bool{}}
	if bytes.Contains(text, []byte("\r\n")) {
		e.newline = "\r\n"
	}
	// YAML knows more line ends than the two of text files.
	if strings.Count(string(text), "\r") != strings.Count(string(text), "\r\n") || bytes.ContainsAny(text, "\u0085\u2028\u2029") {
		return nil, errEdit
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		e.bare = true
		e.text = append(bytes.Clone(text), e.newline...)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(e.text, &document); err != nil || len(document.Content) == 0 {
		return nil, errEdit
	}
	e.root = document.Content[0]
	e.link(e.root)
	for at := 0; at < len(e.text); at += lineLength(e.text[at:]) {
		e.lines = append(e.lines, at)
	}
	limit := len(e.lines)
	for l, at := range e.lines {
		if bytes.HasPrefix(e.text[at:], []byte("...")) {
			limit = l
			break
		}
	}
	e.measure(e.root, limit, -1)
	e.compact = e.findCompact(e.root)
	return e, nil
}

// result is the text with all replacements made.
func (e *editing) result() ([]byte, error) {
	text, err := e.splice(0, len(e.text), e.edits)
	if err != nil {
		return nil, err
	}
	if e.bare {
		text = strings.TrimSuffix(text, e.newline)
	}
	return []byte(text), nil
}

// splice is the text from start to end with the edits made.
func (e *editing) splice(start, end int, edits []replacement) (string, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b replacement) int { return a.start - b.start })
	var out strings.Builder
	pos := start
	for _, r := range edits {
		if r.start < pos || r.end > end {
			return "", errEdit // two edits of one place
		}
		out.Write(e.text[pos:r.start])
		out.WriteString(r.text)
		pos = r.end
	}
	out.Write(e.text[pos:end])
	return out.String(), nil
}

func (e *editing) replace(start, end int, text string) {
	e.edits = append(e.edits, replacement{start, end, text})
}

// edit records the replacements that change node, which says tree, as before
// is changed to after.
func (e *editing) edit(node *yaml.Node, tree, before, after any, path []string) error {
	if Equal(before, after) {
		return nil
	}
	if node.Kind == yaml.AliasNode {
		if e.keep {
			return nil
		}
		return e.replaceValue(node, tree, before, after, path)
	}
	to, isMap := after.(map[string]any)
	from, wasMap := before.(map[string]any)
	if m, ok := tree.(map[string]any); ok && isMap && wasMap && node.Kind == yaml.MappingNode && len(to) > 0 {
		if !namesKeys(node) {
			return errEdit
		}
		if isFlow(node) {
			return e.editFlowMap(node, m, from, to, path)
		}
		return e.editMap(node, m, from, to, path)
	}
	toList, isList := after.([]any)
	fromList, wasList := before.([]any)
	if list, ok := tree.([]any); ok && isList && wasList && node.Kind == yaml.SequenceNode && len(toList) > 0 {
		return e.editList(node, list, fromList, toList, path)
	}
	return e.replaceValue(node, tree, before, after, path)
}

// namesKeys tells whether all keys of a mapping, merged ones too, are called as
// they are written; in YAML 1.1 the key y is true, and the key 1 is also "1".
func namesKeys(node *yaml.Node) bool {
	switch node.Kind {
	case yaml.AliasNode:
		return namesKeys(node.Alias)
	case yaml.SequenceNode:
		return !slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return !namesKeys(n) })
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		switch key := node.Content[i]; {
		case key.Tag == "!!merge":
			if !namesKeys(node.Content[i+1]) {
				return false
			}
		case key.Kind != yaml.ScalarNode, key.Tag != "!!str", jsonKind(key) == "bool":
			return false
		}
	}
	return true
}

// replaceValue writes the node's new value in place of it.
func (e *editing) replaceValue(node *yaml.Node, tree, before, after any, path []string) error {
	value := apply(tree, before, after, e.key, path)
	start, end := e.span(node)
	if node.Kind == yaml.AliasNode {
		e.dropped[node] = true
	}
	if quotes := e.skipProperties(start); node.Kind == yaml.ScalarNode && quotes < end {
		if text, ok := Requoted(string(e.text[quotes:end]), value); ok {
			e.replace(quotes, end, text)
			return nil
		}
	}
	if e.inFlow(node) || isFlow(e.root) {
		e.replace(start, end, e.flow(value, e.isJSON()))
		return nil
	}
	if node == e.root {
		e.replace(start, end, strings.TrimSuffix(e.lined(e.block(value), 0), e.newline))
		return nil
	}
	// The value stands after its key's colon or its dash, whatever was there.
	for start > 0 && (e.text[start-1] == ' ' || e.text[start-1] == '\t' || e.text[start-1] == '\n' || e.text[start-1] == '\r') {
		start--
	}
	p := e.parents[node]
	item := p != nil && p.Kind == yaml.SequenceNode
	e.replace(start, end, e.blockValue(value, e.parentIndent(node), item))
	return nil
}

// expandAliases writes out the aliases of nodes that were changed: they still
// mean the old value.
func (e *editing) expandAliases() error {
	var walk func(n *yaml.Node) error
	walk = func(n *yaml.Node) error {
		if n.Kind == yaml.AliasNode {
			if e.dropped[n] || !e.touched(n.Alias) {
				return nil
			}
			value, err := nodeTree(n)
			if err != nil {
				return errEdit
			}
			start, end := e.span(n)
			e.replace(start, end, e.flow(value, false))
			return nil
		}
		for _, c := range n.Content {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(e.root)
}

// touched tells whether an edit changed n or anything within.
func (e *editing) touched(n *yaml.Node) bool {
	start, end := e.span(n)
	if !isFlow(n) && n.Kind != yaml.ScalarNode {
		end = e.lineEnd(e.ends[n])
	}
	return slices.ContainsFunc(e.edits, func(r replacement) bool {
		return r.start < end && r.end > start || r.start == r.end && r.start > start && r.start <= end
	})
}

// nodeTree is the value of a node as Kubernetes' YAML reader sees it.
func nodeTree(n *yaml.Node) (any, error) {
	text, err := yaml.Marshal(resolved(n, 0))
	if err != nil {
		return nil, err
	}
	j, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	return parseJSON(j)
}

// resolved is a copy of n without anchors and aliases.
func resolved(n *yaml.Node, depth int) *yaml.Node {
	if depth > 100 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	if n.Kind == yaml.AliasNode {
		return resolved(n.Alias, depth+1)
	}
	c := *n
	c.Anchor = ""
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = resolved(child, depth+1)
	}
	return &c
}

// offset is the place of a line and column, both from 1; columns count runes.
func (e *editing) offset(line, column int) int {
	if line < 1 || line > len(e.lines) {
		return len(e.text)
	}
	at := e.lines[line-1]
	for range column - 1 {
		if at >= len(e.text) {
			break
		}
		_, size := utf8.DecodeRune(e.text[at:])
		at += size
	}
	return at
}

// lineStart and lineEnd bound a line, from 0, its line end included.
func (e *editing) lineStart(line int) int { return e.lines[line] }

func (e *editing) lineEnd(line int) int {
	if line+1 < len(e.lines) {
		return e.lines[line+1]
	}
	return len(e.text)
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// isJSON tells whether the document is written as JSON.
func (e *editing) isJSON() bool {
	start, _ := e.span(e.root)
	return isFlow(e.root) && start < len(e.text) && (e.text[start] == '{' || e.text[start] == '[')
}
