package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// compiler turns policies into the rules of one kind of filter chain.
type compiler struct {
	domains []string // the mesh's trust domain and its aliases
	tcp     bool
}

const dryRunAnnotation = "istio.io/dry-run"

// dryRun tells whether a policy only shows what it would do (AP-67).
func dryRun(p *mesh.AuthorizationPolicy) bool {
	dry, err := strconv.ParseBool(p.Annotations[dryRunAnnotation])
	return err == nil && dry
}

// rules compiles a policy's rules; prefix and suffix go around their IDs. A
// policy without rules has one that never matches (AP-10).
func (c *compiler) rules(p *mesh.AuthorizationPolicy, prefix, suffix string) []Rule {
	id := func(i int) string {
		return fmt.Sprintf("%sns[%s]-policy[%s]-rule[%d]%s", prefix, p.Namespace, p.Name, i, suffix)
	}
	if len(p.Spec.Rules) == 0 {
		return []Rule{{ID: id(0), Policy: p, Permissions: []Expr{never()}, Principals: []Expr{never()}}}
	}
	var rules []Rule
	for i, r := range p.Spec.Rules {
		b := &ruleBuilder{compiler: c, namespace: p.Namespace, strict: p.Spec.Action == security.AuthorizationPolicy_ALLOW}
		if rule, ok := b.build(r); ok {
			rule.ID, rule.Policy, rule.Index = id(i), p, i
			rules = append(rules, rule)
		}
	}
	return rules
}

// ruleBuilder compiles one rule.
type ruleBuilder struct {
	*compiler
	namespace string // of the policy
	strict    bool   // a value that cannot be compiled drops the rule, else itself (AP-58)
}

// build is false for a rule that is dropped.
func (b *ruleBuilder) build(r *security.Rule) (Rule, bool) {
	var rule Rule
	if r == nil {
		return rule, false
	}
	permissionWhen, principalWhen, ok := b.conditions(r.When)
	if !ok {
		return rule, false
	}
	from, to := r.From, r.To
	if len(from) == 0 {
		from = []*security.Rule_From{nil}
	}
	if len(to) == 0 {
		to = []*security.Rule_To{nil}
	}
	for i, t := range to {
		e, ok := b.all(append(b.operationFields(i, t.GetOperation()), permissionWhen...))
		if !ok {
			return rule, false
		}
		rule.Permissions = append(rule.Permissions, e)
	}
	for i, f := range from {
		e, ok := b.all(append(b.sourceFields(i, f.GetSource()), principalWhen...))
		if !ok {
			return rule, false
		}
		rule.Principals = append(rule.Principals, e)
	}
	return rule, true
}

// field is a field or condition: some of its values match, and none of its
// negative values does (AP-16).
type field struct {
	name, notName     string   // as the policy has them
	path              []string // that leads to them, within the rule
	values, notValues []string
	generate          generator
}

// operationFields are the fields of an entry of "to".
func (b *ruleBuilder) operationFields(at int, o *security.Operation) []field {
	path := []string{"to", strconv.Itoa(at), "operation"}
	return []field{
		{"hosts", "notHosts", path, o.GetHosts(), o.GetNotHosts(), b.httpOnly(header(":authority", true))},
		{"methods", "notMethods", path, o.GetMethods(), o.GetNotMethods(), b.httpOnly(header(":method", false))},
		{"paths", "notPaths", path, o.GetPaths(), o.GetNotPaths(), b.httpOnly(pathMatch)},
		{"ports", "notPorts", path, o.GetPorts(), o.GetNotPorts(), port},
	}
}

// sourceFields are the fields of an entry of "from".
func (b *ruleBuilder) sourceFields(at int, s *security.Source) []field {
	path := []string{"from", strconv.Itoa(at), "source"}
	return []field{
		{"principals", "notPrincipals", path, b.principals(s.GetPrincipals()), b.principals(s.GetNotPrincipals()), principal},
		{"requestPrincipals", "notRequestPrincipals", path, s.GetRequestPrincipals(), s.GetNotRequestPrincipals(), b.httpOnly(requestPrincipal)},
		{"serviceAccounts", "notServiceAccounts", path, s.GetServiceAccounts(), s.GetNotServiceAccounts(), serviceAccount(b.namespace)},
		{"trustDomains", "notTrustDomains", path, b.trustDomains(s.GetTrustDomains()), b.trustDomains(s.GetNotTrustDomains()), trustDomain},
		{"namespaces", "notNamespaces", path, s.GetNamespaces(), s.GetNotNamespaces(), namespace},
		{"remoteIpBlocks", "notRemoteIpBlocks", path, s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks(), block(ClientAddress)},
		{"ipBlocks", "notIpBlocks", path, s.GetIpBlocks(), s.GetNotIpBlocks(), block(PeerAddress)},
	}
}

// conditions sorts the conditions of a rule by side (AP-18). It is false for
// a condition that istiod does not know, which drops the rule (AP-20).
func (b *ruleBuilder) conditions(when []*security.Condition) (permission, principal []field, ok bool) {
	for i, w := range when {
		f, onPermission, ok := b.condition(w)
		if !ok {
			return nil, nil, false
		}
		f.name, f.notName = w.GetKey(), w.GetKey()
		f.path = []string{"when", strconv.Itoa(i)}
		if onPermission {
			permission = append(permission, f)
		} else {
			principal = append(principal, f)
		}
	}
	return permission, principal, true
}

