package validation

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// serviceEntry checks a ServiceEntry.
func (c *checker) serviceEntry(at path, namespace string, s *networking.ServiceEntry) {
	if len(s.Hosts) == 0 {
		c.refuse(at, "a ServiceEntry for no host: give it hosts")
	}
	for i, host := range s.Hosts {
		if host == "*" {
			c.refuse(at.item("hosts", i), "host * is every host there is: name the hosts, such as *.example.com")
			continue
		}
		c.host(at.item("hosts", i), host)
	}
	if s.WorkloadSelector != nil {
		if len(s.Endpoints) > 0 {
			c.refuse(at.to("endpoints"), "workloadSelector and endpoints exclude each other: keep one")
		}
		c.workloadSelector(at, s.WorkloadSelector)
	}
	c.entryAddresses(at, s)
	c.entryPorts(at, s.Ports)
	c.resolution(at, s)
	for i, e := range s.Endpoints {
		c.endpoint(at.item("endpoints", i), s, e)
	}
	to := s.ExportTo
	if slices.Equal(to, []string{"~"}) {
		to = nil // a ServiceEntry may be for nobody
	}
	c.exportTo(to, namespace, false)
}

// workloadSelector checks the selector of the older kinds.
func (c *checker) workloadSelector(at path, s *networking.WorkloadSelector) {
	c.labels(s.GetLabels(), at.to("workloadSelector"), at.to("workloadSelector", "labels"))
}

func (c *checker) entryAddresses(at path, s *networking.ServiceEntry) {
	for i, address := range s.Addresses {
		item := at.item("addresses", i)
		if strings.HasPrefix(address, "unix://") {
			continue
		}
		c.address(address, item)
		dns := s.Resolution != networking.ServiceEntry_NONE && s.Resolution != networking.ServiceEntry_STATIC
		if prefix, err := netip.ParsePrefix(address); err == nil && !prefix.IsSingleIP() && dns {
			c.refuse(item, "a range goes with resolution NONE and STATIC only, not with %s: name addresses", s.Resolution)
		}
	}
}

func (c *checker) entryPorts(at path, ports []*networking.ServicePort) {
	names, numbers := map[string]bool{}, map[uint32]bool{}
	for i, p := range ports {
		item := at.item("ports", i)
		if p == nil {
			c.refuse(item, "an empty port: take it away")
			continue
		}
		if p.Name == "" {
			c.refuse(item, "a port without a name: give it one")
		} else if names[p.Name] {
			c.refuse(item.to("name"), "port name %q is there twice: give each its own", p.Name)
		}
		if numbers[p.Number] {
			c.refuse(item.to("number"), "port %d is there twice: keep one", p.Number)
		}
		c.number(item.to("number"), p.Number, false)
		c.number(item.to("targetPort"), p.TargetPort, true)
		if p.Protocol != "" {
			c.protocol(item.to("protocol"), p.Protocol)
		}
		names[p.Name], numbers[p.Number] = true, true
	}
}

// resolution checks that endpoints go with how they are found.
func (c *checker) resolution(at path, s *networking.ServiceEntry) {
	switch s.Resolution {
	case networking.ServiceEntry_NONE:
		if len(s.Endpoints) > 0 {
			c.refuse(at.to("endpoints"), "with resolution NONE traffic goes where the client sends it, and to no endpoint: set resolution STATIC or DNS, or take them away")
		}
	case networking.ServiceEntry_DNS, networking.ServiceEntry_DNS_ROUND_ROBIN:
		if s.Resolution == networking.ServiceEntry_DNS_ROUND_ROBIN && len(s.Endpoints) > 1 {
			c.refuse(at.to("endpoints"), "resolution DNS_ROUND_ROBIN has one endpoint at most: keep one, or set resolution DNS")
		}
		for i, host := range s.Hosts {
			if len(s.Endpoints) == 0 && s.WorkloadSelector == nil && strings.HasPrefix(host, "*") {
				c.refuse(at.item("hosts", i), "%s cannot be looked up in DNS: name endpoints, or set resolution NONE", host)
			}
		}
	}
}

func (c *checker) endpoint(at path, s *networking.ServiceEntry, e *networking.WorkloadEntry) {
	if e == nil {
		c.refuse(at, "an empty endpoint: take it away")
		return
	}
	for _, name := range sortedKeys(e.Ports) {
		if !slices.ContainsFunc(s.Ports, func(p *networking.ServicePort) bool { return p.GetName() == name }) {
			c.refuse(at.to("ports", name), "the ServiceEntry has no port %q: name it in its ports", name)
		}
		c.number(at.to("ports", name), e.Ports[name], false)
	}
	_, err := netip.ParseAddr(e.Address)
	switch {
	case e.Address == "" && e.Network == "":
		c.refuse(at, "an endpoint without an address: give it one")
	case e.Address == "" || err == nil || strings.HasPrefix(e.Address, "unix://"):
	case s.Resolution == networking.ServiceEntry_STATIC:
		c.refuse(at.to("address"), "%q is no IP address, which resolution STATIC needs: write one, or set resolution DNS", e.Address)
	default:
		c.plainHost(at.to("address"), e.Address)
	}
}

// workloadEntry checks a WorkloadEntry.
func (c *checker) workloadEntry(at path, e *networking.WorkloadEntry) {
	socket, unix := strings.CutPrefix(e.Address, "unix://")
	switch _, err := netip.ParseAddr(e.Address); {
	case e.Address == "" && e.Network == "":
		c.refuse(at, "a workload without an address: give it one")
	case e.Address == "" || err == nil:
	case unix && (!strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") || filepath.Clean(socket) == "/"):
		c.refuse(at.to("address"), "%q names no absolute path: expected unix:///PATH", e.Address)
	case unix && len(e.Ports) > 0:
		c.refuse(at.to("ports"), "a socket has no ports: take them away")
	case !unix:
		c.plainHost(at.to("address"), e.Address)
	}
	for _, name := range sortedKeys(e.Ports) {
		c.number(at.to("ports", name), e.Ports[name], false)
	}
}

// workloadGroup checks a WorkloadGroup.
func (c *checker) workloadGroup(at path, g *networking.WorkloadGroup) {
	if g.Template == nil {
		c.refuse(at, "a group without a template: give it template, {} will do")
	}
	p := g.Probe
	if p == nil {
		return
	}
	at = at.to("probe")
	for name, n := range map[string]int32{
		"initialDelaySeconds": p.InitialDelaySeconds, "timeoutSeconds": p.TimeoutSeconds, "periodSeconds": p.PeriodSeconds,
		"successThreshold": p.SuccessThreshold, "failureThreshold": p.FailureThreshold,
	} {
		c.notNegative(at.to(name), n)
	}
	switch m := p.HealthCheckMethod.(type) {
	case *networking.ReadinessProbe_HttpGet:
		c.number(at.to("httpGet", "port"), m.HttpGet.GetPort(), false)
	case *networking.ReadinessProbe_TcpSocket:
		c.number(at.to("tcpSocket", "port"), m.TcpSocket.GetPort(), false)
	case *networking.ReadinessProbe_Exec:
		if len(m.Exec.GetCommand()) == 0 {
			c.refuse(at.to("exec"), "a probe without a command: give it one")
		}
	case nil:
		c.refuse(at, "a probe that asks nothing: give it httpGet, tcpSocket, exec or grpc")
	}
}
