package manifest

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// measure finds the last line of node and of all nodes within. limit is the
// line, from 0, where the next thing starts; indent is the column of the block
// that node belongs to, from 0.
func (e *editing) measure(n *yaml.Node, limit, indent int) {
	switch {
	case n.Kind == yaml.MappingNode && !isFlow(n) && len(n.Content) > 0:
		for i := 0; i+1 < len(n.Content); i += 2 {
			stop := limit
			if i+2 < len(n.Content) {
				stop = n.Content[i+2].Line - 1
			}
			e.ends[n.Content[i]] = n.Content[i].Line - 1
			e.measure(n.Content[i+1], stop, n.Content[i].Column-1)
		}
		e.ends[n] = e.ends[n.Content[len(n.Content)-1]]
	case n.Kind == yaml.SequenceNode && !isFlow(n) && len(n.Content) > 0:
		for i, item := range n.Content {
			stop := limit
			if i+1 < len(n.Content) {
				line, _ := e.dash(n.Content[i+1])
				stop = line
			}
			_, column := e.dash(item)
			e.measure(item, stop, column)
		}
		e.ends[n] = e.ends[n.Content[len(n.Content)-1]]
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		e.ends[n] = e.blockScalarEnd(n, limit, indent)
	default:
		for _, c := range n.Content {
			e.ends[c] = c.Line - 1
		}
		last := max(n.Line-1, 0)
		for l := min(limit, len(e.lines)) - 1; l > last; l-- {
			line := bytes.TrimSpace(e.text[e.lineStart(l):e.lineEnd(l)])
			if len(line) > 0 && line[0] != '#' {
				last = l
				break
			}
		}
		e.ends[n] = last
	}
}

// blockScalarEnd is the last line of a literal or folded text: all lines that
// are indented more than the block it belongs to are its content.
func (e *editing) blockScalarEnd(n *yaml.Node, limit, indent int) int {
	last := n.Line - 1
	for l := last + 1; l < min(limit, len(e.lines)); l++ {
		line := bytes.TrimRight(e.text[e.lineStart(l):e.lineEnd(l)], " \t\r\n")
		if len(line) == 0 {
			continue
		}
		if len(line)-len(bytes.TrimLeft(line, " ")) <= indent {
			break
		}
		last = l
	}
	return last
}

// dash finds the "-" of a block sequence's item: its line and column, from 0.
func (e *editing) dash(item *yaml.Node) (line, column int) {
	line = item.Line - 1
	at := min(e.offset(item.Line, item.Column), len(e.text))
	for {
		before := bytes.TrimRight(e.text[e.lineStart(line):at], " \t\r\n")
		if c := bytes.IndexByte(before, '#'); c >= 0 && len(bytes.TrimRight(before[:c], " \t")) > 0 && line != item.Line-1 {
			before = bytes.TrimRight(before[:c], " \t") // "- # comment"
		}
		if len(before) > 0 && before[len(before)-1] == '-' {
			return line, len(before) - 1
		}
		if line == 0 {
			return item.Line - 1, max(item.Column-1, 0)
		}
		line--
		at = e.lineEnd(line)
	}
}

// span is the bytes of a node's value: of block collections the whole lines'
// content, of scalars and flow collections exactly their text.
func (e *editing) span(n *yaml.Node) (start, end int) {
	start = e.offset(n.Line, n.Column)
	switch {
	case n.Kind == yaml.AliasNode:
		return start, e.skipName(start)
	case isFlow(n) && n.Kind != yaml.ScalarNode:
		return start, e.flowEnd(start)
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0:
		if n.Value == "" && n.Tag == "!!null" {
			return start, start // nothing is written
		}
		return start, e.scalarEnd(start, n)
	}
	line, known := e.ends[n]
	if !known {
		line = n.Line - 1
	}
	end = e.lineEnd(line)
	return start, end - len(e.text[start:end]) + len(bytes.TrimRight(e.text[start:end], " \t\r\n"))
}

// skipName is the end of "*name", "&name" or "!tag" at pos.
func (e *editing) skipName(pos int) int {
	for pos < len(e.text) && !bytes.ContainsRune([]byte(" \t\r\n,]}"), rune(e.text[pos])) {
		pos++
	}
	return pos
}