// condition finds the generator of a condition (section 1.6, AP-54).
func (b *ruleBuilder) condition(w *security.Condition) (f field, permission, ok bool) {
	key := w.GetKey()
	f = field{values: w.GetValues(), notValues: w.GetNotValues()}
	switch key {
	case "source.ip":
		f.generate = block(PeerAddress)
	case "remote.ip":
		f.generate = block(ClientAddress)
	case "source.namespace":
		f.generate = namespace
	case "source.principal":
		f = field{values: b.principals(f.values), notValues: b.principals(f.notValues), generate: principal}
	case "source.serviceAccount":
		f.generate = serviceAccount(b.namespace)
	case "source.trustDomain":
		f = field{values: b.trustDomains(f.values), notValues: b.trustDomains(f.notValues), generate: trustDomain}
	case "request.auth.principal":
		f.generate = b.httpOnly(requestPrincipal)
	case "request.auth.audiences":
		f.generate = b.httpOnly(claim("aud"))
	case "request.auth.presenter":
		f.generate = b.httpOnly(claim("azp"))
	case "destination.ip":
		f.generate = block(LocalAddress)
		return f, true, true
	case "destination.port":
		f.generate = port
		return f, true, true
	case "connection.sni":
		f.generate = sni
		return f, true, true
	default:
		return b.keyedCondition(key, f)
	}
	return f, false, true
}

// keyedCondition handles the conditions that name something in brackets.
func (b *ruleBuilder) keyedCondition(key string, f field) (_ field, permission, ok bool) {
	fail := func(err error) generator { return func(string) (Expr, error) { return Expr{}, err } }
	switch {
	case strings.HasPrefix(key, "request.headers"):
		name, err := bracketed(strings.TrimPrefix(key, "request.headers"))
		f.generate = b.httpOnly(header(name, false))
		if err != nil {
			f.generate = fail(err)
		}
		return f, false, true
	case strings.HasPrefix(key, "request.auth.claims"):
		keys, err := claimKeys(key)
		f.generate = b.httpOnly(claim(keys...))
		if err != nil {
			f.generate = fail(err)
		}
		return f, false, true
	case strings.HasPrefix(key, "experimental.envoy.filters."):
		generate, err := metadata(key)
		if f.generate = generate; err != nil {
			f.generate = fail(err)
		}
		return f, true, true
	}
	return f, false, false
}

// all is the conjunction of fields; it is false if a value of a strict rule
// cannot be compiled.
func (b *ruleBuilder) all(fields []field) (Expr, bool) {
	var kids []Expr
	for _, f := range fields {
		some, ok := b.some(f.values, f.generate)
		if !ok {
			return Expr{}, false
		}
		none, ok := b.some(f.notValues, f.generate)
		if !ok {
			return Expr{}, false
		}
		if some != nil {
			some.Field = &Field{Name: f.name, Path: f.path, Values: f.values}
			kids = append(kids, *some)
		}
		if none != nil {
			e := not(*none)
			e.Field = &Field{Name: f.notName, Path: f.path, Values: f.notValues, Negative: true}
			kids = append(kids, e)
		}
	}
	if kids == nil {
		return Expr{Op: Any}, true
	}
	return Expr{Op: All, Kids: kids}, true
}

// some is the disjunction of values, nil without any.
func (b *ruleBuilder) some(values []string, generate generator) (*Expr, bool) {
	var kids []Expr
	for _, v := range values {
		e, err := generate(v)
		if err != nil && b.strict {
			return nil, false
		}
		if err == nil {
			kids = append(kids, e)
		}
	}
	if kids == nil {
		return nil, true
	}
	return &Expr{Op: One, Kids: kids}, true
}

// principals repeats identities of the mesh's trust domains for each of them
// (AP-72..AP-76).
func (c *compiler) principals(values []string) []string {
	var expanded []string
	add := func(v string) {
		if !slices.Contains(expanded, v) {
			expanded = append(expanded, v)
		}
	}
	for _, v := range values {
		parts := strings.Split(v, "/")
		if len(parts) != 5 || parts[0] == "*" {
			add(v)
			continue
		}
		domain, rest := parts[0], v[len(parts[0]):]
		if domain != "cluster.local" && !slices.ContainsFunc(c.domains, func(d string) bool { return sameDomain(domain, d) }) {
			add(v)
			continue
		}
		for _, d := range c.domains {
			if strings.HasPrefix(domain, "*") && sameDomain(domain, d) {
				add(v) // the wildcard covers it already
			} else {
				add(d + rest)
			}
		}
	}
	return expanded
}

// sameDomain compares trust domains, either of which may be a wildcard.
func sameDomain(a, b string) bool {
	covers := func(pattern, s string) bool {
		return strings.HasPrefix(pattern, "*") && strings.HasSuffix(s, pattern[1:]) ||
			strings.HasSuffix(pattern, "*") && strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return a == b || covers(a, b) || covers(b, a)
}

// trustDomains repeats one of the mesh's trust domains for each of them
// (AP-77).
func (c *compiler) trustDomains(values []string) []string {
	var expanded []string
	for _, v := range values {
		if !slices.Contains(c.domains, v) {
			expanded = append(expanded, v)
			continue
		}
		expanded = append(expanded, c.domains...)
	}
	return expanded
}
