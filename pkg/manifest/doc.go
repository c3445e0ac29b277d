// Package manifest reads and writes Kubernetes manifests. It knows where every
// object stands (file, line, column), keeps the bytes it was written in, and
// writes two ways: the canonical form of the Kubernetes tools, and an edit in
// place that leaves alone what did not change.
package manifest
