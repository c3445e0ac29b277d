package authorization

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

const warning = report.Warning

// unservedPorts finds ports that no selected workload listens on (AP-51, T-12).
func unservedPorts(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		workloads := s.workloads[r]
		if len(workloads) == 0 {
			continue
		}
		for _, f := range fields(r) {
			if f.name != "ports" && f.name != "destination.port" {
				continue
			}
			for i, value := range f.values {
				parsed, err := strconv.ParseUint(value, 10, 16)
				n := uint16(parsed)
				if err != nil || slices.ContainsFunc(workloads, func(w *mesh.Workload) bool { return p.Listens(w, uint32(n)) }) {
					continue
				}
				own := ownPort(p, workloads, int32(n))
				if own == 0 {
					p.Report(r.Object, f.at(i), "no selected workload listens on port %s: this matches nothing", value).Because(workloads[0].Object, nil, "is selected")
					continue
				}
				p.Report(r.Object, f.at(i), "port %s is a Service's, and what counts is the workload's own port behind it, %d", value, own).
					Because(workloads[0].Object, nil, "is selected").SetValue(f.at(i), fmt.Sprint(own))
			}
		}
	}
}

// ownPort is the port of a workload behind a Service's, 0 for none.
func ownPort(p *analyze.Pass, workloads []*mesh.Workload, number int32) int32 {
	for _, w := range workloads {
		for _, in := range p.InboundPorts(w) {
			if in.Port.Number == number {
				return in.Number
			}
		}
	}
	return 0
}

// httpOnTCP finds rules that ask for what only requests have, on ports that have
// none: of an ALLOW rule nothing is left there, of a DENY rule too much (AP-57,
// AP-58).
func httpOnTCP(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		if r.Spec.Action != allow && r.Spec.Action != deny {
			continue
		}
		told := map[int]bool{}
		all := fields(r)
		for _, f := range all {
			if !f.isHTTP() || told[f.rule] {
				continue
			}
			w, port := streamPort(p, s.workloads[r], all, f.rule)
			if w == nil {
				continue
			}
			told[f.rule] = true
			what := "the rule is left out there, and if no other allows it, everything is denied"
			if r.Spec.Action == deny {
				what = "the rule is left without it there, and denies more than it says"
			}
			p.Report(r.Object, f.path, "port %d of %s carries bytes, not requests (%s): %s. Name the ports of the rule, or the protocol of the port", port.Number, w, port.Port.Name, what).
				Because(port.Service.Object, nil, "declares the port")
		}
	}
}

// streamPort is a port without requests that a rule applies to.
func streamPort(p *analyze.Pass, workloads []*mesh.Workload, all []field, rule int) (*mesh.Workload, mesh.InboundPort) {
	for _, w := range workloads {
		for _, in := range p.InboundPorts(w) {
			if in.Protocol.Traffic() == mesh.TCPTraffic && in.Service != nil && appliesTo(all, rule, in.Number) {
				return w, in
			}
		}
	}
	return nil, mesh.InboundPort{}
}

// appliesTo tells whether a rule's ports have room for one.
func appliesTo(all []field, rule int, port int32) bool {
	text := strconv.Itoa(int(port))
	named := false
	for _, f := range all {
		if f.rule != rule || f.name != "ports" && f.name != "destination.port" {
			continue
		}
		if f.not && slices.Contains(f.values, text) {
			return false
		}
		if !f.not {
			if slices.Contains(f.values, text) {
				return true
			}
			named = true
		}
	}
	return !named
}

// ambientHTTP finds rules that ztunnel, which sees no requests, cannot judge.
func ambientHTTP(p *analyze.Pass) {
	ambient := map[string]*mesh.Object{}
	for _, o := range p.Kind("", "Namespace") {
		if o.Labels["istio.io/dataplane-mode"] == "ambient" {
			ambient[o.Name] = o
		}
	}
	for _, r := range policies(p.Inventory) {
		namespace := ambient[r.Namespace]
		if namespace == nil || r.Spec.GetTargetRef() != nil || len(r.Spec.GetTargetRefs()) > 0 {
			continue
		}
		for _, f := range fields(r) {
			if f.isHTTP() {
				p.Report(r.Object, f.path, "in ambient mode a policy with a selector is enforced by ztunnel, which sees no requests: an ALLOW rule allows nothing, a DENY rule denies without asking for this. Attach the policy to a waypoint with targetRefs").
					Because(namespace, []string{"metadata", "labels"}, "is in ambient mode")
				break
			}
		}
	}
}

// identities finds rules on who calls, where callers have no certificate (AP-26,
// T-9, T-10).
func identities(p *analyze.Pass) {
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		told := map[int]bool{}
		for _, f := range fields(r) {
			if !f.isIdentity() || told[f.rule] {
				continue
			}
			for _, w := range s.workloads[r] {
				tls := simulator(p.Inventory).Model(w).TLS
				open := tls.Mode == policy.Permissive && f.not && r.Spec.Action == allow
				if w.IsGateway() || tls.Mode != policy.Disable && !open {
					continue
				}
				told[f.rule] = true
				what := "takes plaintext only (DISABLE): callers have no identity, and this "
				if f.not {
					what += "holds for all of them"
				} else {
					what += "holds for none"
				}
				if open {
					what = "takes plaintext too (PERMISSIVE): a caller without a certificate has no name, so that it is not among these, and gets through"
				}
				report := p.Report(r.Object, f.path, "%s %s", w, what)
				if open {
					report.As(warning)
				}
				if tls.From != nil {
					report.Because(tls.From.Object, []string{"spec", "mtls", "mode"}, "sets the mode")
				}
				break
			}
		}
	}
}

// addresses finds rules on addresses that are not the client's (T-4).
func addresses(p *analyze.Pass) {
	gateways := p.Kind("networking.istio.io", "Gateway")
	s := selected(p.Inventory)
	for _, r := range policies(p.Inventory) {
		for _, f := range fields(r) {
			switch {
			case (f.name == "ipBlocks" || f.name == "source.ip") && len(gateways) > 0 && slices.ContainsFunc(s.workloads[r], func(w *mesh.Workload) bool { return !w.IsGateway() }):
				p.Report(r.Object, f.path, "the address of a connection that comes through a gateway is the gateway's: use remoteIpBlocks for the client's").
					Because(gateways[0], nil, "is such a gateway")
			case (f.name == "remoteIpBlocks" || f.name == "remote.ip") && p.ConfigGiven && p.Config.GetDefaultConfig().GetGatewayTopology().GetNumTrustedProxies() == 0:
				p.ReportCode("MSH0126", r.Object, f.path, "the client's address is the last one of X-Forwarded-For, and the mesh config does not say how many proxies stand before the gateways (gatewayTopology.numTrustedProxies): it may be that of a load balancer")
			}
		}
	}
}

// banners finds ports whose application speaks first: what it says reaches a
// client that is denied (EV-6, DP-70).
func banners(p *analyze.Pass) {
	told := map[*mesh.Service]bool{}
	s := selected(p.Inventory)
	for _, w := range p.Workloads {
		for _, in := range p.InboundPorts(w) {
			if len(s.policies[w]) > 0 && in.Service != nil && !told[in.Service] && strings.HasPrefix(strings.ToLower(string(in.Protocol)), "mysql") {
				told[in.Service] = true
				p.Report(in.Service.Object, nil, "the application behind port %d speaks first: a client that is denied and stays silent still gets its greeting", in.Port.Number).
					Because(s.policies[w][0].Object, nil, "guards it")
			}
		}
	}
}
