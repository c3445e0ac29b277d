package inject

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// listKeys tell a pod's list items apart (INJ-56).
func listKeys() manifest.ListKey {
	keys := map[string]string{
		"containers":       "name",
		"initContainers":   "name",
		"env":              "name",
		"volumes":          "name",
		"imagePullSecrets": "name",
		"volumeMounts":     "mountPath",
		"ports":            "containerPort",
		"items":            manifest.ByPosition,
	}
	return func(path []string) string {
		if len(path) == 0 {
			return ""
		}
		return keys[path[len(path)-1]]
	}
}

// Preserved writes the stream with the changes edited into its text.
func (o Output) Preserved(ctx context.Context) ([]byte, error) {
	p := &preserver{engine: o.engine, editor: manifest.Editor{Key: listKeys()}, uninjector: NewUninjector(mesh.KnownPodTemplates(), nil)}
	texts := make([][]byte, len(o.Results))
	err := workers.Each(ctx, len(texts), 1, func(d int) (err error) {
		if !o.Results[d].Changed() {
			return nil
		}
		if texts[d], err = p.edit(o.Stream.Raw(d), o.Results[d]); err != nil {
			return o.Stream.Documents[d].Explain(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o.Stream.Splice(texts), nil
}

// preserver edits documents in place and sees to it that the edit can be taken
// back byte for byte.
type preserver struct {
	engine     Engine
	editor     manifest.Editor
	uninjector *Uninjector
}

func (p *preserver) edit(raw []byte, r *Result) ([]byte, error) {
	original, recorded := manifest.Undo(raw)
	if r.has(Uninjected) {
		if recorded {
			return original, nil
		}
		return p.apply(raw, r)
	}
	if recorded {
		// Begin again from the document as it was before the first injection.
		var err error
		if r, err = p.engine(&manifest.Document{Text: original, Line: 1}); err != nil {
			return nil, err
		}
		raw = original
	}
	edited, err := p.apply(raw, r)
	if err != nil {
		return nil, err
	}
	if !recorded && p.injected(raw) || bytes.Equal(p.uninjected(edited), raw) || startsJSON(raw) {
		return edited, nil
	}
	return manifest.WithUndo(edited, raw), nil
}

func (p *preserver) apply(raw []byte, r *Result) ([]byte, error) {
	before, err := numbered(r.Before)
	if err != nil {
		return nil, err
	}
	after, err := numbered(r.After)
	if err != nil {
		return nil, err
	}
	return p.editor.Edit(raw, before, after)
}

// injected tells whether the document already has a sidecar.
func (p *preserver) injected(raw []byte) bool {
	r, err := p.uninjector.Document(&manifest.Document{Text: raw, Line: 1})
	return err == nil && r.has(Uninjected)
}

// uninjected is the document with the sidecars edited out again, nil if that
// cannot be done.
func (p *preserver) uninjected(edited []byte) []byte {
	r, err := p.uninjector.Document(&manifest.Document{Text: edited, Line: 1})
	if err != nil {
		return nil
	}
	text, err := p.apply(edited, r)
	if err != nil {
		return nil
	}
	return text
}

func (r *Result) has(reason Reason) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Reason == reason })
}

// startsJSON tells whether a document is JSON, which has no comments.
func startsJSON(raw []byte) bool {
	trimmed := bytes.TrimSpace(raw)
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// numbered is a JSON text as a tree that keeps numbers as they are written.
func numbered(text json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tree any
	err := d.Decode(&tree)
	return tree, err
}
