package platform

import (
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// proxyImages reports namespaces with Pods whose proxies have another image than
// their injector gives today.
func proxyImages(p *analyze.Pass) {
	if len(injectors(p)) == 0 {
		return
	}
	old := map[*mesh.Object][]*pod{}
	for _, one := range podsOf(p, "Pod") {
		ns := namespaces(p)[one.Namespace]
		if ns == nil || len(asksFor(ns)) == 0 || asksFor(ns)[0] == dataplaneLabel {
			continue
		}
		if by := injectorOf(p, ns); by != nil && differs(by, one) {
			old[ns] = append(old[ns], one)
		}
	}
	for _, ns := range p.Kind("", "Namespace") {
		if len(old[ns]) == 0 {
			continue
		}
		by := injectorOf(p, ns)
		names := make([]string, len(old[ns]))
		for i, one := range old[ns] {
			names[i] = one.Name
		}
		r := p.Report(ns, []string{"metadata", "name"}, "proxies of pods have another image than the injector gives, %s: restart %s", by.image(by.values.Global.Proxy.Image), strings.Join(names, ", "))
		r.Because(by.Object, []string{"data", "values"}, "says which image")
		for _, one := range old[ns] {
			c, list, i := one.proxy()
			r.Because(one.Object, []string{"spec", list, itoa(i), "image"}, "runs %s", c.Image)
		}
	}
}

// differs tells whether a pod's proxy is another than the injector would give it.
func differs(by *injector, one *pod) bool {
	c, _, _ := one.proxy()
	if c == nil || c.Image == "auto" || strings.Contains(c.Image, "@") {
		return false // a digest says nothing about the tag
	}
	name := one.Metadata.Annotations["sidecar.istio.io/proxyImage"]
	if name == "" {
		name = by.values.Global.Proxy.Image
	}
	wanted := by.image(name)
	return wanted != "" && withoutVariant(c.Image) != withoutVariant(wanted)
}

// withoutVariant takes the kind of image off: the mesh config, the values and
// the pod may each choose it, and the version is the same.
func withoutVariant(image string) string {
	return strings.TrimSuffix(strings.TrimSuffix(image, "-distroless"), "-debug")
}
