// Package inject adds the Istio sidecar to workloads, and takes it out again.
//
// An Injector is made once from an injector's configuration (Config, Values
// and a mesh config) and then applied to documents. It renders the templates
// of that configuration, merges them onto the pod as Kubernetes would, and
// makes the changes that no template can: probes, Prometheus annotations,
// order. Run does so for whole streams, with a worker per document; Output
// writes the result in canonical form, edited in place, or as patches.
//
// The rules that it follows are those of istiod, cited as INJ-n.
package inject
