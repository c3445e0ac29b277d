// Package envoy renders the enforcement model of package policy, and the routes
// around it, to the configuration that istiod would send to a sidecar; reads
// such configuration back, from a dump of a real Envoy too; compares two of
// them; and runs it in a real Envoy.
//
// A Generator makes the Config of any workload of a snapshot in istiod's own
// form. Static turns it into one that a stock Envoy runs on loopback.
//
// Rules are cited as in the reference: EC for istiod's configuration, DP for
// what a live Envoy 1.40 does with it.
package envoy