// scalarEnd is the end of the plain or quoted scalar at pos.
func (e *editing) scalarEnd(pos int, n *yaml.Node) int {
	pos = e.skipProperties(pos)
	switch {
	case pos >= len(e.text):
		return pos
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return e.quotedEnd(pos, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return e.quotedEnd(pos, '\'')
	case e.inFlow(n):
		return e.plainFlowEnd(pos)
	}
	last := e.ends[n]
	end := e.lineEnd(last)
	from := max(pos, e.lineStart(last))
	line := e.text[from:end]
	for i := 1; i < len(line); i++ {
		if line[i] == '#' && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return from + len(bytes.TrimRight(line, " \t\r\n"))
}

// skipProperties skips anchors and tags before a value.
func (e *editing) skipProperties(pos int) int {
	for pos < len(e.text) && (e.text[pos] == '&' || e.text[pos] == '!') {
		pos = e.skipName(pos)
		for pos < len(e.text) && bytes.IndexByte([]byte(" \t\r\n"), e.text[pos]) >= 0 {
			pos++
		}
	}
	return pos
}

func (e *editing) quotedEnd(pos int, quote byte) int {
	for pos++; pos < len(e.text); pos++ {
		switch {
		case e.text[pos] == '\\' && quote == '"':
			pos++
		case e.text[pos] == quote && quote == '\'' && pos+1 < len(e.text) && e.text[pos+1] == '\'':
			pos++
		case e.text[pos] == quote:
			return pos + 1
		}
	}
	return len(e.text)
}

func (e *editing) plainFlowEnd(pos int) int {
	start := pos
	for ; pos < len(e.text); pos++ {
		c := e.text[pos]
		if c == ',' || c == ']' || c == '}' || c == '\n' ||
			c == '#' && pos > 0 && e.text[pos-1] == ' ' ||
			c == ':' && pos+1 < len(e.text) && bytes.IndexByte([]byte(" \t\r\n,]}"), e.text[pos+1]) >= 0 {
			break
		}
	}
	return start + len(bytes.TrimRight(e.text[start:pos], " \t\r"))
}

// flowEnd is the end of the bracketed collection at pos.
func (e *editing) flowEnd(pos int) int {
	pos = e.skipProperties(pos)
	depth := 0
	for pos < len(e.text) {
		switch c := e.text[pos]; {
		case c == '"':
			pos = e.quotedEnd(pos, '"')
			continue
		case c == '\'' && e.startsScalar(pos):
			pos = e.quotedEnd(pos, '\'')
			continue
		case c == '#' && pos > 0 && bytes.IndexByte([]byte(" \t\n"), e.text[pos-1]) >= 0:
			pos += lineLength(e.text[pos:])
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return pos + 1
			}
		}
		pos++
	}
	return len(e.text)
}

// startsScalar tells whether a quote at pos opens a scalar; within a plain one
// it is an apostrophe.
func (e *editing) startsScalar(pos int) bool {
	before := bytes.TrimRight(e.text[:pos], " \t\r\n")
	return len(before) == 0 || bytes.IndexByte([]byte("[{,:?"), before[len(before)-1]) >= 0
}

// inFlow tells whether a node stands within brackets.
func (e *editing) inFlow(n *yaml.Node) bool {
	p := e.parents[n]
	return p != nil && isFlow(p)
}

// link remembers the collection that holds each node.
func (e *editing) link(n *yaml.Node) {
	for _, c := range n.Content {
		e.parents[c] = n
		e.link(c)
	}
}

// parentIndent is the column, from 0, of the key or dash that n belongs to.
func (e *editing) parentIndent(n *yaml.Node) int {
	p := e.parents[n]
	if p == nil {
		return -2
	}
	if p.Kind == yaml.SequenceNode {
		_, column := e.dash(n)
		return column
	}
	for i := 0; i+1 < len(p.Content); i += 2 {
		if p.Content[i+1] == n {
			return p.Content[i].Column - 1
		}
	}
	return 0
}

// findCompact tells whether the first block sequence under a key stands at the
// key's own column; true if there is none.
func (e *editing) findCompact(n *yaml.Node) bool {
	compact, found := true, false
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i := 0; i < len(n.Content) && !found; i++ {
			c := n.Content[i]
			if n.Kind == yaml.MappingNode && i%2 == 1 && c.Kind == yaml.SequenceNode && !isFlow(c) && len(c.Content) > 0 {
				_, column := e.dash(c.Content[0])
				compact, found = column <= n.Content[i-1].Column-1, true
				return
			}
			walk(c)
		}
	}
	walk(n)
	return compact
}
