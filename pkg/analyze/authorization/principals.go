package authorization

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// accounts are the service accounts of the files.
type accounts struct {
	names map[string]map[string]bool // by namespace
	used  map[string]bool            // "namespace/name" that a workload runs as
}

func accountsOf(i *analyze.Inventory) accounts {
	a := accounts{map[string]map[string]bool{}, map[string]bool{}}
	add := func(namespace, name string) {
		if a.names[namespace] == nil {
			a.names[namespace] = map[string]bool{"default": true}
		}
		a.names[namespace][name] = true
	}
	for _, o := range i.Kind("", "ServiceAccount") {
		add(o.Namespace, o.Name)
	}
	for _, o := range i.Kind("gateway.networking.k8s.io", "Gateway") {
		for _, name := range gatewayAccounts(o) {
			add(o.Namespace, name)
			a.used[o.Namespace+"/"+name] = true
		}
	}
	for _, w := range i.Workloads {
		if w.ServiceAccount != "" {
			add(w.Namespace, w.ServiceAccount)
			a.used[w.Namespace+"/"+w.ServiceAccount] = true
		}
	}
	return a
}

// gatewayAccounts are the accounts that istiod may give to the proxy of a Gateway
// of the Gateway API: that of the annotation, or one named after it, with the
// class behind it or without.
func gatewayAccounts(o *mesh.Object) []string {
	if name := o.Annotations["gateway.istio.io/service-account"]; name != "" {
		return []string{name}
	}
	var gateway struct {
		Spec struct {
			Class string `json:"gatewayClassName"`
		} `json:"spec"`
	}
	name := o.Name
	if other := o.Annotations["gateway.istio.io/name-override"]; other != "" {
		name = other
	}
	if err := o.Decode(&gateway); err != nil || gateway.Spec.Class == "" {
		return []string{name}
	}
	return []string{name, name + "-" + gateway.Spec.Class}
}

// ownDomain stands for the mesh's trust domain, whatever that is, in principals (AP-75), but not in trustDomains (AP-77).
const ownDomain = "cluster.local"

// trusted are the trust domains whose certificates the mesh takes.
type trusted struct {
	names []string
	any   bool // an authority is trusted for all
}

func trustedBy(i *analyze.Inventory) trusted {
	t := trusted{names: slices.Clone(i.TrustDomains())}
	for _, c := range i.Config.GetCaCertificates() {
		t.names = append(t.names, c.GetTrustDomains()...)
		t.any = t.any || len(c.GetTrustDomains())+len(c.GetCertSigners()) == 0
	}
	return t
}

// principal looks at a peer's name (AP-29).
func (v spot) principal(known accounts, domains trusted) {
	name, prefixed := strings.CutPrefix(v.value, "spiffe://")
	if prefixed {
		v.say("MSH0113", "principal %q never matches: the scheme is put in front by itself. Leave spiffe:// out", v.value).SetValue(v.at(v.index), name)
		return
	}
	if hasPlainStar(v.value) {
		v.say("MSH0114", "principal %q: only one star, in front or else at the end, stands for any text. This one has a plain star, which is in no name: it matches nobody", v.value)
		return
	}
	if isPattern(v.value) {
		switch {
		case v.value == "*" && !v.not:
			v.say("MSH0118", "principal %q is everybody with a certificate of the mesh: is that meant?", v.value)
		case v.value != "*" && namespaceOf(v.value) == "":
			v.say("MSH0118", "principal %q stands for accounts of more than one namespace: is that meant?", v.value)
		}
		return
	}
	domain, rest, _ := strings.Cut(v.value, "/")
	parts := strings.Split(rest, "/")
	switch {
	case len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" || domain == "" || parts[1] == "" || parts[3] == "":
		if !isForeign(v.value, domain, domains) {
			v.say("MSH0114", "principal %q is not of the form TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT that Istio gives: it matches nobody", v.value)
		}
	case domain == ownDomain || slices.Contains(v.TrustDomains(), domain):
		v.exists(known, parts[1], parts[3])
	default:
		v.trustDomain(domain, domains)
	}
}

// isForeign tells a name of a form of its own that an authority beside Istio's
// may give, in its own trust domain.
func isForeign(name, domain string, domains trusted) bool {
	return strings.Contains(domain, ".") && domain != name && domain != ownDomain && !slices.Contains(domains.names, domain) &&
		!strings.Contains(name, "/ns/") && !strings.Contains(name, "/sa/")
}

// trustDomain looks at a trust domain, if those of the mesh are known (AP-77).
func (v spot) trustDomain(domain string, domains trusted) {
	known := v.ConfigGiven || v.Complete
	if !known || domains.any || strings.Contains(domain, "*") || slices.Contains(domains.names, domain) {
		return
	}
	v.say("MSH0117", "trust domain %q is neither the mesh's nor an alias of it, and no caCertificates are for it: %s", domain, mesh.DidYouMean(domain, slices.Clone(domains.names)))
}

// account looks at "account" or "namespace/account".
func (v spot) account(known accounts) {
	if name, prefixed := strings.CutPrefix(v.value, "spiffe://"); prefixed {
		v.say("MSH0113", "service account %q: expected ACCOUNT or NAMESPACE/ACCOUNT, not the name of a certificate (%s)", v.value, name)
		return
	}
	namespace, name, both := strings.Cut(v.value, "/")
	if !both {
		namespace, name = v.policy.Namespace, v.value
	}
	if name != "" && !strings.Contains(v.value, "*") {
		v.exists(known, namespace, name)
	}
}

// exists reports an account that is not there, or that nobody runs as. Without
// all files it says so only of namespaces whose accounts are in them.
func (v spot) exists(known accounts, namespace, name string) {
	in := known.names[namespace]
	switch {
	case in[name] && !known.used[namespace+"/"+name]:
		v.say("MSH0116", "no workload runs as the service account %s/%s", namespace, name)
	case in[name] || !v.Complete && (len(in) == 0 || v.isInstalled(namespace, name)):
	default:
		var near []string
		for other := range in {
			near = append(near, other)
		}
		hint := "the namespace has none in the files"
		if len(near) > 0 {
			hint = mesh.DidYouMean(name, near)
		}
		v.say("MSH0115", "no service account %s: nobody can be this caller; %s", fmt.Sprintf("%s/%s", namespace, name), hint)
	}
}

// isInstalled tells an account that an installation of Istio may bring: files of
// applications seldom have it.
func (v spot) isInstalled(namespace, name string) bool {
	return namespace == v.RootNamespace() || strings.Contains(name, "gateway") || strings.Contains(name, "ingress") || strings.Contains(name, "egress")
}
