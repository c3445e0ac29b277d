package authz

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	templatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// readTable reads the policies of an RBAC filter. It fails with what it does
// not know: a matcher that is skipped would be one that is not compared.
func readTable(r *rbacv3.RBAC) (table, error) {
	t := table{}
	for _, id := range slices.Sorted(maps.Keys(r.GetPolicies())) {
		p := r.GetPolicies()[id]
		if p.GetCondition() != nil || p.GetCheckedCondition() != nil {
			return nil, fmt.Errorf("%s: conditions in CEL are not known here", id)
		}
		one := rule{id: id}
		for _, permission := range p.GetPermissions() {
			term, err := readPermission(permission)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
			one.permissions = append(one.permissions, term)
		}
		for _, principal := range p.GetPrincipals() {
			term, err := readPrincipal(principal)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
			one.principals = append(one.principals, term)
		}
		t = append(t, one)
	}
	return t, nil
}

func describe(m proto.Message) string {
	return prototext.MarshalOptions{Multiline: false}.Format(m)
}

func unknown(m proto.Message) error {
	return fmt.Errorf("matcher {%s} is not known here", describe(m))
}

func readPermission(p *rbacv3.Permission) (term, error) {
	leaf := func(l *leaf, err error) (term, error) {
		return term{op: test, leaf: l, name: describe(p)}, err
	}
	switch r := p.GetRule().(type) {
	case *rbacv3.Permission_Any:
		return term{op: anything}, nil
	case *rbacv3.Permission_AndRules:
		return readAll(all, r.AndRules.GetRules(), readPermission, describe(p))
	case *rbacv3.Permission_OrRules:
		return readAll(one, r.OrRules.GetRules(), readPermission, describe(p))
	case *rbacv3.Permission_NotRule:
		return readAll(not, []*rbacv3.Permission{r.NotRule}, readPermission, describe(p))
	case *rbacv3.Permission_Header:
		return leaf(readHeader(r.Header))
	case *rbacv3.Permission_UrlPath:
		return leaf(readPath(r.UrlPath))
	case *rbacv3.Permission_UriTemplate:
		return leaf(readTemplate(r.UriTemplate))
	case *rbacv3.Permission_DestinationIp:
		return leaf(readBlock(r.DestinationIp, setLocal, local))
	case *rbacv3.Permission_DestinationPort:
		return leaf(portLeaf(r.DestinationPort, r.DestinationPort), nil)
	case *rbacv3.Permission_DestinationPortRange: // its end is not of it
		return leaf(portLeaf(uint32(r.DestinationPortRange.GetStart()), uint32(r.DestinationPortRange.GetEnd())-1), nil)
	case *rbacv3.Permission_Metadata:
		return leaf(readMetadata(r.Metadata)) //nolint:staticcheck // istiod still writes it (CF-8)
	case *rbacv3.Permission_RequestedServerName:
		return leaf(readServerName(r.RequestedServerName))
	}
	return term{}, unknown(p)
}

func readPrincipal(p *rbacv3.Principal) (term, error) {
	leaf := func(l *leaf, err error) (term, error) {
		return term{op: test, leaf: l, name: describe(p)}, err
	}
	switch i := p.GetIdentifier().(type) {
	case *rbacv3.Principal_Any:
		return term{op: anything}, nil
	case *rbacv3.Principal_AndIds:
		return readAll(all, i.AndIds.GetIds(), readPrincipal, describe(p))
	case *rbacv3.Principal_OrIds:
		return readAll(one, i.OrIds.GetIds(), readPrincipal, describe(p))
	case *rbacv3.Principal_NotId:
		return readAll(not, []*rbacv3.Principal{i.NotId}, readPrincipal, describe(p))
	case *rbacv3.Principal_Authenticated_:
		return leaf(readIdentity(i.Authenticated.GetPrincipalName()))
	case *rbacv3.Principal_FilterState:
		if i.FilterState.GetKey() != "io.istio.peer_principal" || i.FilterState.GetStringMatch() == nil {
			return term{}, unknown(p)
		}
		return leaf(readIdentity(i.FilterState.GetStringMatch()))
	case *rbacv3.Principal_DirectRemoteIp:
		return leaf(readBlock(i.DirectRemoteIp, setDirect, direct))
	case *rbacv3.Principal_RemoteIp:
		return leaf(readBlock(i.RemoteIp, setRemote, remote))
	case *rbacv3.Principal_Header:
		return leaf(readHeader(i.Header))
	case *rbacv3.Principal_UrlPath:
		return leaf(readPath(i.UrlPath))
	case *rbacv3.Principal_Metadata:
		return leaf(readMetadata(i.Metadata)) //nolint:staticcheck // istiod still writes it (CF-8)
	}
	return term{}, unknown(p)
}

