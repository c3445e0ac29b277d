package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// errHTTPOnly says that a value means something only where requests are seen
// as HTTP (AP-57).
var errHTTPOnly = errors.New("HTTP only")

// generator makes the matchers of one value of a field or condition.
type generator func(value string) (Expr, error)

// httpOnly refuses a generator's values on TCP chains (AP-58).
func (c *compiler) httpOnly(g generator) generator {
	if c.tcp {
		return func(string) (Expr, error) { return Expr{}, errHTTPOnly }
	}
	return g
}

// principal matches "td/ns/x/sa/y", written without its scheme (AP-29).
func principal(v string) (Expr, error) {
	m := StringMatch{Form: Exact, Value: "spiffe://" + v}
	switch {
	case v == "*":
		m = StringMatch{Form: NonEmpty}
	case strings.HasPrefix(v, "*"):
		m = gappedForm("spiffe://.*"+regexp.QuoteMeta(v[1:]), gapped{texts: []string{"spiffe://", v[1:]}})
	case strings.HasSuffix(v, "*"):
		m = StringMatch{Form: Prefix, Value: "spiffe://" + v[:len(v)-1]}
	}
	return is(Test{Attribute: PeerIdentity, String: m}), nil
}

// namespace matches the namespace of an identity, stars anywhere (AP-31).
func namespace(v string) (Expr, error) {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(v), `\*`, ".*")
	texts := append(append([]string{""}, strings.Split("/ns/"+v+"/", "*")...), "")
	t := Test{Attribute: PeerIdentity, String: gappedForm(".*/ns/"+pattern+"/.*", gapped{texts: texts})}
	if isSegment(v) && !strings.Contains(v, "*") {
		t.peer = peerNeed{namespacePart, v}
	}
	return is(t), nil
}

// serviceAccount matches "ns/sa", or "sa" of the policy's own namespace
// (AP-32).
func serviceAccount(own string) generator {
	return func(v string) (Expr, error) {
		ns, account, ok := strings.Cut(v, "/")
		if !ok {
			ns, account = own, v
		}
		pattern := fmt.Sprintf("spiffe://.+/ns/%s/(.+/|)sa/%s(/.+)?", regexp.QuoteMeta(ns), regexp.QuoteMeta(account))
		begin, at := "/ns/"+ns+"/", "sa/"+account
		t := Test{Attribute: PeerIdentity, peer: peerNeed{accountPart, ns + "/" + at}, String: gappedForm(
			pattern,
			gapped{[]string{"spiffe://", begin + at}, 1},
			gapped{[]string{"spiffe://", begin + at + "/", ""}, 1},
			gapped{[]string{"spiffe://", begin, "/" + at}, 1},
			gapped{[]string{"spiffe://", begin, "/" + at + "/", ""}, 1},
		)}
		return is(t), nil
	}
}

// trustDomain matches the trust domain of an identity (AP-33).
func trustDomain(v string) (Expr, error) {
	m := StringMatch{Form: Prefix, Value: "spiffe://" + v + "/"}
	if v == "*" {
		m.Value = "spiffe://"
	} else if before, after, ok := strings.Cut(v, "*"); ok {
		m = regexForm("spiffe://"+regexp.QuoteMeta(before)+"[^/]*"+regexp.QuoteMeta(after)+"/.*", "spiffe://"+before)
	}
	return is(Test{Attribute: PeerIdentity, String: m}), nil
}

// block matches an address or a block of addresses (AP-36).
func block(a Attribute) generator {
	return func(v string) (Expr, error) {
		prefix, err := netip.ParsePrefix(v)
		if err != nil {
			address, err := netip.ParseAddr(v)
			if err != nil {
				return Expr{}, fmt.Errorf("%q is neither an address nor a block of addresses", v)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		return is(Test{Attribute: a, CIDR: prefix}), nil
	}
}

func port(v string) (Expr, error) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return Expr{}, fmt.Errorf("%q is no port", v)
	}
	return is(Test{Attribute: LocalPort, Port: uint32(n)}), nil
}

func sni(v string) (Expr, error) {
	return is(Test{Attribute: ServerName, String: stringForm(v)}), nil
}

// header matches each line of a header; a star alone wants it to be there
// (AP-23).
func header(written string, ignoreCase bool) generator {
	name := strings.ToLower(written)
	if name == "host" {
		name = ":authority" // Envoy knows no other (AP-53)
	}
	return func(v string) (Expr, error) {
		m := stringForm(v)
		if v == "*" {
			m = StringMatch{Form: Present}
		}
		if ignoreCase {
			m.IgnoreCase, m.Value = true, strings.ToLower(m.Value)
		}
		return is(Test{Attribute: HeaderLine, Name: name, Written: written, String: m}), nil
	}
}

