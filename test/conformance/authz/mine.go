package authz

import (
	"net/netip"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// minePolicies makes changes of the values that policies name, whatever became
// of them on either side.
func minePolicies(policies []*mesh.AuthorizationPolicy) []change {
	var m miner
	for _, p := range policies {
		m.namespace = p.Namespace
		for _, r := range p.Spec.GetRules() {
			for _, f := range r.GetFrom() {
				m.source(f.GetSource())
			}
			for _, t := range r.GetTo() {
				m.operation(t.GetOperation())
			}
			for _, w := range r.GetWhen() {
				m.condition(w)
			}
		}
	}
	return m.changes
}

type miner struct {
	namespace string // of the policy
	changes   []change
}

func (m *miner) source(s *security.Source) {
	m.values(s.GetPrincipals(), s.GetNotPrincipals(), setPrincipal)
	m.values(s.GetNamespaces(), s.GetNotNamespaces(), setNamespace)
	m.values(s.GetServiceAccounts(), s.GetNotServiceAccounts(), m.setAccount)
	m.values(s.GetTrustDomains(), s.GetNotTrustDomains(), setDomain)
	m.values(s.GetRequestPrincipals(), s.GetNotRequestPrincipals(), setRequestPrincipal)
	m.addresses(s.GetIpBlocks(), s.GetNotIpBlocks(), setDirect)
	m.addresses(s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks(), setRemote)
}

func (m *miner) operation(o *security.Operation) {
	m.values(o.GetHosts(), o.GetNotHosts(), setHeader(":authority"))
	m.values(o.GetMethods(), o.GetNotMethods(), setHeader(":method"))
	m.values(o.GetPaths(), o.GetNotPaths(), setPath)
	m.values(o.GetPorts(), o.GetNotPorts(), setPort)
}

func (m *miner) condition(w *security.Condition) {
	name, inBrackets := "", ""
	if at := strings.Index(w.GetKey(), "["); at >= 0 {
		name, inBrackets = w.GetKey()[:at], strings.TrimSuffix(w.GetKey()[at+1:], "]")
	} else {
		name = w.GetKey()
	}
	claim := func(keys ...string) func(string) change {
		return func(s string) change { return setClaim(keys, s) }
	}
	switch name {
	case "source.ip":
		m.addresses(w.GetValues(), w.GetNotValues(), setDirect)
	case "remote.ip":
		m.addresses(w.GetValues(), w.GetNotValues(), setRemote)
	case "destination.ip":
		m.addresses(w.GetValues(), w.GetNotValues(), setLocal)
	case "source.namespace":
		m.values(w.GetValues(), w.GetNotValues(), setNamespace)
	case "source.principal":
		m.values(w.GetValues(), w.GetNotValues(), setPrincipal)
	case "source.serviceAccount":
		m.values(w.GetValues(), w.GetNotValues(), m.setAccount)
	case "source.trustDomain":
		m.values(w.GetValues(), w.GetNotValues(), setDomain)
	case "destination.port":
		m.values(w.GetValues(), w.GetNotValues(), setPort)
	case "connection.sni":
		m.values(w.GetValues(), w.GetNotValues(), setServerName)
	case "request.headers":
		m.values(w.GetValues(), w.GetNotValues(), setHeader(inBrackets))
	case "request.auth.principal":
		m.values(w.GetValues(), w.GetNotValues(), setRequestPrincipal)
	case "request.auth.audiences":
		m.values(w.GetValues(), w.GetNotValues(), claim("aud"))
	case "request.auth.presenter":
		m.values(w.GetValues(), w.GetNotValues(), claim("azp"))
	case "request.auth.claims":
		m.values(w.GetValues(), w.GetNotValues(), claim(strings.Split(inBrackets, "][")...))
	}
}

// values are texts with stars and templates, which are filled in.
func (m *miner) values(some, none []string, set func(string) change) {
	fill := strings.NewReplacer("{**}", "a/b", "{*}", "a", "*", "z")
	for _, v := range append(append([]string{}, some...), none...) {
		for _, s := range []string{fill.Replace(v), strings.Trim(v, "*"), v} {
			m.changes = append(m.changes, set(s))
			for _, n := range nearby(s) {
				m.changes = append(m.changes, set(n))
			}
		}
	}
}

func (m *miner) addresses(some, none []string, set func(netip.Addr) change) {
	for _, v := range append(append([]string{}, some...), none...) {
		address, _, _ := strings.Cut(v, "/")
		if a, err := netip.ParseAddr(address); err == nil {
			m.changes = append(m.changes, set(a), set(a.Next()), set(a.Prev()))
		}
	}
}

func setPrincipal(v string) change { return setIdentity("spiffe://" + v) }

func setNamespace(v string) change { return setIdentity("spiffe://cluster.local/ns/" + v + "/sa/any") }

func setDomain(v string) change { return setIdentity("spiffe://" + v + "/ns/any/sa/any") }

func (m *miner) setAccount(v string) change {
	ns, account, ok := strings.Cut(v, "/")
	if !ok {
		ns, account = m.namespace, v
	}
	return setIdentity("spiffe://cluster.local/ns/" + ns + "/sa/" + account)
}

func setRequestPrincipal(v string) change {
	at := max(strings.LastIndex(v, "/"), 0)
	issuer, subject := setClaim([]string{"iss"}, v[:at]), setClaim([]string{"sub"}, strings.TrimPrefix(v[at:], "/"))
	return func(a *attributes) { issuer(a); subject(a) }
}

func setPort(v string) change {
	n, _ := strconv.ParseUint(v, 10, 16) // 0 is a port too
	return func(a *attributes) { a.port = uint32(n) }
}
