package platform

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/meshctl/meshctl/pkg/analyze"
)

const bundleVersion = "gateway.networking.k8s.io/bundle-version"

// leastBundles are the releases of the Gateway API from which on Istio reads a
// kind: earlier ones do not have the version that it asks for.
func leastBundles() map[string]*version.Version {
	return map[string]*version.Version{
		"backendtlspolicies.gateway.networking.k8s.io": version.MustParseSemantic("v1.4.0"),
		"grpcroutes.gateway.networking.k8s.io":         version.MustParseSemantic("v1.1.0"),
		"listenersets.gateway.networking.k8s.io":       version.MustParseSemantic("v1.5.0"),
		"tlsroutes.gateway.networking.k8s.io":          version.MustParseSemantic("v1.5.0"),
	}
}

// gatewayDefinitions reports definitions of the Gateway API's kinds that are too
// old for Istio to read the kind.
func gatewayDefinitions(p *analyze.Pass) {
	least := leastBundles()
	names := slices.Sorted(maps.Keys(least))
	for _, o := range p.Kind("apiextensions.k8s.io", "CustomResourceDefinition") {
		text, ok := o.Annotations[bundleVersion]
		if !ok || !slices.Contains(names, o.Name) {
			continue
		}
		at := []string{"metadata", "annotations", bundleVersion}
		if found, err := version.ParseSemantic(text); err != nil {
			p.Report(o, at, "%q is no version, and Istio ignores the kind without one: install the Gateway API as it is released", text)
		} else if found.LessThan(least[o.Name]) {
			p.Report(o, at, "the definition is of release %s of the Gateway API, and Istio ignores objects of the kind before v%s: install that or a later one", text, least[o.Name])
		}
	}
}
