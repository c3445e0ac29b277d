package platform

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/report"
)

// envoyPatch is a patch of an EnvoyFilter, as far as it is looked at.
type envoyPatch struct {
	ApplyTo string `json:"applyTo"`
	Match   struct {
		Proxy struct {
			Version string `json:"proxyVersion"`
		} `json:"proxy"`
	} `json:"match"`
	Patch struct {
		Operation string `json:"operation"`
	} `json:"patch"`
}

// filterPatches reports patches that istiod leaves out, or whose outcome depends
// on what other filters did before.
func filterPatches(p *analyze.Pass) {
	for _, o := range p.Kind(networking, "EnvoyFilter") {
		var filter struct {
			Spec struct {
				Priority int32        `json:"priority"`
				Patches  []envoyPatch `json:"configPatches"`
			} `json:"spec"`
		}
		if o.Decode(&filter) != nil {
			continue
		}
		for i, patch := range filter.Spec.Patches {
			at := []string{"spec", "configPatches", itoa(i), "patch", "operation"}
			if code, way := patch.ignored(); code != "" {
				r := p.ReportCode(code, o, at, "%s does not go with %s, so the patch is ignored; %s", patch.Patch.Operation, patch.ApplyTo, way)
				if patch.ApplyTo == "HTTP_ROUTE" {
					r.As(report.Warning) // so says the API; releases have done otherwise
				}
				continue
			}
			if filter.Spec.Priority != 0 || !patch.isRelative() {
				continue
			}
			if version := patch.Match.Proxy.Version; version != "" {
				p.ReportCode("IST0155", o, at, "%s depends on what other filters did before, no spec.priority orders them, and the patch is for proxies of version %s only: after an upgrade it is not applied; set spec.priority, or use ADD or INSERT_FIRST", patch.Patch.Operation, version)
				continue
			}
			p.ReportCode("IST0151", o, at, "%s depends on what other filters did before, and no spec.priority orders them, so it may not be applied: set spec.priority, or use ADD or INSERT_FIRST", patch.Patch.Operation)
		}
	}
}

// ignored tells a patch whose operation is none for what it applies to.
func (e *envoyPatch) ignored() (code, way string) {
	routes := e.ApplyTo == "ROUTE_CONFIGURATION" || e.ApplyTo == "HTTP_ROUTE"
	switch {
	case e.Patch.Operation == "REPLACE" && !slices.Contains([]string{"HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER", "VIRTUAL_HOST"}, e.ApplyTo):
		return "IST0152", "only filters can be replaced: use MERGE"
	case e.Patch.Operation == "ADD" && routes:
		return "IST0153", "use MERGE, or INSERT_FIRST for a route"
	case e.Patch.Operation == "REMOVE" && routes:
		return "IST0154", "use MERGE to change what is there"
	}
	return "", ""
}

// isRelative tells a patch that needs something else to be there: another route
// or filter to stand beside, or the filter that it takes the place of.
func (e *envoyPatch) isRelative() bool {
	switch e.Patch.Operation {
	case "INSERT_BEFORE", "INSERT_AFTER":
		return true
	case "REPLACE", "REMOVE":
		return slices.Contains([]string{"HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER"}, e.ApplyTo)
	}
	return false
}
