package platform

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// injectionValues finds labels and annotations about injection whose value
// nobody understands: pods run without what they seem to ask for.
func injectionValues(p *analyze.Pass) {
	for _, ns := range p.Kind("", "Namespace") {
		at := []string{"metadata", "labels"}
		oneOf(p, ns, ns.Labels, at, namespaceLabel, "the namespace gets no sidecars by it", "enabled", "disabled")
		oneOf(p, ns, ns.Labels, at, dataplaneLabel, "the namespace is not in ambient mode by it", "ambient", "none")
	}
	for _, one := range pods(p) {
		at := slices.Concat(one.template, []string{"metadata"})
		oneOf(p, one.Object, one.Metadata.Labels, slices.Concat(at, []string{"labels"}), injectLabel, "the namespace decides as if nothing were said", "true", "false")
		oneOf(p, one.Object, one.Metadata.Annotations, slices.Concat(at, []string{"annotations"}), injectLabel, "the namespace decides as if nothing were said", "true", "false")
		oneOf(p, one.Object, one.Metadata.Labels, slices.Concat(at, []string{"labels"}), dataplaneLabel, "the pod is not in ambient mode by it", "ambient", "none")
	}
}

// oneOf reports a value that is none of those which a key may have.
func oneOf(p *analyze.Pass, o *mesh.Object, values map[string]string, at []string, key, consequence string, known ...string) {
	value, there := values[key]
	if !there || slices.Contains(known, value) {
		return
	}
	at = slices.Concat(at, []string{key})
	r := p.Report(o, at, "%s: %q says nothing, and %s: write %s", key, value, consequence, strings.Join(known, " or "))
	if near := mesh.Nearest(value, known); near != "" {
		r.SetValue(at, near)
	}
}