// readAll reads the kids of a set.
func readAll[M any](o op, kids []M, read func(M) (term, error), name string) (term, error) {
	t := term{op: o, name: name}
	for _, kid := range kids {
		k, err := read(kid)
		if err != nil {
			return term{}, err
		}
		t.kids = append(t.kids, k)
	}
	return t, nil
}

// readIdentity matches the name in the client's certificate; without a matcher
// any certificate will do.
func readIdentity(m *matcherv3.StringMatcher) (*leaf, error) {
	if m == nil {
		l := &leaf{holds: func(a *attributes) bool { return a.identity != "" }, near: []change{setIdentity("")}}
		l.hits = []change{setIdentity("spiffe://cluster.local/ns/other/sa/other")}
		return l, nil
	}
	t, err := readText(m)
	return textLeaf(t, setIdentity, setIdentity(""), func(a *attributes) bool { return a.identity != "" && t.holds(a.identity) }), err
}

func readServerName(m *matcherv3.StringMatcher) (*leaf, error) {
	t, err := readText(m)
	return textLeaf(t, setServerName, setServerName(""), func(a *attributes) bool { return t.holds(a.sni) }), err
}

// readHeader matches any line of a header (DP-65).
func readHeader(m *routev3.HeaderMatcher) (*leaf, error) {
	if m.GetInvertMatch() || m.GetTreatMissingHeaderAsEmpty() {
		return nil, unknown(m)
	}
	name := m.GetName()
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_PresentMatch:
		if !s.PresentMatch {
			return nil, unknown(m)
		}
		return headerLeaf(name, text{func(string) bool { return true }, []string{"", "y"}}), nil
	case *routev3.HeaderMatcher_StringMatch:
		t, err := readText(s.StringMatch)
		return headerLeaf(name, t), err
	}
	return nil, unknown(m)
}

func readPath(m *matcherv3.PathMatcher) (*leaf, error) {
	t, err := readText(m.GetPath())
	return pathLeaf(t), err
}

func readTemplate(m *corev3.TypedExtensionConfig) (*leaf, error) {
	var config templatev3.UriTemplateMatchConfig
	if err := m.GetTypedConfig().UnmarshalTo(&config); err != nil {
		return nil, err
	}
	t, err := templateText(config.GetPathTemplate())
	return pathLeaf(t), err
}

func readBlock(c *corev3.CidrRange, set func(netip.Addr) change, get func(*attributes) netip.Addr) (*leaf, error) {
	address, err := netip.ParseAddr(c.GetAddressPrefix())
	if err != nil {
		return nil, err
	}
	block, err := address.Prefix(int(c.GetPrefixLen().GetValue()))
	if err != nil {
		return nil, err
	}
	return blockLeaf(block, set, get), nil
}

// readText reads Envoy's matcher of strings.
func readText(m *matcherv3.StringMatcher) (text, error) {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	samples := func(all ...string) []string {
		if m.GetIgnoreCase() {
			all = append(all, strings.ToUpper(all[0]))
		}
		return all
	}
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		want := fold(p.Exact)
		return text{func(s string) bool { return fold(s) == want }, samples(p.Exact)}, nil
	case *matcherv3.StringMatcher_Prefix:
		want := fold(p.Prefix)
		return text{func(s string) bool { return strings.HasPrefix(fold(s), want) }, samples(p.Prefix, p.Prefix+"y", p.Prefix+"y/1")}, nil
	case *matcherv3.StringMatcher_Suffix:
		want := fold(p.Suffix)
		return text{func(s string) bool { return strings.HasSuffix(fold(s), want) }, samples(p.Suffix, "y"+p.Suffix, "/1/y"+p.Suffix)}, nil
	case *matcherv3.StringMatcher_Contains:
		want := fold(p.Contains)
		return text{func(s string) bool { return strings.Contains(fold(s), want) }, samples(p.Contains, "y"+p.Contains+"y")}, nil
	case *matcherv3.StringMatcher_SafeRegex:
		if m.GetIgnoreCase() {
			return text{}, unknown(m)
		}
		return regexText(p.SafeRegex.GetRegex())
	}
	return text{}, unknown(m)
}
