package policy

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// absoluteReferer is a referer that may have a colon (RUN-11).
var absoluteReferer = regexp.MustCompile(`^[a-zA-Z]+://[^/?#]`)

// headers are a request's headers as RBAC sees them: names in lower case,
// pseudo-headers among them. A request has few, so that they are looked up one by
// one.
type headers []Line

// newHeaders begins with the pseudo-headers and leaves room for more.
func newHeaders(method, path, authority string, more int) headers {
	h := make(headers, 0, 8+more)
	return append(h, Line{":method", method}, Line{":path", path}, Line{":authority", authority})
}

// values are those of all lines of a name.
func (h headers) values(name string) []string {
	var all []string
	for i := range h {
		if h[i].Name == name {
			all = append(all, h[i].Value)
		}
	}
	return all
}

func (h headers) find(name string) *Line {
	for i := range h {
		if h[i].Name == name {
			return &h[i]
		}
	}
	return nil
}

func (h headers) first(name string) string {
	if l := h.find(name); l != nil {
		return l.Value
	}
	return ""
}

// set leaves one line of a name.
func (h *headers) set(name, value string) {
	for i := range *h {
		if (*h)[i].Name == name {
			(*h)[i].Value = value
			rest := slices.DeleteFunc((*h)[i+1:], func(l Line) bool { return l.Name == name })
			*h = (*h)[:i+1+len(rest)]
			return
		}
	}
	*h = append(*h, Line{name, value})
}

func (h *headers) remove(name string) {
	if h.find(name) != nil {
		*h = slices.DeleteFunc(*h, func(l Line) bool { return l.Name == name })
	}
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

// add appends a line. Empty lines add nothing to a joined one (AP-53).
func (h *headers) add(name, value string) {
	name = strings.ToLower(name)
	old := h.find(name)
	switch {
	case old == nil || !isJoined(name):
		*h = append(*h, Line{name, value})
	case old.Value == "":
		old.Value = value
	case value != "":
		old.Value += "," + value
	}
}

// refused is what the connection manager has against a request before any
// filter: an upgrade that is not offered, or QUERY without a type (DP-26).
func (h headers) refused() *rejection {
	if h.first(":method") == methodQuery && h.first("content-type") == "" {
		return &rejection{http.StatusBadRequest, "QUERY without a content-type"}
	}
	wanted := strings.ToLower(h.first("upgrade"))
	if wanted != "" && wanted != "websocket" && wanted != "h2c" && h.lists("connection", "upgrade") {
		return &rejection{http.StatusForbidden, "upgrade to " + wanted + " is not offered"}
	}
	return nil
}

// lists tells whether a header, a list, has a word in any case.
func (h headers) lists(name, word string) bool {
	for _, line := range h.values(name) {
		for one := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(one), word) {
				return true
			}
		}
	}
	return false
}

// tidy does what the connection manager does before any filter (RUN-11, DP-69).
func (h *headers) tidy(tls bool) {
	h.remove("connection")
	if te := h.find("te"); te != nil {
		listed := slices.ContainsFunc(strings.Split(te.Value, ","), func(v string) bool { return strings.TrimSpace(v) == "trailers" })
		h.remove("te")
		if listed {
			h.set("te", "trailers")
		}
	}
	if referer := h.first("referer"); strings.Contains(referer, " ") ||
		strings.Contains(referer, ":") && !strings.HasPrefix(referer, "/") && !absoluteReferer.MatchString(referer) {
		h.remove("referer")
	}
	scheme := "http"
	if tls {
		scheme = "https"
	} else {
		h.remove("x-forwarded-client-cert")
	}
	h.forwarded(scheme)
	h.fill("x-request-id", "00000000-0000-4000-8000-000000000000")
}

// forwarded settles which protocol the client spoke. Where the request itself does
// not say, a forwarded one counts, of which only the two are known; an empty
// header is one that is there.
func (h *headers) forwarded(scheme string) {
	said := h.find("x-forwarded-proto")
	switch {
	case said == nil:
		h.set("x-forwarded-proto", scheme)
	case strings.EqualFold(said.Value, "http") || strings.EqualFold(said.Value, "https"):
		scheme = strings.ToLower(said.Value)
	}
	h.fill(":scheme", scheme)
}

// fill sets a header that is missing or empty.
func (h *headers) fill(name, value string) {
	if h.first(name) == "" {
		h.set(name, value)
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
func (h headers) grpc() bool { return isGRPC(h.first("content-type")) }

func isGRPC(t string) bool {
	return t == "application/grpc" || strings.HasPrefix(t, "application/grpc+")
}
