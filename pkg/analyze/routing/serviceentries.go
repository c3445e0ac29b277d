package routing

import (
	"fmt"
	"strings"

	api "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// serviceEntries are the ServiceEntries of the files, one service of each.
func serviceEntries(p *analyze.Pass) []*mesh.Service {
	var all []*mesh.Service
	seen := map[*mesh.Object]bool{}
	for _, v := range p.Services {
		if v.Entry != nil && !seen[v.Object] {
			seen[v.Object] = true
			all = append(all, v)
		}
	}
	return all
}

// entriesWithoutAddresses finds ports of ServiceEntries that only an address
// could tell apart, and there is none.
func entriesWithoutAddresses(p *analyze.Pass) {
	metadata := p.Config.GetDefaultConfig().GetProxyMetadata()
	if metadata["ISTIO_META_DNS_CAPTURE"] == "true" && metadata["ISTIO_META_DNS_AUTO_ALLOCATE"] == "true" {
		return
	}
	for _, v := range serviceEntries(p) {
		if len(v.Entry.Addresses) > 0 {
			continue
		}
		for i, port := range v.Entry.Ports {
			protocol := port.Protocol
			if protocol != "" && !strings.EqualFold(protocol, "TCP") {
				continue
			}
			path := []string{"spec", "ports", fmt.Sprint(i)}
			if protocol != "" {
				path = within(path, "protocol")
			} else {
				protocol = "of no named protocol"
			}
			p.Report(v.Object, path, "port %d is %s, and the entry has no addresses: without an address of its own, sidecars take all traffic to port %d for this host; name addresses, a protocol with hosts such as TLS, or have addresses allocated",
				port.Number, protocol, port.Number)
		}
	}
}

// entryPort is a port of a host in a scope: a namespace, or "*" for all.
type entryPort struct {
	scope, host string
	number      uint32
}

// entryClaim is what a ServiceEntry says of a port.
type entryClaim struct {
	v    *mesh.Service
	port *api.ServicePort
	path []string
}

// entryProtocols finds ServiceEntries that give a port of a host different
// protocols. Each is reported once.
func entryProtocols(p *analyze.Pass) {
	claims := map[entryPort][]entryClaim{}
	var keys []entryPort
	for _, v := range serviceEntries(p) {
		for _, scope := range scopesOf(v.Entry.ExportTo, p.Config.GetDefaultServiceExportTo(), v.Namespace) {
			for _, host := range v.Entry.Hosts {
				for i, port := range v.Entry.Ports {
					key := entryPort{scope, host, port.Number}
					if claims[key] == nil {
						keys = append(keys, key)
					}
					claims[key] = append(claims[key], entryClaim{v, port, []string{"spec", "ports", fmt.Sprint(i)}})
				}
			}
		}
	}
	reported := map[*mesh.Object]bool{}
	for _, key := range keys {
		all := claims[key]
		if key.scope != "*" {
			all = append(all[:len(all):len(all)], claims[entryPort{"*", key.host, key.number}]...)
		}
		for _, c := range all {
			other := disagrees(c, all)
			if other == nil || reported[c.v.Object] {
				continue
			}
			reported[c.v.Object] = true
			r := p.Report(c.v.Object, c.path, "port %d of host %q is %s here and %s in ServiceEntry %s/%s: sidecars take it for one of them",
				key.number, key.host, protocolName(c), protocolName(*other), other.v.Namespace, other.v.Name).
				Because(other.v.Object, other.path, "says %s", protocolName(*other))
			if a, b := traffic(c), traffic(*other); a != mesh.HTTPTraffic && b != mesh.HTTPTraffic {
				r.As(report.Info) // either way sidecars do not read requests
			}
		}
	}
}

func disagrees(c entryClaim, all []entryClaim) *entryClaim {
	for i := range all {
		if protocolName(all[i]) != protocolName(c) && all[i].v.Object != c.v.Object {
			return &all[i]
		}
	}
	return nil
}

func traffic(c entryClaim) mesh.Traffic { return mesh.ParseProtocol(c.port.Protocol).Traffic() }

func protocolName(c entryClaim) string {
	if c.port.Protocol == "" {
		return "of no named protocol"
	}
	return strings.ToUpper(c.port.Protocol)
}
