package iptables

import (
	"slices"
	"strings"
)

// Direction is seen from the pod.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Bypass is traffic that does not pass the proxy, and why (INJ-106).
type Bypass struct {
	Direction Direction `json:"direction"`
	Traffic   string    `json:"traffic"`
	Why       string    `json:"why"`
}

// own are the sidecar's ports that istio-init always leaves alone.
func own() map[string]string {
	return map[string]string{
		"15090": "Envoy's Prometheus telemetry",
		"15021": "the sidecar's health checks",
		"15020": "the agent: rewritten probes and merged metrics",
	}
}

// Bypasses lists what stays out of the mesh, inbound first.
func (c Config) Bypasses() []Bypass {
	if c.Mode == None {
		return []Bypass{
			{Inbound, "everything", "interception mode NONE: nothing is captured"},
			{Outbound, "everything", "interception mode NONE: the application must address the proxy itself"},
		}
	}
	return append(c.inboundBypasses(), c.outboundBypasses()...)
}

func (c Config) inboundBypasses() []Bypass {
	var list []Bypass
	add := func(traffic, why string) { list = append(list, Bypass{Inbound, traffic, why}) }
	switch {
	case len(c.IncludeInPorts) == 0:
		add("everything", "no inbound port is included (-b, traffic.sidecar.istio.io/includeInboundPorts)")
	case !slices.Contains(c.IncludeInPorts, "*"):
		add("all ports but "+strings.Join(c.IncludeInPorts, ", "), "only these are included (-b, traffic.sidecar.istio.io/includeInboundPorts)")
	default:
		for _, p := range c.ExcludeInPorts {
			why, known := own()[p]
			if !known {
				why = "excluded (-d, traffic.sidecar.istio.io/excludeInboundPorts)"
			}
			add("port "+p, why)
		}
	}
	if len(c.IncludeInPorts) > 0 {
		add("port "+tunnelPort, "the mesh's own tunnel (HBONE)")
	}
	add("UDP", "only TCP is captured")
	for _, device := range c.ExcludeInterfaces {
		add("interface "+device, "excluded (-c, traffic.sidecar.istio.io/excludeInterfaces)")
	}
	return list
}

func (c Config) outboundBypasses() []Bypass {
	var list []Bypass
	add := func(traffic, why string) { list = append(list, Bypass{Outbound, traffic, why}) }
	captured := slices.Clone(c.IncludeCIDRs)
	for _, p := range c.IncludeOutPorts {
		captured = append(captured, "port "+p)
	}
	switch {
	case len(captured) == 0:
		add("everything", "no outbound range is included (-i, traffic.sidecar.istio.io/includeOutboundIPRanges)")
	case !slices.Contains(c.IncludeCIDRs, "*"):
		add("all but "+strings.Join(captured, ", "), "only these are included (-i, -q, traffic.sidecar.istio.io/includeOutboundIPRanges and includeOutboundPorts)")
	}
	for _, x := range c.ExcludeCIDRs {
		add(x, "excluded (-x, traffic.sidecar.istio.io/excludeOutboundIPRanges)")
	}
	for _, p := range c.ExcludeOutPorts {
		add("port "+p, "excluded (-o, traffic.sidecar.istio.io/excludeOutboundPorts)")
	}
	for _, device := range c.ExcludeInterfaces {
		add("interface "+device, "excluded (-c, traffic.sidecar.istio.io/excludeInterfaces)")
	}
	add("processes of user or group "+c.UID, "the proxy's own traffic")
	if len(c.OwnerGroups) > 0 {
		add("processes of other groups than "+strings.Join(c.OwnerGroups, ", "), "ISTIO_OUTBOUND_OWNER_GROUPS")
	}
	for _, group := range c.NoOwnerGroups {
		add("processes of group "+group, "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE")
	}
	add(c.LoopbackCIDR, "the pod's own loopback")
	if c.DNS {
		add("UDP but port 53", "only TCP and DNS are captured")
	} else {
		add("UDP", "only TCP is captured")
	}
	return list
}
