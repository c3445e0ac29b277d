package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Result is what became of one document. Before and After are its canonical
// JSON, fields unknown to the built-in types left out; both are nil for a
// document without any object of a built-in or configured kind, which passes
// through as it is (INJ-4, INJ-7).
type Result struct {
	Before, After json.RawMessage
	Changes       []Change // one an object, in order
}

// Change is one object before and after. After is nil if it stays as it is.
type Change struct {
	Outcome
	Before, After json.RawMessage

	written json.RawMessage // as the manifest has it
}

// Changed tells whether any object of the document was changed.
func (r *Result) Changed() bool {
	for _, c := range r.Changes {
		if c.After != nil {
			return true
		}
	}
	return false
}

// Document injects every workload of a document. It fails with a
// *report.InputError and then has changed nothing.
func (i *Injector) Document(d *manifest.Document) (*Result, error) {
	w := &walker{document: d, decoder: &i.decoder, kinds: i.kinds, foreign: i.PodTemplates, selector: i.Selector, edit: i.workload}
	return w.walk()
}

// editPods changes the pods of an opened workload in place, or leaves them.
type editPods func(workload) (Outcome, error)

// walker applies one edit to all objects of a document.
type walker struct {
	document *manifest.Document
	decoder  *manifest.Decoder
	kinds    map[string]kind
	foreign  []mesh.PodTemplate
	selector labels.Selector // nil picks all
	edit     editPods
	result   Result
}

func (w *walker) walk() (*Result, error) {
	text, err := w.decoder.JSON(w.document.Text)
	if err != nil {
		return nil, w.document.Explain(err)
	}
	if w.result.Before, w.result.After, err = w.object(text, nil); err != nil {
		return nil, err
	}
	return &w.result, nil
}

// head is what tells an object's kind and name.
type head struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   objectMeta `json:"metadata"`
}

type objectMeta struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// object handles one object; path leads to it within the document.
func (w *walker) object(text []byte, path []string) (before, after json.RawMessage, err error) {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, nil, w.fail(report.Object{}, path, decodingError(err))
	}
	object := report.Object{
		APIVersion: h.APIVersion, Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name,
		Location: w.document.Locate(path...),
	}
	k, builtin := w.kinds[h.Kind]
	switch {
	case h.Kind == "List" && group(h.APIVersion) == "":
		return w.list(text, path)
	case builtin && k.serves(h.APIVersion):
		return w.workload(text, object, path, k.open)
	}
	for _, t := range w.foreign {
		if serves(t, h.APIVersion, h.Kind) {
			return w.workload(text, object, path, func(text []byte) (workload, error) { return openForeign(t, text) })
		}
	}
	o := Outcome{Object: object, Reason: NoPods}
	switch {
	case builtin:
		o.Reason = ForeignKind
		o.Warnings = []string{fmt.Sprintf("%s of %s is not the built-in kind; to inject it, name its pod template: --pod-template %s.%s=spec.template",
			h.Kind, group(h.APIVersion), h.Kind, group(h.APIVersion))}
	case h.Kind == "":
		o.Reason = NotKubernetes
	}
	w.result.Changes = append(w.result.Changes, Change{Outcome: o})
	return nil, nil, nil
}

// workload decodes, edits and encodes one object that runs pods.
func (w *walker) workload(text []byte, object report.Object, path []string, open func([]byte) (workload, error)) (before, after json.RawMessage, err error) {
	load, err := open(text)
	if err != nil {
		return nil, nil, w.fail(object, path, decodingError(err))
	}
	if before, err = json.Marshal(load.object); err != nil {
		return nil, nil, w.fail(object, path, err)
	}
	change := Change{Before: before, written: text}
	if !w.picks(text) {
		change.Reason = NotSelected
	} else if change.Outcome, err = w.edit(load); err != nil {
		return nil, nil, w.fail(object, path, err)
	}
	change.Object = object
	after = before
	if change.Reason == Injected || change.Reason == Uninjected {
		if after, err = json.Marshal(load.object); err != nil {
			return nil, nil, w.fail(object, path, err)
		}
		change.After = after
	}
	w.result.Changes = append(w.result.Changes, change)
	return before, after, nil
}

