// Package policy decides what an Istio mesh does with a request.
//
// Compile turns what applies to a workload (PeerAuthentication,
// RequestAuthentication, AuthorizationPolicy, mesh config) into a Model: filter
// chains, a JWT requirement, and RBAC stages as trees of matchers. All that
// istiod decides when it writes Envoy's configuration is decided there, once.
// Evaluate walks the model for one request in Envoy's order.
//
// Rules are cited as in the reference: EV, AP, PA, RA for the policies, EC for
// the configuration, DP and RUN for what a live Envoy 1.40 was seen to do.
package policy
