package authorization

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// identities finds rules on who calls, where callers have no certificate (AP-26,
// T-9, T-10).
func identities(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		told := map[int]bool{}
		all := fields(r)
		for _, f := range all {
			if !f.isIdentity() || told[f.rule] {
				continue
			}
			told[f.rule] = slices.ContainsFunc(s.workloads[r], func(w *mesh.Workload) bool {
				return !w.IsGateway() && tellIdentity(p, r, all, f, w)
			})
		}
	}
}

// tellIdentity reports a field about identities that means less than it seems on
// the ports of a workload that its rule is for (PA-7).
func tellIdentity(p *analyze.Pass, r *mesh.AuthorizationPolicy, all []field, f field, w *mesh.Workload) bool {
	tls, modes := modesOf(p, w, all, f.rule)
	var plain []uint32
	open := false
	for _, port := range slices.Sorted(maps.Keys(modes)) {
		if modes[port] == policy.Disable {
			plain = append(plain, port)
		}
		open = open || modes[port] == policy.Permissive
	}
	switch {
	case plain != nil:
		what := "holds for none"
		if f.not {
			what = "holds for all of them"
		}
		report := p.Report(r.Object, f.path, "%s takes plaintext only%s (DISABLE): callers have no identity there, and this %s", w, onPort(plain[0]), what)
		if len(plain) < len(modes) {
			report.As(warning)
		}
		if o := tls.PortsFrom; o != nil && tls.Ports[plain[0]] == policy.Disable {
			report.Because(o.Object, []string{"spec", "portLevelMtls", fmt.Sprint(plain[0]), "mode"}, "sets the mode of the port")
		} else if tls.From != nil {
			report.Because(tls.From.Object, []string{"spec", "mtls", "mode"}, "sets the mode")
		}
		return true
	case open && f.not && r.Spec.Action == allow && !asksIdentity(all, f):
		report := p.Report(r.Object, f.path, "%s takes plaintext too (PERMISSIVE): a caller without a certificate has no name, so that it is not among these, and gets through", w).As(warning)
		if tls.From != nil {
			report.Because(tls.From.Object, []string{"spec", "mtls", "mode"}, "sets the mode")
		}
		return true
	}
	return false
}

// modesOf are the modes of a workload's declared ports that a rule is for; of a
// workload without such, that of the workload, under 0.
func modesOf(p *analyze.Pass, w *mesh.Workload, all []field, rule int) (policy.MutualTLS, map[uint32]policy.Mode) {
	model := simulator(p.Inventory).Model(w)
	modes := map[uint32]policy.Mode{}
	for number, port := range model.Ports {
		if port.Declared != nil && appliesTo(all, rule, int32(number)) { //nolint:gosec // a port
			modes[number] = port.Mode
		}
	}
	if len(modes) == 0 {
		modes[0] = model.TLS.Mode
	}
	return model.TLS, modes
}

func onPort(number uint32) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf(" on port %d", number)
}

// asksIdentity tells whether a field beside another one, or a condition, asks
// for an identity, so that callers without one do not match.
func asksIdentity(all []field, beside field) bool {
	return slices.ContainsFunc(all, func(f field) bool {
		return f.isIdentity() && !f.not && f.rule == beside.rule && (f.group == beside.group || f.path[3] == "when")
	})
}

// addresses finds rules on addresses that are not the client's (T-4).
func addresses(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		for _, f := range fields(r) {
			switch f.name {
			case "ipBlocks", "source.ip":
				for _, w := range s.workloads[r] {
					if route := routed(p.Inventory)[w]; route != nil {
						p.Report(r.Object, f.path, "requests come to %s through a gateway, and the address of their connection is the gateway's: use remoteIpBlocks for the client's", w).
							Because(route, nil, "leads there from a gateway")
						break
					}
				}
			case "remoteIpBlocks", "remote.ip":
				if p.ConfigGiven && !knowsClients(p.Inventory) {
					p.ReportCode("MSH0126", r.Object, f.path, "the client's address is the last one of X-Forwarded-For, and the mesh config does not say how many proxies stand before the gateways (gatewayTopology.numTrustedProxies): it may be that of a load balancer")
				}
			}
		}
	}
}

// knowsClients tells whether anything says how gateways learn the addresses of
// clients: how many proxies to trust, the PROXY protocol, or a load balancer
// that leaves them as they are.
func knowsClients(i *analyze.Inventory) bool {
	return analyze.Shared(i, "authorization.knowsClients", func() bool {
		if topology := i.Config.GetDefaultConfig().GetGatewayTopology(); topology.GetNumTrustedProxies() > 0 || topology.GetProxyProtocol() != nil {
			return true
		}
		for _, w := range i.Workloads {
			topology := i.ProxyConfig(w).GetGatewayTopology()
			if w.IsGateway() && (topology.GetNumTrustedProxies() > 0 || topology.GetProxyProtocol() != nil) {
				return true
			}
		}
		return slices.ContainsFunc(i.Kind("", "Service"), func(o *mesh.Object) bool {
			var service struct {
				Spec struct {
					Policy string `json:"externalTrafficPolicy"`
				} `json:"spec"`
			}
			return o.Decode(&service) == nil && service.Spec.Policy == "Local"
		})
	})
}