// picks tells whether the selector wants an object.
func (w *walker) picks(text []byte) bool {
	if w.selector == nil {
		return true
	}
	var labelled struct {
		Metadata struct {
			Labels labels.Set `json:"labels"`
		} `json:"metadata"`
	}
	return json.Unmarshal(text, &labelled) == nil && w.selector.Matches(labelled.Metadata.Labels)
}

// objectList is a v1 List; its field order does not matter.
type objectList struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   json.RawMessage   `json:"metadata"`
	Items      []json.RawMessage `json:"items"`
}

// list handles the items of a List, nested ones too (INJ-12).
func (w *walker) list(text []byte, path []string) (before, after json.RawMessage, err error) {
	var l objectList
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, nil, w.fail(report.Object{Kind: "List"}, path, decodingError(err))
	}
	if l.Metadata == nil {
		l.Metadata = json.RawMessage("{}")
	}
	old := l
	old.Items = make([]json.RawMessage, len(l.Items))
	for n, item := range l.Items {
		b, a, err := w.object(item, append(path[:len(path):len(path)], "items", fmt.Sprint(n)))
		if err != nil {
			return nil, nil, err
		}
		if b == nil {
			b, a = item, item
		}
		old.Items[n], l.Items[n] = b, a
	}
	if before, err = json.Marshal(old); err != nil {
		return nil, nil, err
	}
	after, err = json.Marshal(l)
	return before, after, err
}

// fail places an error of an object: at the annotation that is refused, else
// where the document tells.
func (w *walker) fail(object report.Object, path []string, err error) error {
	if key := annotationAtFault(err); key != "" {
		for _, prefix := range w.metadataPaths() {
			if at, ok := w.document.Find(slices.Concat(path, prefix, []string{"metadata", "annotations", key})...); ok {
				return &report.InputError{Location: at, Subject: object.String(), Err: err}
			}
		}
	}
	var config *configFault
	if errors.As(err, &config) {
		return &report.InputError{Location: w.document.Locate(path...), Subject: object.String(), Err: err, Hint: config.hint}
	}
	return w.document.ExplainAt(object, path, err)
}

// configFault is an error that the manifest did not cause.
type configFault struct {
	err  error
	hint string
}

func (f *configFault) Error() string { return f.err.Error() }
func (f *configFault) Unwrap() error { return f.err }

// metadataPaths lead to where the annotations of pods may stand.
func (w *walker) metadataPaths() [][]string {
	paths := [][]string{{"spec", "jobTemplate"}, {"spec", "template"}, {}}
	for _, t := range w.foreign {
		paths = append(paths, t.Path)
	}
	return paths
}

// decodingError words a JSON error as the peer does.
func decodingError(err error) error {
	return fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err)
}

// workload injects one workload.
func (i *Injector) workload(w workload) (Outcome, error) {
	var warnings []string
	if i.Reinject == Clean {
		u := &uninjection{meta: w.meta, spec: w.spec, owner: w.owner, bare: w.bare}
		u.run()
		warnings = u.warnings
	}
	d := i.decide(w.meta, w.spec)
	if d.warning != "" {
		warnings = append(warnings, d.warning)
	}
	if d.reason != Injected {
		return Outcome{Reason: d.reason, Warnings: warnings}, nil
	}
	n, err := i.begin(w)
	if err != nil {
		return Outcome{}, err
	}
	if err := n.run(); err != nil {
		return Outcome{}, err
	}
	*w.meta, *w.spec = n.pod.ObjectMeta, n.pod.Spec
	o := Outcome{
		Reason:    Injected,
		Templates: n.templates,
		Revision:  firstOf(i.Revision, "default"),
		Warnings:  append(warnings, n.warnings...),
	}
	if proxy := sidecarOf(w.spec); proxy != nil {
		o.Image = proxy.Image
	}
	return o, nil
}
