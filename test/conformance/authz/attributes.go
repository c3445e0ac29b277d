package authz

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// attributes are what the RBAC filters of a sidecar see of a request.
type attributes struct {
	http                  bool   // otherwise a byte stream: no headers, no token
	identity              string // of the client's certificate; "" without one
	direct, remote, local netip.Addr
	port                  uint32
	sni                   string
	headers               map[string][]string // lines by name in lower case, pseudo-headers among them
	payload               map[string]any      // of the verified token; nil without one
}

// jwtFilter is the filter that leaves a token's payload to RBAC.
const jwtFilter = "envoy.filters.http.jwt_authn"

const forwardedFor = "x-forwarded-for"

// plain is a request that asks for nothing in particular.
func plain(http bool) *attributes {
	a := &attributes{
		http: http, port: 8080, direct: netip.MustParseAddr("203.0.113.9"), local: netip.MustParseAddr("198.51.100.7"),
		headers: map[string][]string{":method": {"GET"}, ":path": {"/"}, ":authority": {"other.example"}},
	}
	a.remote = a.direct
	return a
}

// settle makes the parts of a request agree: a byte stream has no headers, and
// X-Forwarded-For names the client's address (DP-72).
func (a *attributes) settle() {
	if !a.http {
		a.headers, a.payload, a.remote = nil, nil, a.direct
		return
	}
	if lines := a.headers[forwardedFor]; len(lines) > 0 {
		last := lines[len(lines)-1]
		entry := strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])
		a.remote = a.direct
		if address, err := netip.ParseAddr(entry); err == nil {
			a.remote = address
		}
	} else if a.remote != a.direct {
		a.headers[forwardedFor] = []string{a.remote.String()}
	}
	scheme := "http"
	if a.identity != "" {
		scheme = "https"
	}
	// The connection manager adds what is missing of these (DP-69).
	for name, value := range map[string]string{":scheme": scheme, "x-forwarded-proto": scheme, "x-request-id": "1"} {
		if len(a.headers[name]) == 0 {
			a.headers[name] = []string{value}
		}
	}
}

// lines are the lines of a header. Envoy knows host as :authority only (AP-53).
func (a *attributes) lines(name string) []string {
	name = strings.ToLower(name)
	if name == "host" {
		name = ":authority"
	}
	return a.headers[name]
}

// path is the path without its query; it is false if there is none (DP-26).
func (a *attributes) path() (string, bool) {
	lines := a.headers[":path"]
	if len(lines) == 0 {
		return "", false
	}
	end := strings.IndexAny(lines[0], "?#")
	if end < 0 {
		end = len(lines[0])
	}
	return lines[0][:end], true
}

// metadata is what another filter wrote about the request; nil is nothing.
func (a *attributes) metadata(filter string) map[string]any {
	if filter == jwtFilter && a.payload != nil {
		return map[string]any{"payload": a.payload}
	}
	return nil
}

// String shows what is not plain.
func (a *attributes) String() string {
	s := fmt.Sprintf("from %q %s (%s) to %s:%d", a.identity, a.direct, a.remote, a.local, a.port)
	if a.sni != "" {
		s += fmt.Sprintf(" sni %q", a.sni)
	}
	for _, name := range slices.Sorted(maps.Keys(a.headers)) {
		s += fmt.Sprintf(" %s=%q", name, a.headers[name])
	}
	if a.payload != nil {
		s += fmt.Sprintf(" token %v", a.payload)
	}
	return s
}
