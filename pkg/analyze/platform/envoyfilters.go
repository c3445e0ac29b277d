package platform

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
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
			if code, why := patch.ignored(); code != "" {
				p.ReportCode(code, o, at, "%s of %s: %s", patch.Patch.Operation, patch.ApplyTo, why)
				continue
			}
			if filter.Spec.Priority != 0 || !patch.isRelative() {
				continue
			}
			if version := patch.Match.Proxy.Version; version != "" {
				p.ReportCode("IST0155", o, at, "%s depends on what other filters did before, no spec.priority orders them, and the patch is for proxies of version %q only: after an upgrade it is not applied; set spec.priority, or use ADD or INSERT_FIRST", patch.Patch.Operation, version)
				continue
			}
			p.ReportCode("IST0151", o, at, "%s depends on what other filters did before, and no spec.priority orders them, so it may not be applied: set spec.priority, or use ADD or INSERT_FIRST", patch.Patch.Operation)
		}
	}
}

// ignored tells a patch whose operation is none for what it applies to.
func (e *envoyPatch) ignored() (code, why string) {
	routes := e.ApplyTo == "ROUTE_CONFIGURATION" || e.ApplyTo == "HTTP_ROUTE"
	switch {
	case e.Patch.Operation == "REPLACE" && !slices.Contains([]string{"HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER", "VIRTUAL_HOST"}, e.ApplyTo):
		return "IST0152", "only filters can be replaced, so the patch is ignored; use MERGE"
	case e.Patch.Operation == "ADD" && routes:
		return "IST0153", "the patch is ignored; use MERGE, or INSERT_FIRST for a route"
	case e.Patch.Operation == "REMOVE" && routes:
		return "IST0154", "the patch is ignored; use MERGE to change it"
	}
	return "", ""
}

// isRelative tells a patch that needs another filter to be there.
func (e *envoyPatch) isRelative() bool {
	return slices.Contains([]string{"INSERT_BEFORE", "INSERT_AFTER", "REPLACE", "REMOVE"}, e.Patch.Operation) &&
		slices.Contains([]string{"HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER"}, e.ApplyTo)
}
