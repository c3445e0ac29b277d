package manifest

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// editMap changes a block mapping: entries that differ, then those that go,
// then the new ones, which come last.
func (e *editing) editMap(node *yaml.Node, tree, from, to map[string]any, path []string) error {
	var gone []int
	var added []string
	for _, k := range slices.Sorted(maps.Keys(to)) {
		old, had := from[k]
		if had && Equal(old, to[k]) {
			continue
		}
		i := entry(node, k)
		if i < 0 {
			added = append(added, k)
			continue
		}
		if err := e.edit(node.Content[i+1], tree[k], old, to[k], append(path[:len(path):len(path)], k)); err != nil {
			return err
		}
	}
	for k := range from {
		if _, stays := to[k]; !stays {
			if i := entry(node, k); i >= 0 {
				gone = append(gone, i)
			}
		}
	}
	slices.Sort(gone)
	if len(gone) > 0 && len(gone) == len(node.Content)/2 {
		return e.replaceAll(node, to)
	}
	for _, i := range gone {
		e.removeEntry(node, i, gone)
	}
	if len(added) == 0 {
		return nil
	}
	fresh := map[string]any{}
	for _, k := range added {
		fresh[k] = to[k]
	}
	at := e.lineEnd(e.ends[node])
	e.replace(at, at, e.lined(e.block(fresh), node.Content[0].Column-1))
	return nil
}

// replaceAll writes a block mapping anew, when nothing of it stays.
func (e *editing) replaceAll(node *yaml.Node, to map[string]any) error {
	start, end := e.lineStart(node.Content[0].Line-1), e.lineEnd(e.ends[node])
	first := e.offset(node.Content[0].Line, node.Content[0].Column)
	if len(bytes.TrimSpace(e.text[start:first])) > 0 {
		start = first // the first key shares its line with a dash
	}
	text := e.lined(e.block(to), node.Content[0].Column-1)
	e.replace(start, end, strings.TrimPrefix(text, string(e.text[start:start])))
	if start == first {
		e.edits[len(e.edits)-1].text = strings.TrimLeft(text, " ")
	}
	return nil
}

// entry is the index of a key in a mapping's content, the last one if it is
// there twice; -1 if it is not.
func entry(node *yaml.Node, key string) int {
	for i := len(node.Content) - 2; i >= 0; i -= 2 {
		if node.Content[i].Value == key && node.Content[i].Kind == yaml.ScalarNode {
			return i
		}
	}
	return -1
}

// removeEntry takes out the lines of an entry. Where its key follows a dash,
// the next entry that stays moves up to the dash.
func (e *editing) removeEntry(node *yaml.Node, i int, gone []int) {
	key := node.Content[i]
	start, at := e.lineStart(key.Line-1), e.offset(key.Line, key.Column)
	end := e.lineEnd(e.ends[node.Content[i+1]])
	if len(bytes.TrimSpace(e.text[start:at])) == 0 {
		e.replace(start, end, "")
		return
	}
	// Entries that go as well, right after the first, are taken out with it.
	next := i + 2
	for slices.Contains(gone, next) {
		next += 2
	}
	if i != 0 || next >= len(node.Content) {
		e.replace(at, end, "")
		return
	}
	e.replace(at, e.offset(node.Content[next].Line, node.Content[next].Column), "")
	e.edits = slices.DeleteFunc(e.edits, func(r replacement) bool { return r.text == "" && r.start > at && r.end <= e.edits[len(e.edits)-1].end })
}

// editList changes a sequence, item by item where a key tells them apart.
func (e *editing) editList(node *yaml.Node, list, from, to []any, path []string) error {
	if len(list) != len(node.Content) {
		return errEdit
	}
	matches := match(list, from, to, e.key(path))
	if matches == nil {
		return e.replaceValue(node, list, from, to, path)
	}
	mark := len(e.edits)
	for i, m := range matches {
		if !m.found {
			continue
		}
		if err := e.edit(node.Content[m.tree], list[m.tree], from[m.before], to[i], path); err != nil {
			return err
		}
	}
	if !rearranged(matches, len(list)) {
		return nil
	}
	if isFlow(node) {
		return e.rearrangeFlow(node, to, matches, mark)
	}
	return e.rearrange(node, to, matches, mark)
}

