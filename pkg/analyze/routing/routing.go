// Package routing has the rules about how requests find their way: hosts,
// routes, gateways, services and their ports, Sidecars and Telemetry (codes IST
// of Istio's own analyzers).
package routing

import (
	"maps"
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// notFound is the code of a reference to what is not there.
const notFound = "IST0101"

// The API groups that are read here.
const (
	networking = "networking.istio.io"
	security   = "security.istio.io"
	telemetry  = "telemetry.istio.io"
	gatewayAPI = "gateway.networking.k8s.io"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	const certain, needs, heuristic = analyze.Certain, analyze.NeedsInventory, analyze.Heuristic
	return []analyze.Rule{
		{Code: "IST0002", Slug: "deprecated", Severity: report.Warning, Confidence: certain, Check: deprecated},
		{Code: notFound, Slug: "not-found", Severity: report.Error, Confidence: needs, Check: unknownNamespaces},
		{Code: "IST0109", Slug: "mesh-hosts-conflict", Severity: report.Error, Confidence: certain, Check: meshHosts},
		{Code: "IST0110", Slug: "sidecar-selectors-conflict", Severity: report.Error, Confidence: certain, Check: sidecarSelectors},
		{Code: "IST0111", Slug: "sidecars-without-selector", Severity: report.Error, Confidence: certain, Check: sidecarsWithoutSelector},
		{Code: "IST0112", Slug: "destination-without-port", Severity: report.Error, Confidence: certain, Check: destinations},
		{Code: "IST0116", Slug: "services-protocol-conflict", Severity: report.Warning, Confidence: certain, Check: sharedPorts},
		{Code: "IST0118", Slug: "port-name", Severity: report.Info, Confidence: certain, Check: portNames},
		{Code: "IST0127", Slug: "policy-selects-nothing", Severity: report.Warning, Confidence: needs, Check: policiesWithoutWorkloads},
		{Code: "IST0128", Slug: "no-server-verification", Severity: report.Warning, Confidence: certain, Check: serverVerification},
		{Code: "IST0129", Slug: "no-server-verification-port", Severity: report.Warning, Confidence: certain},
		{Code: "IST0130", Slug: "unreachable-route", Severity: report.Warning, Confidence: certain, Check: unreachableRoutes},
		{Code: "IST0131", Slug: "ineffective-match", Severity: report.Info, Confidence: certain},
		{Code: "IST0132", Slug: "host-not-in-gateway", Severity: report.Warning, Confidence: certain, Check: routeGateways},
		{Code: "IST0134", Slug: "serviceentry-addresses", Severity: report.Warning, Confidence: certain, Check: entriesWithoutAddresses},
		{Code: "IST0137", Slug: "services-target-conflict", Severity: report.Warning, Confidence: certain},
		{Code: "IST0138", Slug: "gateway-certificate-twice", Severity: report.Warning, Confidence: certain, Check: sharedCertificates},
		{Code: "IST0140", Slug: "subset-not-for-ingress", Severity: report.Warning, Confidence: heuristic, Check: subsetsOfMesh},
		{Code: "IST0145", Slug: "gateways-conflict", Severity: report.Error, Confidence: certain, Check: conflictingGateways},
		{Code: "IST0149", Slug: "claim-route-without-requestauth", Severity: report.Error, Confidence: needs, Check: claimRoutes},
		{Code: "IST0150", Slug: "externalname-port-name", Severity: report.Warning, Confidence: certain},
		{Code: "IST0157", Slug: "telemetry-without-provider", Severity: report.Warning, Confidence: certain, Check: telemetryProviders},
		{Code: "IST0159", Slug: "telemetry-selectors-conflict", Severity: report.Error, Confidence: certain, Check: telemetrySelectors},
		{Code: "IST0160", Slug: "telemetries-without-selector", Severity: report.Error, Confidence: certain, Check: telemetriesWithoutSelector},
		{Code: "IST0161", Slug: "gateway-credential", Severity: report.Error, Confidence: certain, Check: gatewaySecrets},
		{Code: "IST0162", Slug: "gateway-port-not-in-service", Severity: report.Warning, Confidence: needs, Check: gatewayPorts},
		{Code: "IST0165", Slug: "internal-gateway", Severity: report.Warning, Confidence: certain},
		{Code: "IST0166", Slug: "selector-of-gateway-pods", Severity: report.Warning, Confidence: certain, Check: selectorsOfGatewayPods},
		{Code: "IST0167", Slug: "sidecar-in-ambient", Severity: report.Warning, Confidence: certain, Check: sidecarsInAmbient},
		{Code: "IST0173", Slug: "subset-selects-nothing", Severity: report.Error, Confidence: needs, Check: subsets},
		{Code: "IST0174", Slug: "destinationrule-host", Severity: report.Warning, Confidence: needs},
		{Code: "IST0177", Slug: "serviceentry-protocol-conflict", Severity: report.Warning, Confidence: certain, Check: entryProtocols},
		{Code: "MSH0332", Slug: "route-reference-missing", Severity: report.Error, Confidence: needs, Check: routeReferences},
		{Code: "MSH0333", Slug: "route-without-grant", Severity: report.Error, Confidence: needs},
		{Code: "MSH0334", Slug: "destinationrule-lost", Severity: report.Warning, Confidence: certain, Check: lostPolicies},
		{Code: "MSH0335", Slug: "gateway-certificate-of-other-hosts", Severity: report.Warning, Confidence: certain},
		{Code: "MSH0336", Slug: "sidecar-egress-namespace", Severity: report.Warning, Confidence: needs, Check: egressNamespaces},
		{Code: "MSH0337", Slug: "serviceentry-without-endpoints", Severity: report.Warning, Confidence: certain, Check: entriesWithoutEndpoints},
	}
}

// hintUnless makes a finding about something that is not there a hint, unless
// the files speak of such things: what they leave out is likely kept elsewhere.
func hintUnless(p *analyze.Pass, r *analyze.Report, spoken bool) {
	if !spoken && !p.Complete {
		r.As(report.Info)
	}
}

// namespacesOf are the namespaces that have objects of a kind, sorted.
func namespacesOf(p *analyze.Pass, group, kind string) []string {
	seen := map[string]bool{}
	for _, o := range p.Kind(group, kind) {
		seen[o.Namespace] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// allOf are the objects of a kind that could be read, by namespace and age.
func allOf[R any](p *analyze.Pass, group, kind string, of func(namespace string) []R) []R {
	var all []R
	for _, ns := range namespacesOf(p, group, kind) {
		all = append(all, of(ns)...)
	}
	return all
}

func virtualServices(p *analyze.Pass) []*mesh.VirtualService {
	return allOf(p, networking, "VirtualService", p.VirtualServices)
}

func gateways(p *analyze.Pass) []*mesh.Gateway {
	return allOf(p, networking, "Gateway", p.Gateways)
}

func destinationRules(p *analyze.Pass) []*mesh.DestinationRule {
	return allOf(p, networking, "DestinationRule", p.DestinationRules)
}

// within is a path with more steps.
func within(path []string, steps ...string) []string {
	return append(path[:len(path):len(path)], steps...)
}
