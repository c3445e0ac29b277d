package platform

import (
	"maps"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// clusterLabel labels the Secrets that give istiod other clusters.
const clusterLabel = "istio/multiCluster"

// serviceRegistries reports networks whose endpoints come from a cluster that
// istiod does not know.
func serviceRegistries(p *analyze.Pass) {
	networks, place := meshNetworks(p)
	if networks == nil {
		return
	}
	known := clusters(p)
	for _, name := range slices.Sorted(maps.Keys(networks.Networks)) {
		for i, endpoint := range networks.Networks[name].GetEndpoints() {
			registry := endpoint.GetFromRegistry()
			if registry == "" || slices.Contains(known, registry) {
				continue
			}
			p.ReportAt("MeshNetworks istio-system/meshnetworks", place("networks", name, "endpoints", itoa(i), "fromRegistry"),
				"network %s takes its endpoints from the cluster %q, which istiod does not know; add the Secret that istioctl create-remote-secret makes, or %s", name, registry, mesh.DidYouMean(registry, slices.Clone(known)))
		}
	}
}

// clusters are the names of the clusters that istiod knows: its own, and those
// that Secrets give it.
func clusters(p *analyze.Pass) []string {
	known := map[string]bool{"Kubernetes": true}
	for _, o := range p.Kind("", "Secret") {
		var secret struct {
			Data       map[string]string `json:"data"`
			StringData map[string]string `json:"stringData"`
		}
		if o.Labels[clusterLabel] != "true" || o.Decode(&secret) != nil {
			continue
		}
		for _, keys := range []map[string]string{secret.Data, secret.StringData} {
			for name := range keys {
				known[name] = true
			}
		}
	}
	for _, one := range podsOf(p, "Deployment") {
		if !isIstiod(one) {
			continue
		}
		for _, c := range one.Spec.Containers {
			for _, v := range c.Env {
				if v.Name == "CLUSTER_ID" && v.Value != "" {
					known[v.Value] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// meshNetworks are the networks that were given, or those in the ConfigMap of
// istiod, and how to find a field's place.
func meshNetworks(p *analyze.Pass) (*meshconfig.MeshNetworks, func(path ...string) report.Location) {
	if p.Networks != nil {
		file := report.Location{File: p.NetworksFile, Line: 1, Column: 1}
		s, err := manifest.Read(p.NetworksFile, p.NetworksText)
		if err != nil || len(s.Documents) != 1 {
			return p.Networks, func(...string) report.Location { return file }
		}
		return p.Networks, s.Documents[0].Places()
	}
	for _, o := range p.Kind("", "ConfigMap") {
		var object struct {
			Data map[string]string `json:"data"`
		}
		if o.Namespace != p.RootNamespace() || o.Name != "istio" && !strings.HasPrefix(o.Name, "istio-") || o.Decode(&object) != nil {
			continue
		}
		if networks, err := mesh.ParseNetworks([]byte(object.Data["meshNetworks"])); err == nil && len(networks.Networks) > 0 {
			return networks, func(...string) report.Location { return o.Locate("data", "meshNetworks") }
		}
	}
	return nil, nil
}
