package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// editFlowMap changes a mapping in braces.
func (e *editing) editFlowMap(node *yaml.Node, tree, from, to map[string]any, path []string) error {
	fresh := []string{}
	gone := map[int]bool{}
	for _, k := range slices.Sorted(maps.Keys(to)) {
		old, had := from[k]
		if had && Equal(old, to[k]) {
			continue
		}
		i := entry(node, k)
		if i < 0 {
			fresh = append(fresh, e.flowKey(k)+": "+e.flowIndented(to[k], node))
			continue
		}
		if err := e.edit(node.Content[i+1], tree[k], old, to[k], append(path[:len(path):len(path)], k)); err != nil {
			return err
		}
	}
	for k := range from {
		if i := entry(node, k); i >= 0 {
			if _, stays := to[k]; !stays {
				gone[i/2] = true
			}
		}
	}
	parts := make([][2]int, len(node.Content)/2)
	for i := range parts {
		key, value := node.Content[2*i], node.Content[2*i+1]
		start := e.offset(key.Line, key.Column)
		_, end := e.span(value)
		_, keyEnd := e.span(key)
		parts[i] = [2]int{start, max(end, keyEnd)}
	}
	return e.changeFlow(node, parts, gone, fresh)
}

// changeFlow takes parts out of a bracketed collection and adds fresh ones at
// its end, in the collection's own layout.
func (e *editing) changeFlow(node *yaml.Node, parts [][2]int, gone map[int]bool, fresh []string) error {
	open := e.skipProperties(e.offset(node.Line, node.Column))
	closing := e.flowEnd(open) - 1
	last := -1 // the last part that stays
	for i := range parts {
		if !gone[i] {
			last = i
		}
	}
	if last < 0 {
		text := ""
		if len(fresh) > 0 {
			text = strings.Join(fresh, ", ")
		}
		e.replace(open+1, closing, text)
		return nil
	}
	for i := range parts {
		switch {
		case !gone[i]:
		case i < last:
			e.replace(parts[i][0], parts[i+1][0], "")
		default:
			e.replace(parts[i-1][1], parts[i][1], "")
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	separator := ", "
	if between := e.flowSeparator(parts); between != "" {
		separator = between
	} else if len(parts) == 1 {
		separator = e.loneSeparator(open, parts[0][0])
	}
	at := parts[last][1]
	if len(parts)-1 > last {
		at = parts[len(parts)-1][1]
	}
	e.replace(at, at, separator+strings.Join(fresh, separator))
	return nil
}

// flowSeparator is what stands between the last two parts; "" if there are not
// two, or a comment stands there.
func (e *editing) flowSeparator(parts [][2]int) string {
	if len(parts) < 2 {
		return ""
	}
	between := string(e.text[parts[len(parts)-2][1]:parts[len(parts)-1][0]])
	if strings.Contains(between, "#") || !strings.Contains(between, ",") {
		return ""
	}
	return between
}

// loneSeparator continues the layout of a collection of one part: on a line of
// its own if that part is.
func (e *editing) loneSeparator(open, first int) string {
	between := string(e.text[open+1 : first])
	if i := strings.LastIndex(between, "\n"); i >= 0 && !strings.Contains(between, "#") {
		return "," + e.newline + between[i+1:]
	}
	if e.isJSON() && !bytes.Contains(e.text, []byte(`": `)) {
		return "," // the document spares blanks
	}
	return ", "
}

// rearrangeFlow writes a bracketed sequence's items in their new order.
func (e *editing) rearrangeFlow(node *yaml.Node, to []any, matches []matched, mark int) error {
	inner := slices.Clone(e.edits[mark:])
	parts := make([][2]int, len(node.Content))
	for i, item := range node.Content {
		parts[i][0], parts[i][1] = e.span(item)
	}
	open := e.skipProperties(e.offset(node.Line, node.Column))
	separator := e.flowSeparator(parts)
	if separator == "" {
		separator = ", "
		if len(parts) > 0 {
			separator = e.loneSeparator(open, parts[0][0])
		}
	}
	var items []string
	for i, m := range matches {
		if !m.found {
			items = append(items, e.flowIndented(to[i], node))
			continue
		}
		part := parts[m.tree]
		var own []replacement
		for _, r := range inner {
			if r.start >= part[0] && r.end <= part[1] {
				own = append(own, r)
			}
		}
		text, err := e.splice(part[0], part[1], own)
		if err != nil {
			return err
		}
		items = append(items, text)
	}
	start, end := open+1, e.flowEnd(open)-1
	if len(parts) > 0 {
		start, end = parts[0][0], parts[len(parts)-1][1]
	}
	e.edits = append(e.edits[:mark], replacement{start, end, strings.Join(items, separator)})
	return nil
}

// flowKey is a key as it stands within braces.
func (e *editing) flowKey(k string) string {
	return e.flow(k, e.isJSON())
}

// flowIndented is v for the collection node: on several lines where the
// document is JSON that is laid out so.
func (e *editing) flowIndented(v any, node *yaml.Node) string {
	if !e.isJSON() || len(node.Content) == 0 {
		return e.flow(v, e.isJSON())
	}
	first := node.Content[0]
	start := e.lineStart(first.Line - 1)
	at := e.offset(first.Line, first.Column)
	lead := string(e.text[start:at])
	if strings.TrimSpace(lead) != "" || lead == "" {
		return e.flow(v, true)
	}
	text, err := json.MarshalIndent(v, lead, e.jsonIndent())
	if err != nil {
		return e.flow(v, true)
	}
	return strings.ReplaceAll(string(text), "\n", e.newline)
}

// jsonIndent is the indent of a JSON document's first level.
func (e *editing) jsonIndent() string {
	if len(e.root.Content) == 0 {
		return "  "
	}
	first := e.root.Content[0]
	lead := string(e.text[e.lineStart(first.Line-1):e.offset(first.Line, first.Column)])
	if strings.TrimSpace(lead) != "" || lead == "" {
		return "  "
	}
	return lead
}

// flow is v on one line, as JSON or as YAML in flow style.
func (e *editing) flow(v any, asJSON bool) string {
	if asJSON {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			return "null"
		}
		return strings.TrimSuffix(out.String(), "\n")
	}
	switch c := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(c)) {
			parts = append(parts, e.flow(k, false)+": "+e.flow(c[k], false))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, item := range c {
			parts = append(parts, e.flow(item, false))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		// Brackets and commas end a plain scalar here.
		if strings.ContainsAny(c, ",[]{}#:\n\"\\") || strings.TrimSpace(c) != c {
			return e.flow(v, true)
		}
	}
	text := strings.TrimSuffix(e.block(v), "\n")
	if strings.Contains(text, "\n") {
		return e.flow(v, true)
	}
	return text
}

// plainNumbers makes JSON numbers numbers for the YAML encoder.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, item := range v {
			c[k] = plainNumbers(item)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			c[i] = plainNumbers(item)
		}
		return c
	}
	return v
}
