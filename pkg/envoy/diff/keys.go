package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// special takes a field in a way of its own.
type special func(it *item, at string, m protoreflect.Message, v protoreflect.Value)

// sets are lists whose order means nothing.
func sets() map[protoreflect.FullName]bool {
	return map[protoreflect.FullName]bool{
		"envoy.config.route.v3.VirtualHost.domains":                                                            true,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.audiences":                                     true,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.from_params":                                   true,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.from_cookies":                                  true,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.from_headers":                                  true,
		"envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.match_subject_alt_names":       true,
		"envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.match_typed_subject_alt_names": true,
	}
}

// specials are the fields whose parts have keys.
func specials() map[protoreflect.FullName]special {
	return map[protoreflect.FullName]special{
		"envoy.config.listener.v3.Listener.filter_chains": each(func(it *item, _ string, c *listenerv3.FilterChain) {
			chain(it, envoy.ChainWords(c.FilterChainMatch), c)
		}),
		"envoy.config.listener.v3.Listener.default_filter_chain":                                         one(func(it *item, _ string, c *listenerv3.FilterChain) { chain(it, "of all else", c) }),
		"envoy.config.listener.v3.FilterChain.filter_chain_match":                                        nothing,
		"envoy.config.listener.v3.FilterChain.filters":                                                   each(networkFilter),
		"envoy.config.listener.v3.Listener.listener_filters":                                             each(listenerFilter),
		"envoy.extensions.filters.http.rbac.v3.RBAC.rules":                                               ruleSet("rule"),
		"envoy.extensions.filters.http.rbac.v3.RBAC.shadow_rules":                                        ruleSet("shadow rule"),
		"envoy.extensions.filters.network.rbac.v3.RBAC.rules":                                            ruleSet("rule"),
		"envoy.extensions.filters.network.rbac.v3.RBAC.shadow_rules":                                     ruleSet("shadow rule"),
		"envoy.config.rbac.v3.RBAC.policies":                                                             rules,
		"envoy.config.route.v3.RouteConfiguration.virtual_hosts":                                         each(virtualHost),
		"envoy.config.route.v3.VirtualHost.routes":                                                       each(route),
		"envoy.config.cluster.v3.Cluster.transport_socket_matches":                                       each(socketMatch),
		"envoy.config.cluster.v3.Cluster.filters":                                                        each(clusterFilter),
		"envoy.config.endpoint.v3.ClusterLoadAssignment.endpoints":                                       endpoints,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication.providers":                         providers,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication.rules":                             requirements,
		"envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.local_jwks":                              one(keySet),
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.http_filters": each(httpFilter),
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.route_config": one(routes),
	}
}

func nothing(*item, string, protoreflect.Message, protoreflect.Value) {}

// each takes the messages of a list.
func each[M proto.Message](take func(*item, string, M)) special {
	return func(it *item, at string, _ protoreflect.Message, v protoreflect.Value) {
		for i := range v.List().Len() {
			if m, ok := v.List().Get(i).Message().Interface().(M); ok {
				take(it, at, m)
			}
		}
	}
}

// one takes a single message.
func one[M proto.Message](take func(*item, string, M)) special {
	return func(it *item, at string, _ protoreflect.Message, v protoreflect.Value) {
		if m, ok := v.Message().Interface().(M); ok {
			take(it, at, m)
		}
	}
}

// ordered makes a part whose place among its like means something.
func (it *item) ordered(kind, key string) *item {
	k := it.kid(kind, key)
	it.order[kind] = append(it.order[kind], k.key)
	return k
}

func chain(it *item, key string, c *listenerv3.FilterChain) {
	it.kid("chain", key).add("", c.ProtoReflect())
}

func listenerFilter(it *item, _ string, f *listenerv3.ListenerFilter) {
	it.ordered("listener filter", f.Name).add("", f.ProtoReflect())
}

func networkFilter(it *item, _ string, f *listenerv3.Filter) {
	if it.skips(f.Name) {
		return
	}
	it.ordered("filter", filterKey(f.Name, f.GetTypedConfig())).add("", f.ProtoReflect())
}

func httpFilter(it *item, _ string, f *hcmv3.HttpFilter) {
	if it.skips(f.Name) {
		return
	}
	it.ordered("filter", filterKey(f.Name, f.GetTypedConfig())).add("", f.ProtoReflect())
}

// filterKey tells filters of one name apart by what they do.
func filterKey(name string, config *anypb.Any) string {
	if action := rbacAction(config); action != "" {
		return name + " " + action
	}
	return name
}

// rbacAction is the action of an RBAC filter; CUSTOM is one that only marks
// requests for an authorizer.
func rbacAction(config *anypb.Any) string {
	var rules, shadow *rbacv3.RBAC
	var prefix string
	if h := (&rbachttp.RBAC{}); config.UnmarshalTo(h) == nil {
		rules, shadow, prefix = h.Rules, h.ShadowRules, h.ShadowRulesStatPrefix
	} else if n := (&rbactcp.RBAC{}); config.UnmarshalTo(n) == nil {
		rules, shadow, prefix = n.Rules, n.ShadowRules, n.ShadowRulesStatPrefix
	} else {
		return ""
	}
	switch {
	case shadow != nil && prefix == "istio_ext_authz_":
		return "CUSTOM"
	case rules != nil:
		return rules.Action.String()
	}
	return shadow.GetAction().String()
}

// ruleSet is a stage of an RBAC filter, which does something without rules too:
// with ALLOW it denies everything.
func ruleSet(kind string) special {
	return func(it *item, at string, _ protoreflect.Message, v protoreflect.Value) {
		it.policiesOf(kind)
		it.fields[at] = plain("{}")
		it.add(at, v.Message())
	}
}

