package certs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Limits of identities, in bytes (CA-1).
const (
	maxID     = 2048
	maxDomain = 255
)

const scheme = "spiffe://"

// ID is a valid SPIFFE ID. The zero value is none.
type ID struct {
	domain string
	path   string // begins with a slash; empty for the ID of a trust domain
}

// ParseID reads a SPIFFE ID as it must be written: nothing is folded, decoded or
// trimmed (CA-1..CA-3).
func ParseID(text string) (ID, error) {
	if len(text) > maxID {
		return ID{}, fmt.Errorf("SPIFFE ID of %d bytes: at most %d are allowed", len(text), maxID)
	}
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return ID{}, fmt.Errorf("SPIFFE ID %q: it must begin with %s, in lower case", text, scheme)
	}
	domain, path := rest, ""
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		domain, path = rest[:at], rest[at:]
	}
	if err := CheckTrustDomain(domain); err != nil {
		return ID{}, fmt.Errorf("SPIFFE ID %q: %w", text, err)
	}
	if path == "" {
		return ID{domain: domain}, nil
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if err := checkSegment(segment); err != nil {
			return ID{}, fmt.Errorf("SPIFFE ID %q: %w", text, err)
		}
	}
	return ID{domain, path}, nil
}

// WorkloadID is the identity that Istio gives to a service account (CA-5).
func WorkloadID(domain, namespace, account string) (ID, error) {
	for _, name := range []string{namespace, account} {
		if err := checkSegment(name); err != nil {
			return ID{}, fmt.Errorf("service account %s/%s: %w", namespace, account, err)
		}
	}
	return ParseID(scheme + domain + "/ns/" + namespace + "/sa/" + account)
}

// CheckTrustDomain says what is wrong with the name of a trust domain (CA-1,
// CA-2).
func CheckTrustDomain(domain string) error {
	switch {
	case domain == "":
		return errors.New("the trust domain is empty")
	case len(domain) > maxDomain:
		return fmt.Errorf("trust domain of %d bytes: at most %d are allowed", len(domain), maxDomain)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" {
			return fmt.Errorf("trust domain %q: a dot needs a label on both sides", domain)
		}
	}
	for _, r := range domain {
		switch {
		case isLower(r) || isDigit(r) || strings.ContainsRune("-_.", r):
		case r >= 'A' && r <= 'Z':
			if CheckTrustDomain(strings.ToLower(domain)) != nil {
				return fmt.Errorf("trust domain %q: only a-z, 0-9, dot, dash and underscore are allowed", domain)
			}
			return fmt.Errorf("trust domain %q: upper case is not allowed; did you mean %q?", domain, strings.ToLower(domain))
		default:
			return fmt.Errorf("trust domain %q: %q is not allowed; only a-z, 0-9, dot, dash and underscore are", domain, r)
		}
	}
	return nil
}

// checkSegment says what is wrong with a segment of a path (CA-3).
func checkSegment(s string) error {
	switch s {
	case "":
		return errors.New("a segment of the path is empty")
	case ".", "..":
		return fmt.Errorf("%q is no segment of a path", s)
	}
	for _, r := range s {
		if !isLower(r) && !isDigit(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune("-_.", r) {
			return fmt.Errorf("segment %q: %q is not allowed; only letters, digits, dot, dash and underscore are", s, r)
		}
	}
	return nil
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' }
func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// String is the identity as certificates have it; empty for none.
func (id ID) String() string {
	if id.domain == "" {
		return ""
	}
	return scheme + id.domain + id.path
}

// TrustDomain is the part that says which authority answers for the identity.
func (id ID) TrustDomain() string { return id.domain }

// Path begins with a slash; it is empty for the ID of a trust domain itself.
func (id ID) Path() string { return id.path }

// IsZero tells whether there is no identity.
func (id ID) IsZero() bool { return id.domain == "" }

// URL is the identity as package x509 has it.
func (id ID) URL() *url.URL { return &url.URL{Scheme: "spiffe", Host: id.domain, Path: id.path} }

// Workload is the service account of an identity of Istio's form; it is false
// for any other (CA-5).
func (id ID) Workload() (namespace, account string, ok bool) {
	const parts = 5 // "", ns, NAMESPACE, sa, ACCOUNT
	p := strings.Split(id.path, "/")
	if len(p) != parts || p[1] != "ns" || p[3] != "sa" {
		return "", "", false
	}
	return p[2], p[4], true
}
