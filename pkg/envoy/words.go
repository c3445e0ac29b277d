package envoy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplate "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// RuleWords puts a rule of an RBAC filter into words: what may be asked for, and
// who may ask, each a list of alternatives in order. The same rule always has
// the same words, whatever the order of its parts.
func RuleWords(p *rbacv3.Policy) (permissions, principals []string) {
	for _, x := range p.GetPermissions() {
		permissions = append(permissions, permissionWords(x))
	}
	for _, x := range p.GetPrincipals() {
		principals = append(principals, principalWords(x))
	}
	if p.GetCondition() != nil || p.GetCheckedCondition() != nil {
		permissions = []string{"(" + strings.Join(sortedSet(permissions), ") or (") + "), if its CEL condition holds"}
	}
	return sortedSet(permissions), sortedSet(principals)
}

func sortedSet(words []string) []string { return slices.Compact(slices.Sorted(slices.Values(words))) }

func wordsOf[T any](all []T, word func(T) string) []string {
	var words []string
	for _, x := range all {
		words = append(words, word(x))
	}
	return sortedSet(words)
}

// both joins what must all hold; what always holds is left out.
func both(words []string) string {
	words = slices.DeleteFunc(words, func(w string) bool { return w == anything })
	switch len(words) {
	case 0:
		return anything
	case 1:
		return words[0]
	}
	return strings.Join(words, " and ")
}

func either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return "(" + strings.Join(words, " or ") + ")"
}

const anything = "anything"

// keysOf begins the note of keys that only istiod can fetch.
const keysOf = "keys of "

func permissionWords(x *rbacv3.Permission) string {
	switch r := x.GetRule().(type) {
	case *rbacv3.Permission_Any:
		return anything
	case *rbacv3.Permission_AndRules:
		return both(wordsOf(r.AndRules.GetRules(), permissionWords))
	case *rbacv3.Permission_OrRules:
		return either(wordsOf(r.OrRules.GetRules(), permissionWords))
	case *rbacv3.Permission_NotRule:
		return "not " + permissionWords(r.NotRule)
	case *rbacv3.Permission_Header:
		return headerWords(r.Header)
	case *rbacv3.Permission_UrlPath:
		return "path " + textWords(r.UrlPath.GetPath())
	case *rbacv3.Permission_UriTemplate:
		if m := (&uritemplate.UriTemplateMatchConfig{}); r.UriTemplate.GetTypedConfig().UnmarshalTo(m) == nil {
			return "path like " + m.PathTemplate
		}
	case *rbacv3.Permission_DestinationPort:
		return "port " + strconv.Itoa(int(r.DestinationPort))
	case *rbacv3.Permission_DestinationIp:
		return "destination in " + blockWords(r.DestinationIp)
	case *rbacv3.Permission_RequestedServerName:
		return "server name " + textWords(r.RequestedServerName)
	case *rbacv3.Permission_Metadata:
		return metadataWords(r.Metadata)
	}
	return rawWords(x)
}

func principalWords(x *rbacv3.Principal) string {
	switch r := x.GetIdentifier().(type) {
	case *rbacv3.Principal_Any:
		return anything
	case *rbacv3.Principal_AndIds:
		return both(wordsOf(r.AndIds.GetIds(), principalWords))
	case *rbacv3.Principal_OrIds:
		return either(wordsOf(r.OrIds.GetIds(), principalWords))
	case *rbacv3.Principal_NotId:
		return "not " + principalWords(r.NotId)
	case *rbacv3.Principal_Authenticated_:
		if r.Authenticated.GetPrincipalName() == nil {
			return "any certificate"
		}
		return "identity " + textWords(r.Authenticated.GetPrincipalName())
	case *rbacv3.Principal_DirectRemoteIp:
		return "address in " + blockWords(r.DirectRemoteIp)
	case *rbacv3.Principal_RemoteIp:
		return "client address in " + blockWords(r.RemoteIp)
	case *rbacv3.Principal_Header:
		return headerWords(r.Header)
	case *rbacv3.Principal_UrlPath:
		return "path " + textWords(r.UrlPath.GetPath())
	case *rbacv3.Principal_Metadata:
		return metadataWords(r.Metadata)
	}
	return rawWords(x)
}

// textWords says what a text must be.
func textWords(m *matcherv3.StringMatcher) string {
	word := ""
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		word = strconv.Quote(p.Exact)
	case *matcherv3.StringMatcher_Prefix:
		word = strconv.Quote(p.Prefix + "*")
	case *matcherv3.StringMatcher_Suffix:
		word = strconv.Quote("*" + p.Suffix)
	case *matcherv3.StringMatcher_Contains:
		word = strconv.Quote("*" + p.Contains + "*")
	case *matcherv3.StringMatcher_SafeRegex:
		if word = "matching " + strconv.Quote(p.SafeRegex.GetRegex()); p.SafeRegex.GetRegex() == ".+" {
			word = "not empty"
		}
	default:
		return rawWords(m)
	}
	if m.IgnoreCase {
		word += " in any case"
	}
	return word
}

