package policy

import (
	"fmt"
	"net/netip"
	"strings"
)

// NearMiss is a rule that does not match, and what it lacked.
type NearMiss struct {
	Rule   Cause  `json:"rule"`
	Misses []Miss `json:"misses"`
	rule   *Rule
}

// Miss is a field of a rule that does not match the request.
type Miss struct {
	Field  string   `json:"field"` // as the policy has it
	Wanted []string `json:"wanted"`
	// Negative says that none of Wanted was to be had.
	Negative bool   `json:"negative,omitempty"`
	Got      string `json:"got"`
}

// String says it in words.
func (m Miss) String() string {
	list := strings.Join(m.Wanted, ", ")
	const most = 5
	if len(m.Wanted) > most {
		list = strings.Join(m.Wanted[:most], ", ") + fmt.Sprintf(" and %d more", len(m.Wanted)-most)
	}
	if m.Negative {
		return fmt.Sprintf("%s excludes %s; the request has %s", m.Field, list, m.Got)
	}
	return fmt.Sprintf("%s wants %s; the request has %s", m.Field, list, m.Got)
}

// nearest is the rule that lacks least, the first of several; nil without
// rules.
func (s *RuleSet) nearest(f *facts) *NearMiss {
	var best *NearMiss
	for _, r := range s.Rules {
		misses := append(fewest(r.Permissions, f), fewest(r.Principals, f)...)
		if len(misses) > 0 && (best == nil || len(misses) < len(best.Misses)) {
			best = &NearMiss{Rule: r.Cause(), Misses: misses, rule: r}
		}
	}
	if best == nil || len(best.rule.Policy.Spec.Rules) == 0 {
		return nil // a policy without rules lacks nothing in particular
	}
	return best
}

// fewest are the fields in the way of the alternative with the fewest of them.
func fewest(alternatives []Expr, f *facts) []Miss {
	var best []Miss
	for i := range alternatives {
		var misses []Miss
		for j := range alternatives[i].Kids {
			kid := &alternatives[i].Kids[j]
			if kid.Field != nil && kid.judge(f) != yes {
				misses = append(misses, Miss{
					Field: kid.Field.Name, Wanted: kid.Field.Values, Negative: kid.Field.Negative, Got: f.show(kid),
				})
			}
		}
		if misses == nil {
			return nil
		}
		if best == nil || len(misses) < len(best) {
			best = misses
		}
	}
	return best
}

// show is what a request has where an expression looks.
func (f *facts) show(e *Expr) string {
	for e.Op != Is {
		switch {
		case len(e.Kids) == 0:
			return "nothing"
		case e.Op == All: // within a field, issuer and subject of a request principal
			return f.showPrincipal()
		}
		e = &e.Kids[0]
	}
	if f.unknown&setOf(e.Test.Attribute) != 0 {
		return "an address that is not known"
	}
	switch e.Test.Attribute {
	case PeerIdentity:
		return quotedOr(f.peer.identity, "no identity (no mTLS)")
	case PeerAddress:
		return showAddress(f.direct)
	case ClientAddress:
		return showAddress(f.remote)
	case LocalAddress:
		return showAddress(f.local)
	case LocalPort:
		return fmt.Sprint(f.port)
	case ServerName:
		return quotedOr(f.sni, "no server name")
	case HeaderLine:
		return quotedOr(strings.Join(f.headers.values(e.Test.Name), ", "), "none")
	case URLPath:
		return quotedOr(f.path, "no path")
	case TokenClaim:
		return f.showClaim(e.Test.Keys)
	}
	return "nothing"
}

func showAddress(a netip.Addr) string {
	if !a.IsValid() {
		return "no address"
	}
	return a.String()
}

func quotedOr(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// showPrincipal is the request principal: issuer and subject of the token.
func (f *facts) showPrincipal() string {
	if f.payload == nil {
		return "no verified token"
	}
	issuer, _ := f.payload["iss"].(string)
	subject, _ := f.payload["sub"].(string)
	return issuer + "/" + subject
}

func (f *facts) showClaim(keys []string) string {
	if f.payload == nil {
		return "no verified token"
	}
	value := f.claim(keys)
	if value == nil {
		return "no such claim"
	}
	return fmt.Sprint(value)
}
