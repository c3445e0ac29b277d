package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// Object is one Kubernetes object of the manifests, and where it stands.
type Object struct {
	report.Object
	Labels, Annotations map[string]string
	Created             time.Time // zero if the manifest does not say
	// Implied tells that the manifest names no namespace: the object has the
	// one that it would be applied to.
	Implied bool

	generated bool   // its name is left to the cluster
	owner     string // "Kind/name" of the controller that made it, "" for none
	text      json.RawMessage
	document  *manifest.Document
	path      []string // to the object within the document
	// places are those of a document that many objects are in; nil if it has this
	// one only.
	places  func(path ...string) report.Location
	located sync.Map // what Locate found, by path: traces ask again and again
}

// Locate is the place of a field: map keys and list numbers.
func (o *Object) Locate(path ...string) report.Location {
	key := strings.Join(path, "\x00")
	if at, known := o.located.Load(key); known {
		return at.(report.Location)
	}
	at := o.Places()(path...)
	o.located.Store(key, at)
	return at
}

// Places is Locate for many fields: the text is read once, when the first is
// asked for.
func (o *Object) Places() func(path ...string) report.Location {
	places := o.places
	if places == nil {
		places = o.document.Places()
	}
	return func(path ...string) report.Location {
		return places(append(o.path[:len(o.path):len(o.path)], path...)...)
	}
}

// Decode reads the object, as JSON, into a value.
func (o *Object) Decode(into any) error { return json.Unmarshal(o.text, into) }

// Text is the object as JSON.
func (o *Object) Text() []byte { return o.text }

// Document is the text that the object is in, and the way to it from there.
func (o *Object) Document() (d *manifest.Document, path []string) { return o.document, o.path }

// fault places an error at a field.
func (o *Object) fault(path []string, hint string, err error) error {
	return &report.InputError{Location: o.Locate(path...), Subject: o.String(), Err: err, Hint: hint}
}

// older is the order in which Istio prefers resources: by creation time, then
// name, then namespace (PA-3). Objects without a time come first.
func older(a, b *Object) int {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Namespace, b.Namespace)
}

// head is what all objects have in common.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name              string            `json:"name"`
		GenerateName      string            `json:"generateName"`
		Namespace         string            `json:"namespace"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
		CreationTimestamp *time.Time        `json:"creationTimestamp"`
		OwnerReferences   []struct {
			Kind       string `json:"kind"`
			Name       string `json:"name"`
			Controller bool   `json:"controller"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// Half is what is meant as an object and lacks its kind or apiVersion: no
// cluster takes it, and nothing reads it.
type Half struct {
	*Object
	Missing string // "kind", "apiVersion" or manifest.Neither
}

// reader collects the objects of streams, those of Lists too.
type reader struct {
	decoder   manifest.Decoder
	namespace string                               // of objects that name none
	places    func(path ...string) report.Location // of the document that is read
	objects   []*Object
	halves    []*Half
	problems  []error
}

func (r *reader) read(streams []*manifest.Stream) ([]*Object, error) {
	for _, s := range streams {
		objects, halves := len(r.objects), len(r.halves)
		for d := range s.Documents {
			document := &s.Documents[d]
			text, err := r.decoder.JSON(document.Text)
			if err != nil {
				r.problems = append(r.problems, document.Explain(err))
				continue
			}
			r.places = document.Places()
			r.object(document, text, nil)
		}
		if len(r.objects) == objects { // nothing beside them says that they are meant as objects
			r.halves = append(r.halves[:halves], slices.DeleteFunc(slices.Clone(r.halves[halves:]), func(h *Half) bool { return h.Missing == manifest.Neither })...)
		}
	}
	return r.objects, errors.Join(r.problems...)
}

func (r *reader) object(document *manifest.Document, text json.RawMessage, path []string) {
	if string(text) == "null" {
		return // comments only
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		r.problems = append(r.problems, document.ExplainAt(report.Object{Kind: h.Kind, Name: h.Metadata.Name}, path, fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err)))
		return
	}
	if h.Kind == "" || h.APIVersion == "" {
		if missing := manifest.MissingHead(text); missing != "" {
			r.halves = append(r.halves, &Half{r.newObject(document, text, path, &h), missing})
		}
		return // not a Kubernetes object
	}
	if strings.HasSuffix(h.Kind, "List") && h.Items != nil {
		for n, item := range h.Items {
			r.object(document, item, append(path[:len(path):len(path)], "items", fmt.Sprint(n)))
		}
		return
	}
	r.objects = append(r.objects, r.newObject(document, text, path, &h))
}

func (r *reader) newObject(document *manifest.Document, text json.RawMessage, path []string, h *head) *Object {
	o := &Object{
		Object: report.Object{
			APIVersion: h.APIVersion, Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name,
		},
		Labels: h.Metadata.Labels, Annotations: h.Metadata.Annotations,
		text: text, document: document, path: path,
	}
	if path == nil {
		o.Location = document.Location(document.FirstLine(), 1)
	} else {
		o.Location, o.places = r.places(path...), r.places
	}
	o.generated = h.Metadata.GenerateName != ""
	for _, owner := range h.Metadata.OwnerReferences {
		if owner.Controller {
			o.owner = owner.Kind + "/" + owner.Name
		}
	}
	if h.Metadata.CreationTimestamp != nil {
		o.Created = *h.Metadata.CreationTimestamp
	}
	if o.Namespace == "" && !slices.Contains(clusterScoped(), h.Kind) {
		o.Namespace, o.Implied = r.namespace, true
	}
	return o
}

// clusterScoped are the kinds read here that have no namespace.
func clusterScoped() []string {
	return []string{
		"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass", "MutatingWebhookConfiguration",
		"Namespace", "Node", "PersistentVolume", "PriorityClass", "StorageClass", "ValidatingWebhookConfiguration",
	}
}
