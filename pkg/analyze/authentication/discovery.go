package authentication

import (
	"net/url"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// undiscovered finds rules whose keys nobody can find: without jwks and jwksUri
// they are looked for at the issuer's address (RA-19), and the issuer is none.
// An issuer that is there and empty the API refuses (V-RA-2).
func undiscovered(p *analyze.Pass) {
	for _, r := range tokenRules(p) {
		empty := emptyIssuers(r.Object)
		for i, rule := range r.Spec.JwtRules {
			path := at([]string{"spec", "jwtRules"}, i, "issuer")
			switch {
			case rule.GetIssuer() == "" && rule.GetJwksUri() != "" && empty[i]:
				p.Report(r.Object, path, "the issuer is empty, and a cluster refuses the RequestAuthentication: name it, or leave issuer out to take tokens of any issuer with these keys")
			case rule.GetIssuer() != "" && rule.GetJwks() == "" && rule.GetJwksUri() == "" && !isAddress(rule.GetIssuer()):
				p.Report(r.Object, path, "there is no jwks and no jwksUri, and the issuer %q is no address where keys can be asked for: every token of it is refused; add jwksUri, or write the issuer as its tokens do, with https://", rule.GetIssuer())
			}
		}
	}
}

// emptyIssuers are the rules with an issuer that is there and empty.
func emptyIssuers(o *mesh.Object) map[int]bool {
	var object struct {
		Spec struct {
			Rules []struct {
				Issuer *string `json:"issuer"`
			} `json:"jwtRules"`
		} `json:"spec"`
	}
	if o.Decode(&object) != nil {
		return nil // what is wrong with it is found elsewhere
	}
	empty := map[int]bool{}
	for i, r := range object.Spec.Rules {
		empty[i] = r.Issuer != nil && *r.Issuer == ""
	}
	return empty
}

func isAddress(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
