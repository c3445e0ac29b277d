package routing

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// gatewayPods are pods that a Gateway of Istio's selects.
type gatewayPods struct {
	namespace string
	labels    map[string]string
	workload  *mesh.Workload // nil for those that the files leave out
}

// podsOf are the pods that a gateway selects. Where the files have none, those of
// Istio's installation are taken to be there, as the peer does.
func podsOf(p *analyze.Pass, g *mesh.Gateway) []gatewayPods {
	var all []gatewayPods
	for _, w := range workloads(p).in("", g.Spec.Selector) {
		all = append(all, gatewayPods{w.Namespace, w.PodLabels, w})
	}
	if all == nil && !p.Complete {
		for _, name := range []string{"ingressgateway", "egressgateway"} {
			labels := map[string]string{"istio": name, "app": "istio-" + name}
			if mesh.Selects(g.Spec.Selector, labels) && len(g.Spec.Selector) > 0 {
				all = append(all, gatewayPods{p.RootNamespace(), labels, nil})
			}
		}
	}
	return all
}

// gatewayPorts finds Gateways that select no pods, and ports of theirs that no
// Service leads to.
func gatewayPorts(p *analyze.Pass) {
	services := servicesIn(p)
	for _, g := range gateways(p) {
		pods := podsOf(p, g)
		if len(pods) == 0 {
			unselected(p, g)
			continue
		}
		ports, listed := openPorts(services, pods)
		for i, server := range g.Spec.Servers {
			number := server.GetPort().GetNumber()
			if server.Port == nil || ports[number] || strings.HasPrefix(server.Bind, "127.") {
				continue
			}
			r := p.Report(g.Object, []string{"spec", "servers", fmt.Sprint(i), "port", "number"}, "port %d is not open at any Service of the pods %s: nobody outside reaches it", number, selectorText(g.Spec.Selector))
			if !listed {
				r.Message = fmt.Sprintf("port %d is none of those that Istio's own istio-ingressgateway has, and its Service is not in the files: see that it has the port", number)
				r.As(report.Info)
			}
		}
	}
}

func unselected(p *analyze.Pass, g *mesh.Gateway) {
	path := []string{"spec", "selector"}
	if len(g.Spec.Selector) == 1 {
		path = within(path, sortedKeys(g.Spec.Selector)[0])
	}
	hint := workloads(p).nearSelector("", g.Spec.Selector)
	if hint == "" {
		if near := nearest(g.Spec.Selector["istio"], map[string]bool{"ingressgateway": true, "egressgateway": true}); near != "" {
			hint = "; did you mean istio=" + near + "?"
		}
	}
	r := p.ReportCode(notFound, g.Object, path, "selector %s selects no pods: no proxy serves this Gateway%s", selectorText(g.Spec.Selector), hint)
	hintUnless(p, r, len(p.Workloads) > 0)
}

// openPorts are the ports of Services that lead to pods, by either number. listed
// is false if only ports that Istio's installation opens are known.
func openPorts(services map[string]*mesh.Selectors[*mesh.Service], pods []gatewayPods) (ports map[uint32]bool, listed bool) {
	ports = map[uint32]bool{}
	for _, pod := range pods {
		selecting := services[pod.namespace].Of(pod.labels)
		if pod.workload == nil && len(selecting) == 0 {
			// Those of Istio's installation, now and in former releases.
			for _, number := range []uint32{80, 443, 8080, 8443, 15021, 15443, 31400} {
				ports[number] = true
			}
			continue
		}
		listed = true
		for _, v := range selecting {
			for _, port := range v.Ports {
				ports[uint32(port.Number)] = true //nolint:gosec // a port
				if pod.workload != nil {
					ports[uint32(pod.workload.Port(port))] = true //nolint:gosec // a port
				} else {
					ports[uint32(port.Target.IntVal)] = true //nolint:gosec // a port
				}
			}
		}
		hostPorts(pod.workload, ports)
	}
	return ports, listed
}

// hostPorts adds the ports that pods open at their node.
func hostPorts(w *mesh.Workload, ports map[uint32]bool) {
	if w == nil {
		return
	}
	for _, c := range w.Containers {
		for _, port := range c.Ports {
			if port.HostPort != 0 && port.Protocol != corev1.ProtocolUDP {
				ports[uint32(port.HostPort)], ports[uint32(port.ContainerPort)] = true, true //nolint:gosec // ports
			}
		}
	}
}

// servicesIn finds the Services of a namespace that select pods by their labels.
func servicesIn(p *analyze.Pass) map[string]*mesh.Selectors[*mesh.Service] {
	return analyze.Shared(p.Inventory, "routing.services", func() map[string]*mesh.Selectors[*mesh.Service] {
		byNamespace := map[string][]*mesh.Service{}
		for _, v := range p.Services {
			if v.Entry == nil && len(v.Selector) > 0 {
				byNamespace[v.Namespace] = append(byNamespace[v.Namespace], v)
			}
		}
		all := map[string]*mesh.Selectors[*mesh.Service]{}
		for ns, list := range byNamespace {
			all[ns] = mesh.NewSelectors(list, func(v *mesh.Service) map[string]string { return v.Selector })
		}
		return all
	})
}
