package envoy

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/types/known/emptypb"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/policy"
)

// authentication renders the requirement of tokens: any provider, or all with
// what is missing allowed (EC-66, EC-68).
func authentication(r *policy.Requirement) *jwtv3.JwtAuthentication {
	f := &jwtv3.JwtAuthentication{Providers: map[string]*jwtv3.JwtProvider{}, BypassCorsPreflight: true}
	var some, all []*jwtv3.JwtRequirement
	for i := range r.Providers {
		name := fmt.Sprintf("origins-%d", i)
		f.Providers[name] = jwtProvider(&r.Providers[i])
		one := &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: name}}
		missing := &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissing{AllowMissing: &emptypb.Empty{}}}
		some = append(some, one)
		all = append(all, anyRequirement(one, missing))
	}
	requirement := all[0]
	if len(all) > 1 {
		every := &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAll{RequiresAll: &jwtv3.JwtRequirementAndList{Requirements: all}}}
		requirement = anyRequirement(append(some, every)...)
	}
	f.Rules = []*jwtv3.RequirementRule{{
		Match:           &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		RequirementType: &jwtv3.RequirementRule_Requires{Requires: requirement},
	}}
	return f
}

func anyRequirement(list ...*jwtv3.JwtRequirement) *jwtv3.JwtRequirement {
	return &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAny{RequiresAny: &jwtv3.JwtRequirementOrList{Requirements: list}}}
}

func jwtProvider(p *policy.Provider) *jwtv3.JwtProvider {
	r := p.Rule
	split := append([]string{"permission", "scope"}, r.SpaceDelimitedClaims...)
	slices.Sort(split)
	provider := &jwtv3.JwtProvider{
		Issuer: r.Issuer, Audiences: r.Audiences, Forward: r.ForwardOriginalToken, ForwardPayloadHeader: r.OutputPayloadToHeader,
		FromParams: r.FromParams, FromCookies: r.FromCookies, PayloadInMetadata: "payload",
		NormalizePayloadInMetadata: &jwtv3.JwtProvider_NormalizePayload{SpaceDelimitedClaims: slices.Compact(split)},
		JwksSourceSpecifier: &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: jwks(p)},
		}},
	}
	for _, h := range r.FromHeaders {
		provider.FromHeaders = append(provider.FromHeaders, &jwtv3.JwtHeader{Name: h.GetName(), ValuePrefix: h.GetPrefix()})
	}
	for _, c := range r.OutputClaimToHeaders {
		provider.ClaimToHeaders = append(provider.ClaimToHeaders, &jwtv3.JwtClaimToHeader{HeaderName: c.GetHeader(), ClaimName: c.GetClaim()})
	}
	return provider
}

// jwks are the keys of a provider. Those that istiod would fetch and are not
// given stand as a note of where they come from (EC-67).
func jwks(p *policy.Provider) string {
	switch {
	case p.Rule.Jwks != "":
		return p.Rule.Jwks
	case p.Keys != nil:
		return p.Keys.Text()
	}
	return unfetched(p.Rule)
}

// unfetchedMark begins what stands for keys that only istiod can fetch.
const unfetchedMark = "keys of "

func unfetched(r *security.JWTRule) string {
	if r.JwksUri != "" {
		return unfetchedMark + r.JwksUri
	}
	return unfetchedMark + "the OpenID discovery of " + r.Issuer
}
