package main

import (
	"fmt"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// form is a kind of everyday rules.
type form string

const (
	halfNamePeers     form = "half of which name a peer"
	allNamePeers      form = "all of which name a peer"
	severalNamespaces form = "which name a namespace"
)

// rule writes the rule of a number for both.
func (f form) rule(i int) (ours, theirs string) {
	who, principal, when := fmt.Sprintf("from: [{source: {principals: [cluster.local/ns/shop/sa/client-%d]}}], ", i), fmt.Sprintf("principal == Account::%q", account(i)), ""
	switch {
	case f == halfNamePeers && i%2 == 0:
		who, principal = "", "principal"
	case f == severalNamespaces:
		who, principal, when = fmt.Sprintf("from: [{source: {namespaces: [team-%d, shop]}}], ", i), "principal", fmt.Sprintf(`(context.namespace == "team-%d" || context.namespace == "shop") && `, i)
	}
	ours = fmt.Sprintf("  - {%sto: [{operation: {methods: [GET], paths: [/items/%d/*]}}]}\n", who, i)
	theirs = fmt.Sprintf("permit (%s, action == Action::\"GET\", resource) when { %scontext.path like \"/items/%d/*\" };\n", principal, when, i)
	return ours, theirs
}

// account is the SPIFFE ID of a client.
func account(i int) string { return fmt.Sprintf("spiffe://cluster.local/ns/shop/sa/client-%d", i) }

const workload = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec: {selector: {app: app}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: shop}
spec:
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: app:1}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: many, namespace: shop}
spec:
  rules:
`

// pair are the same policies for both.
type pair struct {
	n        int
	model    *policy.Model
	policies *cedar.PolicySet
}

func newPair(f form, n int) (*pair, error) {
	var ours, theirs strings.Builder
	ours.WriteString(workload)
	for i := range n {
		a, b := f.rule(i)
		ours.WriteString(a)
		theirs.WriteString(b)
	}
	stream, err := manifest.Read("policies.yaml", []byte(ours.String()))
	if err != nil {
		return nil, err
	}
	snapshot, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		return nil, err
	}
	policies, err := cedar.NewPolicySetFromBytes("policies.cedar", []byte(theirs.String()))
	if err != nil {
		return nil, err
	}
	return &pair{n, policy.Compile(snapshot, snapshot.Workload("shop", "app")), policies}, nil
}

// request is one for both.
type request struct {
	name, identity, method, path string
}

func (r request) ours() *policy.Request {
	return &policy.Request{
		To:   policy.Destination{Namespace: "shop", Workload: "app", Port: 8080, IP: "10.0.0.9"},
		From: policy.Client{Identity: &r.identity, IP: "10.0.0.1", ALPN: []string{"istio-http/1.1", "istio", "http/1.1"}},
		HTTP: &policy.HTTP{Method: r.method, Path: r.path, Authority: "app.shop"},
	}
}

func (r request) theirs() cedar.Request {
	namespace, _, _ := strings.Cut(strings.TrimPrefix(r.identity, "spiffe://cluster.local/ns/"), "/")
	return cedar.Request{
		Principal: cedar.NewEntityUID("Account", cedar.String(r.identity)), Action: cedar.NewEntityUID("Action", cedar.String(r.method)),
		Resource: cedar.NewEntityUID("Workload", "shop/app"),
		Context:  cedar.NewRecord(cedar.RecordMap{"path": cedar.String(r.path), "namespace": cedar.String(namespace)}),
	}
}

// timed are the requests that are timed: one that only the last rule matches,
// and one that none does.
func (p *pair) timed() []request {
	last := fmt.Sprintf("/items/%d/x", p.n-1)
	return []request{{"the last matches", account(p.n - 1), "GET", last}, {"none matches", account(p.n - 1), "GET", "/others"}}
}

// agree compares decisions, and the rules that make them, on requests that meet
// every rule, and every field of it alone.
func (p *pair) agree() (int, error) {
	compared := 0
	for i := range p.n + 1 {
		path := fmt.Sprintf("/items/%d/x", i)
		for _, r := range []request{
			{"", account(i), "GET", path},
			{"", account(i), "POST", path},
			{"", account(i + 1), "GET", path},
			{"", account(i), "GET", fmt.Sprintf("/items/%d", i)},
			{"", fmt.Sprintf("spiffe://cluster.local/ns/team-%d/sa/client-%d", i, i), "GET", path},
			{"", fmt.Sprintf("spiffe://cluster.local/ns/team-%d/sa/client-%d", i+1, i), "GET", path},
		} {
			if err := p.same(r); err != nil {
				return compared, err
			}
			compared++
		}
	}
	return compared, nil
}

func (p *pair) same(r request) error {
	prepared, ok := p.model.Prepare(r.ours())
	if !ok {
		return fmt.Errorf("%+v does not get to the rules", r)
	}
	outcome, rule := prepared.Decide()
	whole := p.model.Evaluate(r.ours())
	decision, why := cedar.Authorize(p.policies, nil, r.theirs())
	if theirs := decisionOf(decision); outcome != theirs || whole.Outcome != theirs {
		return fmt.Errorf("%+v: decided %s, evaluated %s, by cedar-go %s", r, outcome, whole.Outcome, theirs)
	}
	if rule == nil {
		return nil
	}
	named := cedar.PolicyID(fmt.Sprintf("policy%d", rule.Index))
	if !slices.ContainsFunc(why.Reasons, func(d cedar.DiagnosticReason) bool { return d.PolicyID == named }) {
		return fmt.Errorf("%+v: by rule %d, by cedar-go %v", r, rule.Index, why.Reasons)
	}
	return nil
}
