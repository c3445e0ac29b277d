package policy

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Port is what a sidecar does on one port of its workload.
type Port struct {
	Number   uint32 // 0 is every port that no Service declares (EC-36)
	Declared *mesh.InboundPort
	Traffic  mesh.Traffic
	Mode     Mode
	Chains   []Chain
	// SeesTLS and SeesHTTP tell whether the bytes are looked at; otherwise TLS
	// counts as any bytes (EC-35, PA-14).
	SeesTLS, SeesHTTP bool
}

// Chain is a filter chain: what it takes, and what it makes of it.
type Chain struct {
	TLS        bool     // the transport that it takes
	ALPN       []string // application protocols that it takes; none takes all
	Terminates bool     // ends mTLS; otherwise TLS passes through opaque
	HTTP       bool     // sees requests; otherwise a byte stream
}

// chains are those of a port by mode and kind of traffic (EC-32).
func chains(mode Mode, traffic mesh.Traffic) []Chain {
	istioHTTP := []string{"istio-http/1.0", "istio-http/1.1", "istio-h2"}
	istioTCP := []string{"istio-peer-exchange", "istio"}
	plainHTTP := []string{"http/1.1", "h2c"}
	isHTTP := traffic == mesh.HTTPTraffic
	sniffed := traffic == mesh.SniffedTraffic
	var all []Chain
	switch {
	case mode == Strict && sniffed:
		all = []Chain{{TLS: true, ALPN: istioHTTP, Terminates: true, HTTP: true}, {TLS: true, Terminates: true}}
	case mode == Strict:
		all = []Chain{{TLS: true, Terminates: true, HTTP: isHTTP}}
	case mode == Permissive && sniffed:
		all = []Chain{
			{TLS: true, ALPN: istioHTTP, Terminates: true, HTTP: true},
			{ALPN: plainHTTP, HTTP: true},
			{TLS: true, ALPN: istioTCP, Terminates: true},
			{},
			{TLS: true},
		}
	case mode == Permissive:
		all = []Chain{{TLS: true, ALPN: slices.Concat([]string{"istio", "istio-peer-exchange"}, istioHTTP), Terminates: true, HTTP: isHTTP}}
		if !isHTTP {
			all = append(all, Chain{TLS: true})
		}
		all = append(all, Chain{HTTP: isHTTP})
	case sniffed:
		all = []Chain{{ALPN: plainHTTP, HTTP: true}, {}}
	default:
		all = []Chain{{HTTP: isHTTP}}
	}
	return all
}

func newPort(number uint32, declared *mesh.InboundPort, mode Mode) *Port {
	p := &Port{Number: number, Declared: declared, Traffic: mesh.SniffedTraffic, Mode: mode}
	if declared != nil {
		p.Traffic = declared.Protocol.Traffic()
	}
	p.Chains = chains(mode, p.Traffic)
	for _, c := range p.Chains {
		p.SeesTLS = p.SeesTLS || c.TLS
		p.SeesHTTP = p.SeesHTTP || slices.Contains(c.ALPN, "http/1.1")
	}
	return p
}

// chain finds the chain that takes a connection: by transport, then by the
// first of the client's protocols that one asks for (RUN-5), then the one that
// asks for none. Nil closes the connection (PA-15).
func (p *Port) chain(tls bool, protocols []string) *Chain {
	for _, protocol := range protocols {
		for i := range p.Chains {
			if c := &p.Chains[i]; c.TLS == tls && slices.Contains(c.ALPN, protocol) {
				return c
			}
		}
	}
	for i := range p.Chains {
		if c := &p.Chains[i]; c.TLS == tls && c.ALPN == nil {
			return c
		}
	}
	return nil
}
