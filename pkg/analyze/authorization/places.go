package authorization

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
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
				switch {
				case own != 0:
					p.Report(r.Object, f.at(i), "port %s is a Service's, and what counts is the workload's own port behind it, %d", value, own).
						Because(workloads[0].Object, nil, "is selected").SetValue(f.at(i), fmt.Sprint(own))
				case !slices.ContainsFunc(workloads, (*mesh.Workload).IsGateway): // Gateways open ports for a gateway's proxy
					p.Report(r.Object, f.at(i), "no selected workload declares port %s: unless one listens there all the same, this matches nothing", value).
						As(warning).Because(workloads[0].Object, nil, "is selected")
				}
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
			w, port := streamPort(p, s, r, all, f.rule)
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

// streamPort is a port without requests that a rule of a policy applies to, and
// that an ALLOW rule closes: no other rule is for it. What a gateway listens to
// its Gateways say, and not the names of its Service's ports.
func streamPort(p *analyze.Pass, s selection, r *mesh.AuthorizationPolicy, all []field, rule int) (*mesh.Workload, mesh.InboundPort) {
	for _, w := range s.workloads[r] {
		if w.IsGateway() {
			continue
		}
		for _, in := range p.InboundPorts(w) {
			if in.Protocol.Traffic() == mesh.TCPTraffic && in.Service != nil && appliesTo(all, rule, in.Number) &&
				(r.Spec.Action != allow || !streamAllowed(s.policies[w], in.Number)) {
				return w, in
			}
		}
	}
	return nil, mesh.InboundPort{}
}

// streamAllowed tells whether an ALLOW rule is for a port without requests.
func streamAllowed(policies []*mesh.AuthorizationPolicy, port int32) bool {
	return slices.ContainsFunc(policies, func(r *mesh.AuthorizationPolicy) bool {
		if r.Spec.Action != allow || isTried(r) {
			return false
		}
		all := fields(r)
		for rule := range r.Spec.Rules {
			asksHTTP := slices.ContainsFunc(all, func(f field) bool { return f.rule == rule && f.isHTTP() })
			if !asksHTTP && appliesTo(all, rule, port) {
				return true
			}
		}
		return false
	})
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
