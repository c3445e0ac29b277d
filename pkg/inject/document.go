package inject

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// Result is what became of one document.
type Result struct {
	// Canonical is the document in canonical form; nil passes it through as it
	// was written.
	Canonical []byte
	Outcomes  []Outcome
}

// Document injects every workload of a document.
func (i *Injector) Document(d *manifest.Document) (*Result, error) {
	text, err := yaml.YAMLToJSON(d.Text)
	if err != nil {
		return nil, fmt.Errorf("error converting YAML to JSON: %w", err)
	}
	r := &Result{}
	obj, err := i.object(text, r)
	if err != nil {
		return nil, err
	}
	if obj != nil {
		r.Canonical, err = i.encoder.Marshal(obj)
	}
	return r, err
}

type typeHead struct {
	APIVersion string                           `json:"apiVersion"`
	Kind       string                           `json:"kind"`
	Metadata   struct{ Name, Namespace string } `json:"metadata"`
}

func (i *Injector) object(text []byte, r *Result) (any, error) {
	var head typeHead
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, err
	}
	if head.Kind == "List" {
		return i.list(text, r)
	}
	k, ok := i.kinds[head.Kind]
	_ = report.Object{}
	if !ok {
		return nil, nil
	}
	w, err := k.open(text)
	if err != nil {
		return nil, err
	}
	dec := i.decide(w.meta, w.spec)
	if dec.reason != Injected {
		return w.object, nil
	}
	n, err := i.begin(w)
	if err != nil {
		return nil, err
	}
	if err := n.run(); err != nil {
		return nil, err
	}
	*w.meta, *w.spec = n.pod.ObjectMeta, n.pod.Spec
	return w.object, nil
}
func (i *Injector) list(text []byte, r *Result) (any, error) {
	var l struct {
		Kind       string            `json:"kind,omitempty"`
		APIVersion string            `json:"apiVersion,omitempty"`
		Metadata   json.RawMessage   `json:"metadata"`
		Items      []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	if l.Metadata == nil {
		l.Metadata = json.RawMessage("{}")
	}
	for n, item := range l.Items {
		o, err := i.object(item, r)
		if err != nil {
			return nil, err
		}
		if o != nil {
			if l.Items[n], err = json.Marshal(o); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}
