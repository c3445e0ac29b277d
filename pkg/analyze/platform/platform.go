// Package platform has the rules about what surrounds a mesh's own objects:
// annotations, injection, webhooks, Envoy filters, the state that a cluster
// reports, and the control plane (codes IST of Istio's own analyzers).
package platform

import (
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/report"
)

// The API groups that are read here.
const (
	networking = "networking.istio.io"
	security   = "security.istio.io"
	gatewayAPI = "gateway.networking.k8s.io"
	admission  = "admissionregistration.k8s.io"
)

// Labels and annotations that ask for a sidecar, or for ambient mode.
const (
	injectLabel    = "sidecar.istio.io/inject"
	namespaceLabel = "istio-injection"
	revisionLabel  = "istio.io/rev"
	dataplaneLabel = "istio.io/dataplane-mode"
)

// Rules are the rules of this package.
func Rules() []analyze.Rule {
	const certain, needs, heuristic = analyze.Certain, analyze.NeedsInventory, analyze.Heuristic
	return []analyze.Rule{
		{Code: "IST0102", Slug: "namespace-not-injected", Severity: report.Info, Confidence: certain, Check: namespaceLabels},
		// A Pod's manifest gets its proxy when it is applied; one that was read from
		// a cluster should have it.
		{Code: "IST0103", Slug: "pod-without-proxy", Severity: report.Warning, Confidence: heuristic, Check: podsWithoutProxy},
		{Code: "IST0107", Slug: "misplaced-annotation", Severity: report.Warning, Confidence: certain},
		{Code: "IST0108", Slug: "unknown-annotation", Severity: report.Warning, Confidence: certain, Check: annotations},
		{Code: "IST0123", Slug: "injection-labels-conflict", Severity: report.Warning, Confidence: certain},
		{Code: "IST0125", Slug: "invalid-annotation", Severity: report.Warning, Confidence: certain},
		{Code: "IST0126", Slug: "unknown-service-registry", Severity: report.Error, Confidence: needs, Check: serviceRegistries},
		{Code: "IST0135", Slug: "deprecated-annotation", Severity: report.Info, Confidence: certain},
		{Code: "IST0136", Slug: "alpha-annotation", Severity: report.Info, Confidence: certain},
		{Code: "IST0139", Slug: "invalid-webhook", Severity: report.Error, Confidence: needs, Check: webhookConflicts},
		{Code: "IST0144", Slug: "uid-of-proxy", Severity: report.Warning, Confidence: certain, Check: proxyUser},
		{Code: "IST0146", Slug: "auto-image-without-injection", Severity: report.Warning, Confidence: certain, Check: autoImages},
		{Code: "IST0147", Slug: "auto-image-pod", Severity: report.Error, Confidence: needs},
		{Code: "IST0148", Slug: "injected-by-default", Severity: report.Info, Confidence: certain},
		{Code: "IST0151", Slug: "relative-patch", Severity: report.Warning, Confidence: certain, Check: filterPatches},
		{Code: "IST0152", Slug: "replace-ignored", Severity: report.Error, Confidence: certain},
		{Code: "IST0153", Slug: "add-ignored", Severity: report.Error, Confidence: certain},
		{Code: "IST0154", Slug: "remove-ignored", Severity: report.Error, Confidence: certain},
		{Code: "IST0155", Slug: "relative-patch-of-version", Severity: report.Warning, Confidence: certain},
		{Code: "IST0158", Slug: "old-proxies", Severity: report.Warning, Confidence: certain, Check: proxyImages},
		{Code: "IST0163", Slug: "control-plane-url", Severity: report.Warning, Confidence: certain, Check: controlPlaneURLs},
		{Code: "IST0164", Slug: "control-plane-address", Severity: report.Info, Confidence: certain},
		{Code: "IST0171", Slug: "negative-condition", Severity: report.Warning, Confidence: certain, Check: negativeConditions},
		{Code: "IST0175", Slug: "jwks-fetch-unrestricted", Severity: report.Warning, Confidence: certain, Check: fetchedKeys},
		{Code: "IST0176", Slug: "gateway-api-too-old", Severity: report.Warning, Confidence: certain, Check: gatewayDefinitions},
		{Code: "MSH0322", Slug: "injection-value", Severity: report.Warning, Confidence: certain, Check: injectionValues},
		{Code: "MSH0330", Slug: "target-port-unknown", Severity: report.Error, Confidence: certain, Check: targetPorts},
		{Code: "MSH0331", Slug: "refused-port", Severity: report.Error, Confidence: certain, Check: refusedPorts},
	}
}