// policiesOf are the rules of a kind, to be filled.
func (it *item) policiesOf(kind string) map[string]*rbacv3.Policy {
	if it.policies == nil {
		it.policies = map[string]map[string]*rbacv3.Policy{}
	}
	if it.policies[kind] == nil {
		it.policies[kind] = map[string]*rbacv3.Policy{}
	}
	return it.policies[kind]
}

// rules are those of an RBAC filter, in words that no order changes.
func rules(it *item, at string, _ protoreflect.Message, v protoreflect.Value) {
	kind := "rule"
	if strings.HasPrefix(at, "typedConfig.shadowRules") {
		kind = "shadow rule"
	}
	v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		p, ok := v.Message().Interface().(*rbacv3.Policy)
		if !ok {
			return true
		}
		it.policiesOf(kind)[k.String()] = p
		what, who := envoy.RuleWords(p)
		r := it.kid(kind, k.String())
		r.fields["what"], r.fields["who"] = list(what), list(who)
		for name, m := range map[string]proto.Message{"condition": p.GetCondition(), "checkedCondition": p.GetCheckedCondition()} {
			if m.ProtoReflect().IsValid() {
				r.fields[name] = whole(m)
			}
		}
		return true
	})
}

// list is a set of words as one value.
func list(words []string) field { return plain(strings.Join(words, "\n")) }

func virtualHost(it *item, _ string, h *routev3.VirtualHost) {
	it.kid("virtual host", h.Name).add("", h.ProtoReflect())
}

// route goes by its name, or by its match where it has none of its own.
func route(it *item, _ string, r *routev3.Route) {
	key := r.Name
	if key == "" || key == "default" {
		key = strings.TrimSpace(key + " " + whole(r.GetMatch()).shown)
	}
	it.ordered("route", key).add("", r.ProtoReflect())
}

func routes(it *item, _ string, r *routev3.RouteConfiguration) {
	it.kid("routes", r.Name).add("", r.ProtoReflect())
}

func socketMatch(it *item, _ string, m *clusterv3.Cluster_TransportSocketMatch) {
	it.ordered("transport socket", m.Name).add("", m.ProtoReflect())
}

func clusterFilter(it *item, _ string, f *clusterv3.Filter) {
	if it.skips(f.Name) {
		return
	}
	it.ordered("filter", f.Name).add("", f.ProtoReflect())
}

// endpoints go by the workload that istiod names, or by their address.
func endpoints(it *item, _ string, _ protoreflect.Message, v protoreflect.Value) {
	type found struct {
		key      string
		locality *endpointv3.LocalityLbEndpoints
		*endpointv3.LbEndpoint
	}
	var all []found
	for i := range v.List().Len() {
		group, ok := v.List().Get(i).Message().Interface().(*endpointv3.LocalityLbEndpoints)
		if !ok {
			continue
		}
		for _, e := range group.LbEndpoints {
			all = append(all, found{endpointKey(e), group, e})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return strings.Compare(envoy.AddressWords(a.GetEndpoint().GetAddress()), envoy.AddressWords(b.GetEndpoint().GetAddress()))
	})
	for _, e := range all {
		k := it.kid("endpoint", e.key)
		k.add("", e.ProtoReflect())
		if proto.Size(e.locality.GetLocality()) > 0 {
			k.fields["locality"] = whole(e.locality.GetLocality())
		}
		if e.locality.Priority != 0 {
			k.fields["priority"] = plain(fmt.Sprint(e.locality.Priority))
		}
	}
}

// endpointKey is "NAMESPACE/NAME:PORT" of a workload, or the address.
func endpointKey(e *endpointv3.LbEndpoint) string {
	address := e.GetEndpoint().GetAddress()
	text := e.GetMetadata().GetFilterMetadata()["istio"].GetFields()["workload"].GetStringValue()
	if parts := strings.Split(text, ";"); len(parts) > 1 && parts[0] != "" {
		return fmt.Sprintf("%s/%s:%d", parts[1], parts[0], portOf(address))
	}
	return envoy.AddressWords(address)
}

func portOf(a *corev3.Address) uint32 { return a.GetSocketAddress().GetPortValue() }

// providers go by issuer (EC-65).
func providers(it *item, _ string, _ protoreflect.Message, v protoreflect.Value) {
	v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
		if p, ok := v.Message().Interface().(*jwtv3.JwtProvider); ok {
			it.kid("JWT provider", p.Issuer).add("", p.ProtoReflect())
		}
		return true
	})
}

// requirements name issuers in place of the providers' names.
func requirements(it *item, at string, m protoreflect.Message, v protoreflect.Value) {
	f, ok := m.Interface().(*jwtv3.JwtAuthentication)
	if !ok {
		return
	}
	var pairs []string
	for name, p := range f.Providers {
		quoted, err := json.Marshal(p.Issuer)
		if err != nil {
			continue
		}
		pairs = append(pairs, fmt.Sprintf("%q", name), string(quoted))
	}
	replacer := strings.NewReplacer(pairs...)
	var texts []string
	for i := range v.List().Len() {
		texts = append(texts, replacer.Replace(whole(v.List().Get(i).Message().Interface()).shown))
	}
	it.fields[at] = plain(strings.Join(texts, ", "))
}

// keySet shows which keys there are, not the keys: one may be secret.
func keySet(it *item, at string, s *corev3.DataSource) {
	it.fields[at] = field{envoy.KeySetWords(s), bytesOf(s)}
}
