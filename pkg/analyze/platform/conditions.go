package platform

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// negativeConditions reports what a control plane said about objects that were
// read from a cluster.
func negativeConditions(p *analyze.Pass) {
	for _, o := range p.Objects {
		group := analyze.Group(o)
		istios, gateways := strings.HasSuffix(group, ".istio.io"), group == gatewayAPI
		if !istios && !gateways && (group != "" || o.Kind != "Service") {
			continue
		}
		var object struct {
			Status struct {
				Conditions []condition `json:"conditions"`
				Parents    []struct {
					Conditions []condition `json:"conditions"`
				} `json:"parents"`
				Listeners []struct {
					Conditions []condition `json:"conditions"`
				} `json:"listeners"`
			} `json:"status"`
		}
		if o.Decode(&object) != nil {
			continue
		}
		reportConditions(p, o, []string{"status"}, object.Status.Conditions)
		for i, parent := range object.Status.Parents {
			reportConditions(p, o, []string{"status", "parents", itoa(i)}, parent.Conditions)
		}
		for i, listener := range object.Status.Listeners {
			reportConditions(p, o, []string{"status", "listeners", itoa(i)}, listener.Conditions)
		}
	}
}

func reportConditions(p *analyze.Pass, o *mesh.Object, path []string, conditions []condition) {
	for i, c := range conditions {
		if !c.isIstios() || !c.isBad() {
			continue
		}
		at := append(slices.Clone(path), "conditions", itoa(i), "status")
		p.Report(o, at, "the control plane reports %s %s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
	}
}

// isIstios tells conditions that Istio writes or reads from those that other
// tools leave on its objects: a domain of theirs is before the type.
func (c condition) isIstios() bool {
	domain, _, ok := strings.Cut(c.Type, "/")
	return !ok || domain == "istio.io" || strings.HasSuffix(domain, ".istio.io") || domain == "gateway.networking.k8s.io"
}

// isBad tells a condition that says that something is amiss. Some are good when
// they are false.
func (c condition) isBad() bool {
	good := slices.Contains([]string{"Conflicted", "PartiallyInvalid", "OverlappingTLSConfig", "InsecureFrontendValidationMode"}, c.Type)
	return good && c.Status == "True" || !good && c.Status == "False" || c.Status == "True" && c.Reason == "PartiallyInvalid"
}
