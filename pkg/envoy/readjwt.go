package envoy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/policy"
)

// requirement reads a JWT filter. It fails for one that asks for tokens in
// another way than istiod does.
func requirement(f *jwtv3.JwtAuthentication, now time.Time) (*policy.Requirement, error) {
	if len(f.Rules) != 1 || f.Rules[0].GetMatch().GetPrefix() != "/" || !f.BypassCorsPreflight || f.FilterStateRules != nil || f.StripFailureResponse {
		return nil, fmt.Errorf("asks for tokens on some requests only, or answers in a way of its own")
	}
	names, ok := providerNames(f.Rules[0].GetRequires())
	if !ok || len(names) != len(f.Providers) {
		return nil, fmt.Errorf("requires tokens in another way than any, or none")
	}
	var all []policy.Provider
	for _, name := range names {
		p := f.Providers[name]
		if p == nil {
			return nil, fmt.Errorf("has no provider %q", name)
		}
		provider, err := provider(p)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", p.Issuer, err)
		}
		all = append(all, provider)
	}
	return policy.NewRequirement(all, now), nil
}

// providerNames reads the requirement that istiod writes: any provider, or all
// with what is missing allowed (EC-68). It is false for any other.
func providerNames(r *jwtv3.JwtRequirement) ([]string, bool) {
	some := r.GetRequiresAny().GetRequirements()
	var names []string
	for _, x := range some {
		if x.GetProviderName() != "" {
			names = append(names, x.GetProviderName())
		}
	}
	var each, all []*jwtv3.JwtRequirement
	for _, name := range names {
		one := &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: name}}
		each = append(each, one)
		all = append(all, anyRequirement(one, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissing{AllowMissing: &emptypb.Empty{}}}))
	}
	switch len(names) {
	case 0:
		return nil, false
	case 1:
		return names, proto.Equal(r, all[0])
	}
	every := &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAll{RequiresAll: &jwtv3.JwtRequirementAndList{Requirements: all}}}
	return names, proto.Equal(r, anyRequirement(append(each, every)...))
}

func provider(p *jwtv3.JwtProvider) (policy.Provider, error) {
	rule := &security.JWTRule{
		Issuer: p.Issuer, Audiences: p.Audiences, ForwardOriginalToken: p.Forward, OutputPayloadToHeader: p.ForwardPayloadHeader,
		FromParams: p.FromParams, FromCookies: p.FromCookies,
	}
	for _, h := range p.FromHeaders {
		rule.FromHeaders = append(rule.FromHeaders, &security.JWTHeader{Name: h.Name, Prefix: h.ValuePrefix})
	}
	for _, c := range p.ClaimToHeaders {
		rule.OutputClaimToHeaders = append(rule.OutputClaimToHeaders, &security.ClaimToHeader{Header: c.HeaderName, Claim: c.ClaimName})
	}
	rule.SpaceDelimitedClaims = p.GetNormalizePayloadInMetadata().GetSpaceDelimitedClaims()
	usual := func(name string) bool { return slices.Contains(rule.SpaceDelimitedClaims, name) }
	rest := proto.CloneOf(p)
	rest.Issuer, rest.Audiences, rest.Forward, rest.ForwardPayloadHeader, rest.FromParams, rest.FromCookies = "", nil, false, "", nil, nil
	rest.FromHeaders, rest.ClaimToHeaders, rest.NormalizePayloadInMetadata, rest.PayloadInMetadata, rest.JwksSourceSpecifier = nil, nil, nil, "", nil
	rest.PadForwardPayloadHeader, rest.FailedStatusInMetadata, rest.HeaderInMetadata = false, "", ""
	switch {
	case proto.Size(rest) > 0:
		return policy.Provider{}, fmt.Errorf("has %s, which is not understood", rawWords(rest))
	case p.PayloadInMetadata != "payload":
		return policy.Provider{}, fmt.Errorf("writes the token's payload to %q", p.PayloadInMetadata)
	case !usual("scope") || !usual("permission"):
		return policy.Provider{}, fmt.Errorf("does not split the claims scope and permission")
	}
	known := policy.Provider{Rule: rule}
	text := p.GetLocalJwks().GetInlineString()
	switch {
	case p.GetRemoteJwks() != nil:
		rule.JwksUri = p.GetRemoteJwks().GetHttpUri().GetUri()
	case strings.HasPrefix(text, keysOf):
		if address, ok := strings.CutPrefix(text, keysOf); ok && strings.Contains(address, "://") && !strings.HasPrefix(address, "the ") {
			rule.JwksUri = address
		}
	case hidesKeys(text): // whether they verify a token cannot be told
		rule.JwksUri = NotShown
	case text != "":
		rule.Jwks = text
		known.Keys, known.KeysErr = policy.ParseKeys([]byte(text))
	}
	return known, nil
}
