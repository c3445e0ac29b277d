package platform

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// injectorName is the ConfigMap of the default revision's injector; other
// revisions have theirs with "-REVISION" behind it.
const injectorName = "istio-sidecar-injector"

// injector is what an installation injects with.
type injector struct {
	*mesh.Object
	values injectorValues
}

type injectorValues struct {
	Global struct {
		Hub   string `json:"hub"`
		Tag   any    `json:"tag"`
		Proxy struct {
			Image string `json:"image"`
		} `json:"proxy"`
	} `json:"global"`
	Webhook struct {
		ByDefault bool `json:"enableNamespacesByDefault"`
	} `json:"sidecarInjectorWebhook"`
}

// injectors are those of the files by revision, "" for the default one.
func injectors(p *analyze.Pass) map[string]*injector {
	return analyze.Shared(p.Inventory, "platform.injectors", func() map[string]*injector {
		all := map[string]*injector{}
		for _, o := range p.Kind("", "ConfigMap") {
			revision, ok := strings.CutPrefix(o.Name, injectorName)
			if !ok {
				continue
			}
			var object struct {
				Data map[string]string `json:"data"`
			}
			if label := o.Labels[revisionLabel]; revision == "" && label != "default" {
				revision = label
			}
			one := &injector{Object: o}
			if o.Decode(&object) == nil && yaml.Unmarshal([]byte(object.Data["values"]), &one.values) == nil {
				all[strings.TrimPrefix(revision, "-")] = one
			}
		}
		return all
	})
}

// injectorOf is the injector of a namespace that asks for sidecars; nil if the
// files do not have it.
func injectorOf(p *analyze.Pass, ns *mesh.Object) *injector {
	revision := ns.Labels[revisionLabel]
	if ns.Labels[namespaceLabel] == "enabled" || revision == "default" {
		revision = ""
	}
	if one := injectors(p)[revision]; one != nil {
		return one
	}
	return injectors(p)[taggedRevision(p, revision)]
}

// taggedRevision is the revision that a tag stands for: its webhook says so. It
// is "none" for what is no tag.
func taggedRevision(p *analyze.Pass, tag string) string {
	for _, o := range p.Kind(admission, "MutatingWebhookConfiguration") {
		if tag != "" && o.Labels["istio.io/tag"] == tag {
			if revision := o.Labels[revisionLabel]; revision != "default" {
				return revision
			}
			return ""
		}
	}
	return "none"
}

// injectedByDefault is a ConfigMap that turns injection on for namespaces that do
// not ask for it; nil for none.
func injectedByDefault(p *analyze.Pass) *mesh.Object {
	for _, o := range p.Kind("", "ConfigMap") {
		for _, one := range injectors(p) {
			if one.Object == o && one.values.Webhook.ByDefault {
				return o
			}
		}
	}
	return nil
}

// image is the proxy's image, given the name that the values or a pod have for
// it; "" if the values do not say.
func (i *injector) image(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	hub, tag := i.values.Global.Hub, i.values.Global.Tag
	if name == "" || hub == "" || tag == nil {
		return ""
	}
	return fmt.Sprintf("%s/%s:%v", hub, name, tag)
}
