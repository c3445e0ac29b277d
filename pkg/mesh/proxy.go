package mesh

import (
	"time"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// Interception is how traffic gets into a sidecar.
type Interception string

// The ways. Without interception the application has to ask the sidecar itself
// (EC-102).
const (
	Redirect       Interception = "REDIRECT"
	TransparentWay Interception = "TPROXY"
	NoInterception Interception = "NONE"
)

// Annotations that configure a sidecar.
const (
	interceptionAnnotation = "sidecar.istio.io/interceptionMode"
	proxyConfigAnnotation  = "proxy.istio.io/config"
)

// ProxyConfig is that of a workload's sidecar: the mesh's own, with what the
// workload's annotation says laid over it. An annotation that cannot be read is
// left out, as istiod does.
func (s *Snapshot) ProxyConfig(w *Workload) *meshconfig.ProxyConfig {
	base := s.Config.GetDefaultConfig()
	text, ok := w.PodAnnotations[proxyConfigAnnotation]
	if !ok {
		return base
	}
	config, err := ApplyProxyConfig(base, []byte(text))
	if err != nil {
		return base
	}
	return config
}

// Interception is how traffic gets into a workload's sidecar.
func (s *Snapshot) Interception(w *Workload) Interception {
	mode := w.PodAnnotations[interceptionAnnotation]
	if mode == "" {
		mode = s.ProxyConfig(w).GetInterceptionMode().String()
	}
	switch Interception(mode) {
	case NoInterception:
		return NoInterception
	case TransparentWay:
		return TransparentWay
	}
	return Redirect
}

// idleTimeoutMetadata is the node metadata that closes idle connections.
const idleTimeoutMetadata = "ISTIO_META_IDLE_TIMEOUT"

// IdleTimeout is how long a sidecar keeps idle connections; zero is for ever.
func (s *Snapshot) IdleTimeout(w *Workload) time.Duration {
	d, err := time.ParseDuration(s.ProxyConfig(w).GetProxyMetadata()[idleTimeoutMetadata])
	if err != nil {
		return 0
	}
	return d
}

// SidecarFor is the Sidecar that shapes a workload's proxy; nil for none. In
// its namespace the oldest whose selector fits wins over the oldest without
// selector; then comes that of the root namespace (EC-2).
func (s *Snapshot) SidecarFor(w *Workload) *Sidecar {
	var plain *Sidecar
	for _, sidecar := range s.Sidecars(w.Namespace) {
		switch {
		case sidecar.Spec.WorkloadSelector == nil:
			if plain == nil {
				plain = sidecar
			}
		case Selects(sidecar.Spec.WorkloadSelector.GetLabels(), w.PodLabels):
			return sidecar
		}
	}
	if plain != nil {
		return plain
	}
	for _, sidecar := range s.Sidecars(s.RootNamespace()) {
		if sidecar.Spec.WorkloadSelector == nil {
			return sidecar
		}
	}
	return nil
}