// rearranged tells whether items come, go or move.
func rearranged(matches []matched, length int) bool {
	if len(matches) != length {
		return true
	}
	for i, m := range matches {
		if !m.found || m.tree != i {
			return true
		}
	}
	return false
}

// rearrange writes a block sequence's items in their new order: those that
// stay with their lines, comments before them included. The edits after mark
// are of this sequence and go into the items' text.
func (e *editing) rearrange(node *yaml.Node, to []any, matches []matched, mark int) error {
	inner := slices.Clone(e.edits[mark:])
	firstLine, column := e.dash(node.Content[0])
	begin := e.lineStart(firstLine)
	if key := e.keyLine(node); key >= 0 && key < firstLine {
		begin = e.lineEnd(key) // comments above the first item are its own
	}
	finish := e.lineEnd(e.ends[node])
	starts := make([]int, len(node.Content)+1)
	starts[0] = begin
	for i := range node.Content {
		line, c := e.dash(node.Content[i])
		if c != column || len(bytes.TrimSpace(e.text[e.lineStart(line):e.lineStart(line)+column])) > 0 {
			return errEdit // items that share a line with another dash
		}
		starts[i+1] = e.lineEnd(e.ends[node.Content[i]])
	}
	var out strings.Builder
	for i, m := range matches {
		if !m.found {
			out.WriteString(e.lined(e.block([]any{to[i]}), column))
			continue
		}
		start, end := starts[m.tree], starts[m.tree+1]
		var own []replacement
		for _, r := range inner {
			// What is inserted right at start ends the item before.
			if r.start >= start && r.end > start && r.end <= end {
				own = append(own, r)
			}
		}
		text, err := e.splice(start, end, own)
		if err != nil {
			return err
		}
		out.WriteString(text)
	}
	e.edits = append(e.edits[:mark], replacement{begin, finish, out.String()})
	return nil
}

// keyLine is the line, from 0, of the key that a node is the value of; -1 if
// it has none.
func (e *editing) keyLine(n *yaml.Node) int {
	p := e.parents[n]
	if p == nil || p.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(p.Content); i += 2 {
		if p.Content[i+1] == n {
			if n.Anchor != "" && e.offset(n.Line, n.Column) < len(e.text) && n.Line > p.Content[i].Line {
				return n.Line - 1
			}
			return p.Content[i].Line - 1
		}
	}
	return -1
}

// block is v as block YAML in the document's way of indenting sequences.
func (e *editing) block(v any) string {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if e.compact {
		encoder.CompactSeqIndent()
	}
	if err := encoder.Encode(plainNumbers(v)); err != nil {
		return ""
	}
	return out.String()
}

// lined indents lines by column and gives them the document's line ends.
func (e *editing) lined(text string, column int) string {
	prefix := strings.Repeat(" ", column)
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			out.WriteString(prefix)
			out.WriteString(line)
		}
		out.WriteString(e.newline)
	}
	return out.String()
}

// blockValue is what follows a key's colon, or a dash, at column indent.
func (e *editing) blockValue(v any, indent int, item bool) string {
	switch c := v.(type) {
	case map[string]any:
		if len(c) > 0 && item {
			return " " + strings.TrimLeft(strings.TrimSuffix(e.lined(e.block(c), indent+2), e.newline), " ")
		}
		if len(c) > 0 {
			return e.newline + strings.TrimSuffix(e.lined(e.block(c), indent+2), e.newline)
		}
	case []any:
		if len(c) > 0 && !item {
			column := indent
			if !e.compact {
				column += 2
			}
			return e.newline + strings.TrimSuffix(e.lined(e.block(c), column), e.newline)
		}
		if len(c) > 0 {
			return " " + e.flow(c, false)
		}
	}
	text := strings.TrimPrefix(e.block(map[string]any{"k": v}), "k:")
	first, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "\n")
	if rest == "" {
		return first
	}
	return first + e.newline + strings.TrimSuffix(e.lined(rest+"\n", max(indent, 0)), e.newline)
}
