package authz

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
)

// tokenHeader carries the token. It is taken away when the token is verified.
const tokenHeader = "x-conformance-token"

// request is how a client sends what a filter sees; it is false if none can, or
// if the bytes on the wire would not say for sure what the filter sees.
func (a *attributes) request() (*policy.Request, bool) {
	r := &policy.Request{
		To:   policy.Destination{Namespace: "any", Workload: "any", Port: a.port, IP: a.local.String()},
		From: policy.Client{IP: a.direct.String(), SNI: a.sni},
	}
	if a.port == 0 || a.port > 65535 || a.sni != "" && a.identity == "" {
		return nil, false
	}
	if a.identity != "" {
		if _, ok := domainOf(a.identity); !ok {
			return nil, false
		}
		r.From.Identity, r.From.ALPN = &a.identity, []string{"istio"}
		if a.http {
			r.From.ALPN = []string{"istio-h2"}
		}
	}
	if !a.http {
		return r, true
	}
	h, ok := a.message()
	r.HTTP = h
	return r, ok
}

// domainOf is the trust domain of an identity.
func domainOf(identity string) (string, bool) {
	rest, ok := strings.CutPrefix(identity, "spiffe://")
	domain, _, hasPath := strings.Cut(rest, "/")
	return domain, ok && hasPath
}

// message is the request in HTTP/2, which takes any method.
func (a *attributes) message() (*policy.HTTP, bool) {
	h := &policy.HTTP{Version: "2"}
	for _, pseudo := range []struct {
		name  string
		value *string
		fits  func(string) bool
	}{
		{":method", &h.Method, func(s string) bool { return isToken(s) && s != "CONNECT" && s != "OPTIONS" }},
		{":path", &h.Path, isNormal},
		{":authority", &h.Authority, func(s string) bool { return s != "" && strings.Trim(s, hostCharacters) == "" }},
	} {
		lines := a.headers[pseudo.name]
		if len(lines) != 1 || !pseudo.fits(lines[0]) {
			return nil, false
		}
		*pseudo.value = lines[0]
	}
	scheme := "http"
	if a.identity != "" {
		scheme = "https"
	}
	if !slices.Equal(a.headers[":scheme"], []string{scheme}) {
		return nil, false
	}
	for _, name := range sortedKeys(a.headers) {
		if strings.HasPrefix(name, ":") {
			continue
		}
		if !passes(name, a.headers[name]) {
			return nil, false
		}
		for _, line := range a.headers[name] {
			h.Headers = append(h.Headers, policy.Line{Name: name, Value: line})
		}
	}
	if a.payload != nil {
		h.Tokens = []policy.Token{{In: "header", Name: tokenHeader, Valid: true, Claims: claimsOf(a.payload)}}
	}
	return h, true
}

// claimsOf are the claims whose payload RBAC sees: the words of some are one
// text in the token (AP-42).
func claimsOf(payload map[string]any) map[string]any {
	claims := maps.Clone(payload)
	for _, name := range []string{"scope", "permission"} {
		list, _ := payload[name].([]any)
		var words []string
		for _, v := range list {
			if word, ok := v.(string); ok && word != "" && !strings.Contains(word, " ") {
				words = append(words, word)
			}
		}
		if len(words) > 0 && len(words) == len(list) {
			claims[name] = strings.Join(words, " ")
		}
	}
	return claims
}

const (
	letters        = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	hostCharacters = letters + ".-:_"
	pathCharacters = letters + "-._~!$&'()*+,;=:@/"
	nameCharacters = letters + "-._~!$&'*+^|`#"
)

func isToken(s string) bool { return s != "" && strings.Trim(s, nameCharacters) == "" }

// isNormal tells a target that no normalization changes (DP-50).
func isNormal(target string) bool {
	path, query, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") ||
		strings.Trim(path, pathCharacters) != "" || strings.Trim(query, pathCharacters) != "" {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return false
		}
	}
	return true
}

// passes tells whether header lines reach the filters as they are: the codec
// and the connection manager have their own ways with some (DP-66, RUN-11).
func passes(name string, lines []string) bool {
	if !isToken(name) || strings.ToLower(name) != name {
		return false
	}
	own := strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "x-envoy-") && !strings.HasPrefix(name, "x-forwarded-") && name != "x-request-id"
	if !own && name != forwardedFor && !slices.Contains([]string{"accept", "authorization", "origin", "user-agent", "x-request-id", "x-forwarded-proto"}, name) {
		return false
	}
	if !own && (len(lines) > 1 || lines[0] == "") {
		return false
	}
	for _, line := range lines {
		if strings.TrimSpace(line) != line || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return false
		}
	}
	return true
}