func headerWords(h *routev3.HeaderMatcher) string {
	name := "header " + h.Name
	switch h.Name {
	case ":method":
		name = "method"
	case ":authority":
		name = "host"
	}
	if h.InvertMatch {
		name = "not " + name
	}
	switch m := h.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return name + " " + textWords(m.StringMatch)
	case *routev3.HeaderMatcher_PresentMatch:
		if m.PresentMatch {
			return name + " present"
		}
	}
	return rawWords(h)
}

func metadataWords(m *matcherv3.MetadataMatcher) string {
	var path []string
	for _, s := range m.Path {
		path = append(path, s.GetKey())
	}
	name := "metadata " + m.Filter + " " + strings.Join(path, ".")
	if m.Filter == jwtFilter && len(path) > 1 && path[0] == "payload" {
		name = "token's " + strings.Join(path[1:], ".")
	}
	if m.Invert {
		name = "not " + name
	}
	return name + " " + either(valueWords(m.Value))
}

// valueWords are the alternatives of a value.
func valueWords(v *matcherv3.ValueMatcher) []string {
	switch p := v.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_StringMatch:
		return []string{textWords(p.StringMatch)}
	case *matcherv3.ValueMatcher_ListMatch:
		return []string{"a list with " + either(valueWords(p.ListMatch.GetOneOf()))}
	case *matcherv3.ValueMatcher_OrMatch:
		all := p.OrMatch.GetValueMatchers()
		if len(all) == 2 && all[0].GetListMatch() != nil && slices.Equal(valueWords(all[0].GetListMatch().GetOneOf()), valueWords(all[1])) {
			return []string{either(valueWords(all[1])) + ", or a list with it"}
		}
		return wordsOf(all, func(v *matcherv3.ValueMatcher) string { return either(valueWords(v)) })
	}
	return []string{rawWords(v)}
}

func blockWords(c *corev3.CidrRange) string {
	return fmt.Sprintf("%s/%d", c.GetAddressPrefix(), c.GetPrefixLen().GetValue())
}

// rawWords is what there are no words for.
func rawWords(m proto.Message) string {
	text, err := protojson.Marshal(m)
	var value any
	if err != nil || json.Unmarshal(text, &value) != nil {
		return "?"
	}
	text, _ = json.Marshal(value) // came from JSON
	return string(text)
}

// ChainWords says what a filter chain takes, in full.
func ChainWords(m *listenerv3.FilterChainMatch) string {
	rest := &listenerv3.FilterChainMatch{}
	if m != nil {
		rest = proto.CloneOf(m)
	}
	words := []string{":*"}
	if m.GetDestinationPort() != nil {
		words[0] = fmt.Sprintf(":%d", m.GetDestinationPort().GetValue())
	}
	switch m.GetTransportProtocol() {
	case "":
	case "raw_buffer":
		words = append(words, "plaintext")
	default:
		words = append(words, m.GetTransportProtocol())
	}
	if all := m.GetApplicationProtocols(); len(all) > 0 {
		words = append(words, strings.Join(slices.Sorted(slices.Values(all)), ","))
	}
	for _, c := range m.GetPrefixRanges() {
		words = append(words, "to "+blockWords(c))
	}
	for _, name := range slices.Sorted(slices.Values(m.GetServerNames())) {
		words = append(words, "for "+name)
	}
	rest.DestinationPort, rest.TransportProtocol, rest.ApplicationProtocols, rest.PrefixRanges, rest.ServerNames = nil, "", nil, nil, nil
	if proto.Size(rest) > 0 {
		words = append(words, rawWords(rest))
	}
	return strings.Join(words, " ")
}

// AddressWords is an address as people write it.
func AddressWords(a *corev3.Address) string {
	switch {
	case a.GetSocketAddress() != nil:
		s := a.GetSocketAddress()
		port := strconv.Itoa(int(s.GetPortValue()))
		if s.GetNamedPort() != "" {
			port = s.GetNamedPort()
		}
		return net.JoinHostPort(s.GetAddress(), port)
	case a.GetPipe() != nil:
		return "unix://" + a.GetPipe().GetPath()
	case a.GetEnvoyInternalAddress() != nil:
		return "internal " + a.GetEnvoyInternalAddress().GetServerListenerName() + " " + a.GetEnvoyInternalAddress().GetEndpointId()
	}
	return "no address"
}

// KeySetWords says which keys a provider has, not the keys: one may be secret.
func KeySetWords(s *corev3.DataSource) string {
	text := s.GetInlineString()
	if text == "" {
		text = string(s.GetInlineBytes())
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	switch {
	case s.GetFilename() != "":
		return "keys in " + s.GetFilename()
	case s.GetEnvironmentVariable() != "":
		return "keys in $" + s.GetEnvironmentVariable()
	case strings.HasPrefix(text, keysOf):
		return text
	case json.Unmarshal([]byte(text), &set) != nil:
		return "keys that cannot be read"
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, cmp.Or(k.ID, "(no id)"))
	}
	return fmt.Sprintf("%d keys: %s", len(set.Keys), strings.Join(ids, ", "))
}
