package platform

import (
	"github.com/meshctl/meshctl/pkg/analyze"
)

// proxyUID is the user of the sidecar: its packets are not redirected.
const proxyUID = 1337

// proxyUser reports applications that run as the proxy's user.
func proxyUser(p *analyze.Pass) {
	const message = "the application runs as user %d, the proxy's own: what it sends passes the sidecar by; run it as another user"
	for _, one := range pods(p) {
		if one.Labels["release"] == "istio" || one.Labels["istio"] != "" {
			continue // Istio's own
		}
		inherits := false // the pod's user
		for i, c := range one.Spec.Containers {
			if c.Name == proxyName {
				continue
			}
			if c.SecurityContext.RunAsUser == proxyUID {
				p.Report(one.Object, one.at("spec", "containers", itoa(i), "securityContext", "runAsUser"), message, proxyUID)
			}
			inherits = inherits || c.SecurityContext.RunAsUser == 0
		}
		if inherits && one.Spec.SecurityContext.RunAsUser == proxyUID {
			p.Report(one.Object, one.at("spec", "securityContext", "runAsUser"), message, proxyUID)
		}
	}
}
