package mesh

import "strings"

// Protocol is what a Service says of a port (EC-20).
type Protocol string

// The protocols. Unsupported is one that says nothing that Istio knows: it is
// sniffed.
const (
	HTTP        Protocol = "HTTP"
	HTTP2       Protocol = "HTTP2"
	HTTPProxy   Protocol = "HTTP_PROXY"
	GRPC        Protocol = "GRPC"
	GRPCWeb     Protocol = "GRPC-Web"
	HTTPS       Protocol = "HTTPS"
	TLS         Protocol = "TLS"
	TCP         Protocol = "TCP"
	UDP         Protocol = "UDP"
	Mongo       Protocol = "Mongo"
	Redis       Protocol = "Redis"
	MySQL       Protocol = "MySQL"
	Unsupported Protocol = "UnsupportedProtocol"
)

// Traffic is how a sidecar treats a port: it knows that requests are HTTP, or
// knows that they are not, or looks at the bytes (EC-21).
type Traffic string

// The kinds of traffic.
const (
	HTTPTraffic    Traffic = "HTTP"
	TCPTraffic     Traffic = "TCP"
	SniffedTraffic Traffic = "auto"
)

// Traffic is the kind of traffic of a protocol.
func (p Protocol) Traffic() Traffic {
	switch p {
	case HTTP, HTTP2, HTTPProxy, GRPC, GRPCWeb:
		return HTTPTraffic
	case TCP, HTTPS, TLS, Mongo, Redis, MySQL:
		return TCPTraffic
	}
	return SniffedTraffic
}

// protocolOf reads a Service port: its application protocol if it has one,
// else the first part of its name; a few port numbers are known to be TCP.
func protocolOf(transport, name, appProtocol string, port int32) Protocol {
	if strings.EqualFold(transport, "UDP") {
		return UDP
	}
	word := name
	if appProtocol != "" {
		word = appProtocol
		switch appProtocol {
		case "kubernetes.io/h2c":
			return HTTP2
		case "kubernetes.io/ws":
			return HTTP
		case "kubernetes.io/wss":
			return HTTPS
		}
	}
	if p := namedProtocol(word); p != Unsupported {
		return p
	}
	switch port {
	case 25, 53, 3306, 27017: // their servers speak first
		return TCP
	}
	return Unsupported
}

// ParseProtocol reads the protocol of a port of Istio's own objects.
func ParseProtocol(name string) Protocol { return namedProtocol(name) }

// namedProtocol reads a protocol's name, or a port's name that starts with one.
func namedProtocol(word string) Protocol {
	word = strings.ToLower(word)
	if strings.HasPrefix(word, "grpc-web") {
		return GRPCWeb
	}
	word, _, _ = strings.Cut(word, "-")
	known := map[string]Protocol{
		"tcp": TCP, "udp": UDP, "grpc": GRPC, "http": HTTP, "http_proxy": HTTPProxy, "http2": HTTP2,
		"https": HTTPS, "tls": TLS, "mongo": Mongo, "redis": Redis, "mysql": MySQL,
	}
	if p, ok := known[word]; ok {
		return p
	}
	return Unsupported
}
