package envoy

import (
	"math"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"
)

// action starts one with its time limit; none is for ever (EC-112).
func (b *hostBuilder) action(timeout *durationpb.Duration) *routev3.RouteAction {
	if timeout == nil {
		timeout = durationpb.New(0)
	}
	return &routev3.RouteAction{
		Timeout:        timeout,
		MaxGrpcTimeout: timeout, // istiod writes the older field
	}
}

// forward leads requests to the destinations of a route.
func (b *hostBuilder) forward(route *routev3.Route, h *networking.HTTPRoute, authority string) {
	action := b.action(h.Timeout)
	route.Action = &routev3.Route_Route{Route: action}
	if rewrite := h.Rewrite; rewrite != nil {
		if regex := rewrite.UriRegexRewrite; regex != nil {
			action.RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: regex.Match}, Substitution: regex.Rewrite}
		} else {
			action.PrefixRewrite = rewrite.Uri
		}
		if rewrite.Authority != "" {
			authority = rewrite.Authority
		}
	}
	if authority != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: authority}
	}
	b.mirror(action, h)
	hashed := false
	if len(h.Route) == 1 {
		hashed = b.single(route, action, h.Route[0])
	} else {
		b.weighted(action, h.Route)
	}
	policy := h.Retries
	if policy == nil {
		policy = b.snapshot.Config.GetDefaultHttpRetryPolicy()
	}
	action.RetryPolicy = retries(policy, hashed)
}

// cluster is where a destination leads.
func (b *hostBuilder) cluster(d *networking.Destination) string {
	return destinationCluster(d, b.registry[d.GetHost()], b.port)
}

// single is the only destination of a route.
func (b *hostBuilder) single(route *routev3.Route, action *routev3.RouteAction, d *networking.HTTPRouteDestination) (hashed bool) {
	action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: b.cluster(d.Destination)}
	changes := headerChanges(d.Headers)
	route.RequestHeadersToAdd = append(route.RequestHeadersToAdd, changes.addToRequest...)
	route.RequestHeadersToRemove = append(route.RequestHeadersToRemove, changes.takeFromRequest...)
	route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, changes.addToResponse...)
	route.ResponseHeadersToRemove = append(route.ResponseHeadersToRemove, changes.takeFromResponse...)
	if changes.authority != "" && action.HostRewriteSpecifier == nil {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: changes.authority}
	}
	return b.balance(action, d)
}

// balance adds by what requests to a destination are balanced.
func (b *hostBuilder) balance(action *routev3.RouteAction, d *networking.HTTPRouteDestination) (hashed bool) {
	hash := b.destinationHash(d.Destination)
	if p := hashPolicy(hash); p != nil {
		action.HashPolicy = append(action.HashPolicy, p)
	}
	return hash != nil
}

// weighted are several destinations; those without weight are left out.
func (b *hostBuilder) weighted(action *routev3.RouteAction, destinations []*networking.HTTPRouteDestination) {
	all := &routev3.WeightedCluster{}
	for _, d := range destinations {
		if d.Weight == 0 {
			continue
		}
		changes := headerChanges(d.Headers)
		c := &routev3.WeightedCluster_ClusterWeight{
			Name: b.cluster(d.Destination), Weight: wrapperspb.UInt32(uint32(d.Weight)), //nolint:gosec // a weight
			RequestHeadersToAdd: changes.addToRequest, RequestHeadersToRemove: changes.takeFromRequest,
			ResponseHeadersToAdd: changes.addToResponse, ResponseHeadersToRemove: changes.takeFromResponse,
		}
		if changes.authority != "" {
			c.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: changes.authority}
		}
		all.Clusters = append(all.Clusters, c)
		b.balance(action, d)
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: all}
	if len(all.Clusters) == 0 {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: unknownService}
	}
}

// mirror sends copies of requests elsewhere too.
func (b *hostBuilder) mirror(action *routev3.RouteAction, h *networking.HTTPRoute) {
	add := func(d *networking.Destination, share *typev3.FractionalPercent) {
		if d == nil || share == nil {
			return
		}
		action.RequestMirrorPolicies = append(action.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster: b.cluster(d), RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: share}, TraceSampled: wrapperspb.Bool(false),
		})
	}
	var share *networking.Percent
	switch old := h.GetMirrorPercent(); { // manifests still have it
	case h.MirrorPercentage != nil:
		share = h.MirrorPercentage
		add(h.Mirror, mirrored(share))
	case old != nil && old.Value == 0:
	case old != nil:
		add(h.Mirror, percent(old.Value))
	default:
		add(h.Mirror, mirrored(nil))
	}
	for _, m := range h.Mirrors {
		add(m.Destination, mirrored(m.Percentage))
	}
}

