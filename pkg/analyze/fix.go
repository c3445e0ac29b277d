package analyze

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// fixes gives the findings that know their fix the edits for it.
func (i *Inventory) fixes(reports []*Report) {
	streams := map[string]*manifest.Stream{}
	for _, s := range i.Streams {
		streams[s.Name] = s
	}
	same := map[place][]*Report{}
	reports = slices.DeleteFunc(slices.Clone(reports), func(r *Report) bool { return r.changes == nil || r.object == nil || streams[r.File] == nil })
	once(reports)
	for _, r := range reports {
		same[r.place()] = append(same[r.place()], r)
	}
	for _, r := range reports {
		if fix, err := r.fix(streams[r.File], same[r.place()]); err == nil {
			r.Fix = fix // without one the finding still says what to do
		}
	}
}

// place is where the findings of a rule are: those of what an alias stands for
// are in the place of it.
type place struct {
	report.Location
	code string
}

func (r *Report) place() place { return place{r.Location, r.Code} }

// once makes the second of two items that are to become alike in a list go.
func once(reports []*Report) {
	type item struct{ code, object, list, value string }
	seen := map[item]bool{}
	for _, r := range reports {
		for i, c := range r.changes {
			last := len(c.path) - 1
			if text, ok := c.value.(string); ok && last >= 0 && isNumber(c.path[last]) {
				one := item{r.Code, r.Origin + " " + r.File, strings.Join(c.path[:last], "\x00"), text}
				r.changes[i].remove = seen[one]
				seen[one] = true
			}
		}
	}
}

// fix turns the changes into edits of the file. The others of the same place, which
// aliases put there, are made with them, so that the aliases stay.
func (r *Report) fix(s *manifest.Stream, same []*Report) (*report.Fix, error) {
	document, at := r.object.Document()
	fix := &report.Fix{}
	var words []string
	text := document.Text
	for i, c := range r.changes {
		paths := [][]string{append(slices.Clone(at), c.path...)}
		for _, other := range same {
			if there, at := other.object.Document(); other != r && there == document && i < len(other.changes) && other.changes[i].alike(c) {
				paths = append(paths, append(slices.Clone(at), other.changes[i].path...))
			}
		}
		next, said, err := c.apply(document, text, paths)
		if err != nil {
			return nil, err
		}
		text, words = next, append(words, said)
	}
	fix.Description = visible(strings.Join(words, "; "))
	fix.Edits = []report.Edit{difference(s, document, text)}
	return fix, nil
}

// alike tells whether two changes do the same, each in its place.
func (c change) alike(other change) bool {
	return c.key == other.key && c.remove == other.remove && manifest.Equal(c.value, other.value)
}

// apply makes the change in the document's text at the paths, of which the first
// is its own, and says what it does.
func (c change) apply(document *manifest.Document, text []byte, paths [][]string) (edited []byte, said string, err error) {
	name := fieldPath(c.path)
	if c.key != "" {
		now := *document
		now.Text = text
		start, end, found := now.KeySpan(paths[0]...)
		if !found {
			return nil, "", fmt.Errorf("%s cannot be renamed in place", name)
		}
		key, quoted := manifest.Requoted(string(text[start:end]), c.key)
		if !quoted {
			key = c.key
		}
		return slices.Concat(text[:start], []byte(key), text[end:]), fmt.Sprintf("rename %s to %s", name, c.key), nil
	}
	var decoder manifest.Decoder
	before, err := decoder.Tree(text)
	if err != nil {
		return nil, "", err
	}
	c.remove = c.remove || listHas(before, paths[0], c.value)
	after := before
	for _, path := range paths {
		if after, err = with(after, path, c); err != nil {
			return nil, "", err
		}
	}
	editor := manifest.Editor{Key: func(at []string) string {
		if c.remove && slices.Equal(at, slices.DeleteFunc(slices.Clone(paths[0]), isNumber)) {
			return manifest.ByValue // the comments of the others stay
		}
		return manifest.ByPosition
	}}
	edited, err = editor.Edit(text, before, after)
	if c.remove {
		return edited, "remove " + name, err
	}
	return edited, fmt.Sprintf("set %s to %v", name, c.value), err
}

// listHas tells whether path leads into a list that has a value already.
func listHas(tree any, path []string, value any) bool {
	for _, step := range path[:max(len(path)-1, 0)] {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(node) {
				return false
			}
			tree = node[n]
		}
	}
	list, ok := tree.([]any)
	return ok && value != nil && slices.ContainsFunc(list, func(item any) bool { return manifest.Equal(item, value) })
}

// with is a tree with a change made; the tree itself stays as it is.
func with(tree any, path []string, c change) (any, error) {
	if len(path) == 0 {
		return c.value, nil
	}
	switch node := tree.(type) {
	case map[string]any:
		result := maps.Clone(node)
		if len(path) == 1 && c.remove {
			delete(result, path[0])
			return result, nil
		}
		value, err := with(node[path[0]], path[1:], c)
		result[path[0]] = value
		return result, err
	case []any:
		n, err := strconv.Atoi(path[0])
		if err != nil || n < 0 || n >= len(node) {
			return nil, fmt.Errorf("no item %s", path[0])
		}
		if len(path) == 1 && c.remove {
			return slices.Delete(slices.Clone(node), n, n+1), nil
		}
		result := slices.Clone(node)
		result[n], err = with(node[n], path[1:], c)
		return result, err
	case nil:
		value, err := with(map[string]any{}, path, c)
		return value, err
	}
	return nil, fmt.Errorf("no field %s", path[0])
}

// difference is the edit of the stream that makes text of the document's.
func difference(s *manifest.Stream, document *manifest.Document, text []byte) report.Edit {
	old := document.Text
	start := 0
	for start < len(old) && start < len(text) && old[start] == text[start] {
		start++
	}
	end, last := len(old), len(text)
	for end > start && last > start && old[end-1] == text[last-1] {
		end, last = end-1, last-1
	}
	edit := report.Edit{File: s.Name, Start: s.Offset(document, start), End: s.Offset(document, end), Text: string(text[start:last])}
	if bytes.Contains(s.Data, []byte("\r\n")) {
		edit.Text = strings.ReplaceAll(edit.Text, "\n", "\r\n")
	}
	return edit
}

// fieldPath writes a path as people do: "spec.rules[0].to".
func fieldPath(path []string) string {
	var b strings.Builder
	for i, step := range path {
		switch {
		case isNumber(step):
			b.WriteString("[" + step + "]")
		case i > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
	}
	return b.String()
}

// isNumber tells the number of a list's item.
func isNumber(step string) bool {
	_, err := strconv.Atoi(step)
	return err == nil
}

// Apply makes the fixes of findings in a file's text. Of fixes that touch the
// same bytes the first is made; run again for the others.
func Apply(data []byte, file string, findings []report.Finding) (fixed []byte, made int) {
	var edits []report.Edit
	for _, f := range findings {
		if f.Fix == nil || slices.ContainsFunc(f.Fix.Edits, func(e report.Edit) bool { return e.File != file || overlaps(edits, e) }) {
			continue
		}
		edits = append(edits, f.Fix.Edits...)
		made++
	}
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].Start < edits[j].Start })
	at := 0
	for _, e := range edits {
		fixed = append(append(fixed, data[at:e.Start]...), e.Text...)
		at = e.End
	}
	return append(fixed, data[at:]...), made
}

func overlaps(edits []report.Edit, e report.Edit) bool {
	return slices.ContainsFunc(edits, func(other report.Edit) bool { return e.Start <= other.End && other.Start <= e.End })
}