// pathMatch matches the normalized path; {*} and {**} make it a template (AP-46,
// AP-48).
func pathMatch(v string) (Expr, error) {
	m := stringForm(v)
	if strings.Contains(v, "{*}") || strings.Contains(v, "{**}") {
		m = regexForm(templatePattern(v), templateBegin(v))
		m.Form, m.Value = Template, v
	}
	return is(Test{Attribute: URLPath, String: m}), nil
}

// templatePattern is Envoy's regular expression for a URI template (DP-55).
func templatePattern(v string) string {
	const segment = "[a-zA-Z0-9-._~%!$&'()+,;:@=*]"
	const segments = "[a-zA-Z0-9-._~%!$&'()+,;:@=*/]"
	var out strings.Builder
	for v != "" {
		switch {
		case strings.HasPrefix(v, "{**}"):
			out.WriteString(segments + "*")
			v = v[4:]
		case strings.HasPrefix(v, "{*}"):
			out.WriteString(segment + "+")
			v = v[3:]
		default:
			end := len(v)
			if i := strings.Index(v[1:], "{"); i >= 0 {
				end = i + 1
			}
			out.WriteString(regexp.QuoteMeta(v[:end]))
			v = v[end:]
		}
	}
	return out.String()
}

// EnvoyTemplate is a path template in Envoy's own words (AP-48).
func EnvoyTemplate(v string) string {
	return strings.NewReplacer("{**}", "**", "{*}", "*").Replace(v)
}

// templateBegin is the plain text before the first variable of a template.
func templateBegin(v string) string {
	begin, _, _ := strings.Cut(v, "{*}")
	begin, _, _ = strings.Cut(begin, "{**}")
	return begin
}

// requestPrincipal matches issuer and subject, which the last slash divides
// (AP-37).
func requestPrincipal(v string) (Expr, error) {
	anything := StringMatch{Form: NonEmpty}
	issuer, subject := StringMatch{Value: v}, StringMatch{}
	at := strings.LastIndex(v, "/")
	hasSlash := at >= 0
	if hasSlash {
		issuer, subject = StringMatch{Value: v[:at]}, StringMatch{Value: v[at+1:]}
	}
	switch {
	case v == "*":
		issuer, subject = anything, anything
	case strings.HasPrefix(v, "*") && hasSlash:
		if issuer.Value == "*" {
			issuer = anything
		} else {
			issuer = StringMatch{Form: Suffix, Value: issuer.Value[1:]}
		}
	case strings.HasPrefix(v, "*"):
		issuer, subject = anything, StringMatch{Form: Suffix, Value: v[1:]}
	case strings.HasSuffix(v, "*") && hasSlash:
		if subject.Value == "*" {
			subject = anything
		} else {
			subject = StringMatch{Form: Prefix, Value: strings.TrimSuffix(subject.Value, "*")}
		}
	case strings.HasSuffix(v, "*"):
		issuer, subject = StringMatch{Form: Prefix, Value: strings.TrimSuffix(v, "*")}, anything
	}
	return Expr{Op: All, Kids: []Expr{textClaim("iss", issuer), textClaim("sub", subject)}}, nil
}

// textClaim matches a claim of the token.
func textClaim(name string, m StringMatch) Expr {
	return is(Test{Attribute: TokenClaim, Keys: []string{name}, String: m, Whole: true})
}

// claim matches a claim, nested ones by several keys (AP-39).
func claim(keys ...string) generator {
	return func(v string) (Expr, error) {
		return is(Test{Attribute: TokenClaim, Keys: keys, String: stringForm(v)}), nil
	}
}

// claimKeys reads the brackets of request.auth.claims[a][b] (AP-41).
func claimKeys(key string) ([]string, error) {
	rest := strings.TrimPrefix(key, "request.auth.claims")
	var keys []string
	for at := rest; at != ""; {
		end := strings.Index(at, "]")
		if at[0] != '[' || end < 0 || strings.Contains(at[1:end], "[") {
			keys = nil
			break
		}
		keys = append(keys, at[1:end])
		at = at[end+1:]
	}
	if keys != nil {
		return keys, nil
	}
	name, err := bracketed(rest)
	return []string{name}, err
}

// bracketed is what stands between the outermost brackets.
func bracketed(s string) (string, error) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") || len(s) < 3 {
		return "", fmt.Errorf("%q: expected a name in brackets", s)
	}
	return s[1 : len(s)-1], nil
}

// metadata matches what another filter wrote; here that is nothing (AP-56). The
// key names the filter and, in brackets, what it wrote; a value in brackets is
// looked for in a list.
func metadata(key string) (generator, error) {
	filter, rest, _ := strings.Cut(strings.TrimPrefix(key, "experimental."), "[")
	name, err := bracketed("[" + rest)
	if err != nil {
		return nil, err
	}
	return func(v string) (Expr, error) {
		t := Test{Attribute: FilterMetadata, Name: filter, Keys: []string{name}}
		if t.List = strings.HasPrefix(v, "[") && strings.HasSuffix(v, "]"); t.List {
			v = v[1 : len(v)-1]
		}
		t.String = stringForm(v)
		return is(t), nil
	}, nil
}
