package validation

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// sidecar checks a Sidecar.
func (c *checker) sidecar(at path, s *networking.Sidecar) {
	if s.WorkloadSelector != nil {
		c.workloadSelector(at, s.WorkloadSelector)
	}
	if len(s.Egress) == 0 && len(s.Ingress) == 0 && s.OutboundTrafficPolicy == nil && s.InboundConnectionPool == nil {
		c.refuse(at, "a Sidecar that says nothing: give it egress or ingress")
	}
	seen := map[uint32]bool{}
	for i, l := range s.Ingress {
		item := at.item("ingress", i)
		c.ingressListener(item, l)
		if n := l.GetPort().GetNumber(); n > 0 {
			if seen[n] {
				c.refuse(item.to("port", "number"), "port %d is there twice: keep one", n)
			}
			seen[n] = true
		}
	}
	catchAll := false
	for i, l := range s.Egress {
		item := at.item("egress", i)
		if l.GetPort() == nil && catchAll {
			c.refuse(item, "a second listener without a port, which is for all ports: give it one, or put its hosts into the other")
		}
		catchAll = catchAll || l.GetPort() == nil
		c.egressListener(item, l)
	}
}

func (c *checker) ingressListener(at path, l *networking.IstioIngressListener) {
	if l.GetPort() == nil {
		c.refuse(at, "a listener without a port: give it one")
	} else {
		c.sidecarPort(at.to("port"), l.Port, false)
	}
	c.bind(at.to("bind"), l.GetBind())
	if l.GetDefaultEndpoint() != "" {
		c.localEndpoint(at.to("defaultEndpoint"), l.DefaultEndpoint)
	}
}

func (c *checker) sidecarPort(at path, p *networking.SidecarPort, zero bool) {
	c.number(at.to("number"), p.Number, zero)
	if p.Protocol != "" {
		c.protocol(at.to("protocol"), p.Protocol)
	}
}

// localEndpoint checks where a sidecar passes inbound traffic on to.
func (c *checker) localEndpoint(at path, text string) {
	if strings.HasPrefix(text, "unix://") {
		return
	}
	i := strings.LastIndex(text, ":")
	host, port := text[:max(i, 0)], text[i+1:]
	known := map[string]bool{"127.0.0.1": true, "0.0.0.0": true, "": true, "[::1]": true, "[::]": true}
	if n, err := strconv.Atoi(port); i < 0 || !known[host] || err != nil || n < 1 || n > maxPort {
		c.refuse(at, "%q is no port of the workload: expected 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH", text)
	}
}

func (c *checker) egressListener(at path, l *networking.IstioEgressListener) {
	if l.GetPort() != nil {
		c.sidecarPort(at.to("port"), l.Port, strings.HasPrefix(l.Bind, "unix://"))
	}
	c.bind(at.to("bind"), l.GetBind())
	if len(l.GetHosts()) == 0 {
		c.refuse(at, "a listener for no host: give it hosts, such as ./*")
	}
	seen := map[string]bool{}
	for i, host := range l.GetHosts() {
		if seen[host] {
			c.warn(at.item("hosts", i), "%s is there twice: take it away", host)
		}
		seen[host] = true
		c.scopedHost(at.item("hosts", i), host, false)
	}
}
