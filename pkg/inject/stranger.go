package inject

import (
	"encoding/json"
	"fmt"

	"github.com/meshctl/meshctl/pkg/report"
)

// stranger is the outcome of an object that no kind opens. It passes through;
// if it looks as if it ran pods, with a warning (INJ-5, INJ-6).
func stranger(object report.Object, text []byte, namesake bool) Outcome {
	o := Outcome{Object: object, Reason: NoPods}
	name := object.Kind
	if g := group(object.APIVersion); g != "" {
		name += "." + g
	}
	var shape podShape
	// Where the fields are of other types than a pod's, they stay empty.
	_ = json.Unmarshal(text, &shape)
	path := "PATH"
	if shape.atTemplate() {
		path = "spec.template"
	}
	switch {
	case object.Kind == "":
		o.Reason = NotKubernetes
	case namesake:
		o.Reason = ForeignKind
		o.Warnings = []string{fmt.Sprintf("%s of %s is not the built-in kind; to inject it, name its pod template: --pod-template %s=%s",
			object.Kind, group(object.APIVersion), name, path)}
	case shape.atTemplate():
		o.Reason = UnknownKind
		o.Warnings = []string{fmt.Sprintf("kind %s is not known and so not injected: mend its name", name)}
		if name != object.Kind {
			o.Warnings[0] += fmt.Sprintf(", or, if it runs pods, tell where they are: --pod-template %s=spec.template", name)
		}
	case shape.inItems():
		o.Reason = UnknownKind
		o.Warnings = []string{fmt.Sprintf("the items of a %s are not injected: write it as a List of apiVersion v1, each item with its kind", object.Kind)}
	}
	return o
}

// podShape is where pods are found in objects of most kinds.
type podShape struct {
	Spec struct {
		podContainers
		Template struct {
			Spec podContainers `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Items []podShape `json:"items"`
}

type podContainers struct {
	Containers []struct {
		Image string `json:"image"`
	} `json:"containers"`
}

func (p podShape) atTemplate() bool { return p.Spec.Template.Spec.Containers != nil }

func (p podShape) inItems() bool {
	for _, item := range p.Items {
		if item.atTemplate() || item.Spec.Containers != nil {
			return true
		}
	}
	return false
}
