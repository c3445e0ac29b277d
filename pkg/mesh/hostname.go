package mesh

import "strings"

// FullHost completes a host name without a dot by the namespace of the object
// that it stands in (EC-17). Names with a dot, addresses and the lone star stay
// as they are.
func (s *Snapshot) FullHost(name, namespace string) string {
	if name == "" || strings.ContainsAny(name, ".*:") {
		return name
	}
	return name + "." + namespace + ".svc." + s.Domain
}

// IsWildcard tells whether a host name stands for many.
func IsWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// HostCovers tells whether all that a host name stands for is within what
// another, its cover, stands for.
func HostCovers(cover, host string) bool {
	if !IsWildcard(cover) {
		return cover == host
	}
	if IsWildcard(host) {
		return len(host) >= len(cover) && strings.HasSuffix(host[1:], cover[1:])
	}
	return strings.HasSuffix(host, cover[1:])
}

// HostsMeet tells whether two host names have a host in common.
func HostsMeet(a, b string) bool { return HostCovers(a, b) || HostCovers(b, a) }
