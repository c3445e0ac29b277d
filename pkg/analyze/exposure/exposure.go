// Package exposure has the rules about what the outside can reach, and what can
// reach the outside (MSH04xx).
package exposure

import (
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	return []analyze.Rule{
		{Code: "MSH0401", Slug: "gateway-any-host", Severity: report.Warning, Confidence: analyze.Certain, Strict: true, Check: servers},
		{Code: "MSH0402", Slug: "gateway-plaintext", Severity: report.Warning, Confidence: analyze.Certain, Strict: true},
		{Code: "MSH0403", Slug: "gateway-old-tls", Severity: report.Warning, Confidence: analyze.Certain},
		{Code: "MSH0404", Slug: "admin-path-exposed", Severity: report.Warning, Confidence: analyze.Heuristic, Strict: true, Check: adminPaths},
		{Code: "MSH0406", Slug: "egress-allow-any", Severity: report.Warning, Confidence: analyze.Certain, Strict: true, Check: egress},
		{Code: "MSH0407", Slug: "serviceentry-wildcard", Severity: report.Info, Confidence: analyze.Certain, Strict: true, Check: wildcards},
	}
}

// gateways are those of the files.
func gateways(p *analyze.Pass) []*mesh.Gateway {
	var all []*mesh.Gateway
	seen := map[string]bool{}
	for _, o := range p.Kind("networking.istio.io", "Gateway") {
		if !seen[o.Namespace] {
			seen[o.Namespace] = true
			all = append(all, p.Gateways(o.Namespace)...)
		}
	}
	return all
}

// servers looks at what gateways listen to.
func servers(p *analyze.Pass) {
	for _, g := range gateways(p) {
		for i, s := range g.Spec.Servers {
			path := []string{"spec", "servers", strconv.Itoa(i)}
			for j, host := range s.GetHosts() {
				at := append(path[:len(path):len(path)], "hosts", strconv.Itoa(j))
				switch namespace, name, scoped := strings.Cut(host, "/"); {
				case host == "*", scoped && name == "*" && namespace == "*":
					p.Report(g.Object, at, "the gateway answers for every host: any VirtualService of any namespace can put itself in. Name the hosts")
				case scoped && name == "*":
					p.Report(g.Object, at, "the gateway answers for every host that a VirtualService of the namespace names (%s): name the hosts", host)
				}
			}
			protocol := strings.ToUpper(s.GetPort().GetProtocol())
			if (protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC") && !s.GetTls().GetHttpsRedirect() {
				p.ReportCode("MSH0402", g.Object, append(path[:len(path):len(path)], "port", "protocol"), "port %d takes plaintext and sends nobody to HTTPS: set tls.httpsRedirect", s.GetPort().GetNumber())
			}
			switch least := s.GetTls().GetMinProtocolVersion(); least {
			case networking.ServerTLSSettings_TLSV1_0, networking.ServerTLSSettings_TLSV1_1:
				p.ReportCode("MSH0403", g.Object, append(path[:len(path):len(path)], "tls", "minProtocolVersion"), "%s is broken (RFC 8996): ask for TLSV1_2 at least", least)
			}
		}
	}
}

// egress finds meshes whose workloads may call anything.
func egress(p *analyze.Pass) {
	if p.ConfigGiven && p.Config.GetOutboundTrafficPolicy().GetMode() == meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY {
		p.ReportAt("MeshConfig", p.ConfigPlace("outboundTrafficPolicy"), "workloads may call any address, known or not: set outboundTrafficPolicy.mode to REGISTRY_ONLY and name what is called in ServiceEntries")
	}
}

// wildcards finds ServiceEntries that let out to every host of a domain.
func wildcards(p *analyze.Pass) {
	told := map[*mesh.Object]bool{}
	for _, v := range p.Services {
		if v.Entry == nil || told[v.Object] {
			continue
		}
		for i, host := range v.Entry.Hosts {
			if mesh.IsWildcard(host) {
				told[v.Object] = true
				p.Report(v.Object, []string{"spec", "hosts", strconv.Itoa(i)}, "%s lets workloads out to every host of it, whoever runs that: name the hosts", host)
			}
		}
	}
}
