package policy

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// absoluteReferer is a referer that may have a colon (RUN-11).
var absoluteReferer = regexp.MustCompile(`^[a-zA-Z]+://[^/?#]`)

// headers are a request's headers as RBAC sees them: names in lower case,
// pseudo-headers among them.
type headers map[string][]string

func (h headers) values(name string) []string { return h[name] }

func (h headers) first(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// isJoined tells whether Envoy keeps a header as one value, lines joined with
// commas (DP-66).
func isJoined(name string) bool {
	switch name {
	case ":authority", "accept", "accept-encoding", "access-control-request-headers", "access-control-request-method", "access-control-request-private-network",
		"authentication", "authorization", "cache-control", "cdn-loop", "content-type", "content-encoding", "expect", "origin", "pragma", "referer", "user-agent", "via",
		"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-client-cert", "x-request-id", "grpc-timeout", "grpc-accept-encoding", "te":
		return true
	}
	return strings.HasPrefix(name, "if-") || strings.HasPrefix(name, "x-envoy-")
}

// add appends a line. Outer blanks do not belong to a value (DP-67), and empty
// lines add nothing to a joined one (AP-53).
func (h headers) add(name, value string) {
	name = strings.ToLower(name)
	value = strings.Trim(value, " \t")
	old, there := h[name]
	if !there || !isJoined(name) {
		h[name] = append(old, value)
		return
	}
	switch {
	case old[0] == "":
		h[name] = []string{value}
	case value != "":
		h[name] = []string{old[0] + "," + value}
	}
}

// tidy does what the connection manager does before any filter (RUN-11, DP-69).
func (h headers) tidy(tls bool) {
	delete(h, "connection")
	if te, ok := h["te"]; ok {
		listed := slices.ContainsFunc(strings.Split(te[0], ","), func(v string) bool { return strings.TrimSpace(v) == "trailers" })
		delete(h, "te")
		if listed {
			h["te"] = []string{"trailers"}
		}
	}
	if referer := h.first("referer"); strings.Contains(referer, " ") ||
		strings.Contains(referer, ":") && !strings.HasPrefix(referer, "/") && !absoluteReferer.MatchString(referer) {
		delete(h, "referer")
	}
	scheme := "http"
	if tls {
		scheme = "https"
	} else {
		delete(h, "x-forwarded-client-cert")
	}
	if h.first(":scheme") == "" {
		h[":scheme"] = []string{scheme}
	}
	if h.first("x-forwarded-proto") == "" {
		h["x-forwarded-proto"] = []string{scheme}
	}
	if h.first("x-request-id") == "" {
		h["x-request-id"] = []string{"00000000-0000-4000-8000-000000000000"}
	}
}

// remote is the address that the last X-Forwarded-For entry names; it is false
// if there is none, and the connection's peer counts (DP-72).
func (h headers) remote(peer netip.Addr) (netip.Addr, bool) {
	xff := h.first("x-forwarded-for")
	entry := strings.TrimSpace(xff[strings.LastIndex(xff, ",")+1:])
	if a, err := netip.ParseAddr(entry); err == nil {
		return a.WithZone(""), true
	}
	return peer, false
}

// grpc tells whether Envoy answers as a gRPC server would (DP-24, DP-24a).
func (h headers) grpc() bool {
	t := h.first("content-type")
	return t == "application/grpc" || strings.HasPrefix(t, "application/grpc+")
}
