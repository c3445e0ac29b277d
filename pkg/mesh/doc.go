// Package mesh holds what a whole mesh has in common: the mesh configuration
// that istiod reads from its ConfigMap.
package mesh