// mirrored is the share of requests that is copied: all by default, nil for
// none.
func mirrored(p *networking.Percent) *typev3.FractionalPercent {
	switch {
	case p == nil:
		return percent(100)
	case p.Value > 0:
		return fraction(p)
	}
	return nil
}

func percent(n uint32) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{Numerator: n, Denominator: typev3.FractionalPercent_HUNDRED}
}

// fraction is a percentage of which millionths count.
func fraction(p *networking.Percent) *typev3.FractionalPercent {
	const perPercent = 10_000
	n := math.Min(math.Max(p.GetValue()*perPercent, 0), math.MaxUint32)
	return &typev3.FractionalPercent{Numerator: uint32(n), Denominator: typev3.FractionalPercent_MILLION}
}

// redirect answers with another place. Ports that go without saying are not
// said.
func redirect(r *networking.HTTPRedirect, port uint32) *routev3.Route_Redirect {
	action := &routev3.RedirectAction{HostRedirect: r.Authority, PathRewriteSpecifier: &routev3.RedirectAction_PathRedirect{PathRedirect: r.Uri}}
	if r.PrefixRewrite != "" {
		action.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: r.PrefixRewrite}
	}
	if r.Scheme != "" {
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch to := r.RedirectPort.(type) {
	case *networking.HTTPRedirect_Port:
		action.PortRedirect = to.Port
	case *networking.HTTPRedirect_DerivePort:
		if to.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT {
			action.PortRedirect = port
		}
	}
	plain := r.Scheme == "" || r.Scheme == "http"
	if plain && action.PortRedirect == 80 || r.Scheme == "https" && action.PortRedirect == 443 {
		action.PortRedirect = 0
	}
	action.ResponseCode = map[uint32]routev3.RedirectAction_RedirectResponseCode{
		302: routev3.RedirectAction_FOUND, 303: routev3.RedirectAction_SEE_OTHER,
		307: routev3.RedirectAction_TEMPORARY_REDIRECT, 308: routev3.RedirectAction_PERMANENT_REDIRECT,
	}[r.RedirectCode]
	return &routev3.Route_Redirect{Redirect: action}
}

func directResponse(d *networking.HTTPDirectResponse) *routev3.Route_DirectResponse {
	action := &routev3.DirectResponseAction{Status: d.Status}
	switch body := d.GetBody().GetSpecifier().(type) {
	case *networking.HTTPBody_String_:
		action.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: body.String_}}
	case *networking.HTTPBody_Bytes:
		action.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: body.Bytes}}
	}
	return &routev3.Route_DirectResponse{DirectResponse: action}
}

// changedHeaders is what a route does to headers.
type changedHeaders struct {
	addToRequest, addToResponse       []*corev3.HeaderValueOption
	takeFromRequest, takeFromResponse []string
	authority                         string // the new host; "" for none
}

func headerChanges(h *networking.Headers) changedHeaders {
	request, response := h.GetRequest(), h.GetResponse()
	c := changedHeaders{
		addToRequest:    append(headerOptions(request.GetSet(), overwrite), headerOptions(request.GetAdd(), appendLine)...),
		addToResponse:   append(headerOptions(response.GetSet(), overwrite), headerOptions(response.GetAdd(), appendLine)...),
		takeFromRequest: slices.DeleteFunc(slices.Clone(request.GetRemove()), isFixed), takeFromResponse: slices.DeleteFunc(slices.Clone(response.GetRemove()), isFixed),
	}
	for _, headers := range []map[string]string{request.GetAdd(), request.GetSet()} {
		for name, value := range headers {
			if strings.EqualFold(name, ":authority") || strings.EqualFold(name, "host") {
				c.authority = value
			}
		}
	}
	return c
}

const (
	overwrite  = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	appendLine = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
)

// isFixed tells a header that Envoy does not change.
func isFixed(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

func headerOptions(headers map[string]string, how corev3.HeaderValueOption_HeaderAppendAction) []*corev3.HeaderValueOption {
	var all []*corev3.HeaderValueOption
	for name, value := range headers {
		if !isFixed(name) {
			all = append(all, &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: how})
		}
	}
	slices.SortFunc(all, func(a, b *corev3.HeaderValueOption) int { return strings.Compare(a.Header.Key, b.Header.Key) })
	return all
}
