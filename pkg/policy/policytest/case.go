package policytest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// testCase is a case of a document.
type testCase struct {
	name located[string]
	call call
	want expectation
	at   node
	rows []row
}

// expectation is what shall become of every request of a case.
type expectation struct {
	verdict located[string]
	by      located[reference]
	status  located[int]
}

// outcomes are the verdicts that there are.
func outcomes() []string {
	var all []string
	for _, o := range []policy.Outcome{policy.Allow, policy.Deny, policy.Unauthenticated, policy.Refused, policy.Rejected, policy.Unknown} {
		all = append(all, string(o))
	}
	return all
}

func caseFields() []field[testCase] {
	own := []field[testCase]{
		must(set("name", "What is shown, to be chosen with --run.", place(text()), func(c *testCase) *located[string] { return &c.name })),
		must(set("expect", "What shall become of the requests: allow; deny (403, or a closed connection); unauthenticated (401); refused (no connection); rejected (400, before any policy); unknown (something outside of the model decides).",
			place(word("verdict", outcomes()...)), func(c *testCase) *located[string] { return &c.want.verdict })),
		set("by", "The rule that shall decide: NAMESPACE/NAME#RULE, NAMESPACE/NAME for any rule of the policy, as Envoy writes it (ns[NAMESPACE]-policy[NAME]-rule[RULE]), or none where no ALLOW rule matches.",
			place(byKind()), func(c *testCase) *located[reference] { return &c.want.by }),
		set("httpStatus", "The HTTP status that the caller shall get.", place(whole(100, 599)), func(c *testCase) *located[int] { return &c.want.status }),
		refused[testCase]("expectTable", "write a case for each verdict: lists of callers, paths and so on still multiply within each", "tables of verdicts are not in this version"),
	}
	return append(own, callFields(func(c *testCase) *call { return &c.call })...)
}

func caseKind() kind[testCase] {
	k := object(caseFields())
	return kind[testCase]{k.schema, func(d *decoder, n node) (testCase, bool) {
		c, ok := k.read(d, n)
		c.at = n
		return c, ok
	}}
}

// reference names what decided, in the words of a test.
type reference struct {
	text              string
	namespace, policy string
	rule              int // -1 is any
	envoy             bool
}

// none is the reference for an ALLOW stage in which nothing matches.
const none = "none"

// ruleID is a rule as Envoy names it (CF-1); those of CUSTOM policies have more
// around it.
var ruleID = regexp.MustCompile(`^(?:istio-ext-authz-.*)?ns\[([^\]]+)\]-policy\[([^\]]+)\]-rule\[(\d+)\](?:-deny-due-to-bad-CUSTOM-action)?$`)

// ruleName is a rule, or a policy, as people write it.
var ruleName = regexp.MustCompile(`^([^/#\s]+)/([^/#\s]+)(?:#(\d+))?$`)

func byKind() kind[reference] {
	t := text()
	return kind[reference]{t.schema, func(d *decoder, n node) (reference, bool) {
		v, ok := t.read(d, n)
		if !ok {
			return reference{}, false
		}
		r, err := parseReference(v)
		if err != nil {
			d.fail(n, "", "%w", err)
		}
		return r, err == nil
	}}
}

func parseReference(v string) (reference, error) {
	r := reference{text: v, rule: -1}
	parts := ruleName.FindStringSubmatch(v)
	if parts == nil {
		parts = ruleID.FindStringSubmatch(v)
		r.envoy = parts != nil
	}
	switch {
	case v == none:
		return r, nil
	case parts == nil:
		return r, fmt.Errorf("%q: expected NAMESPACE/NAME#RULE, ns[NAMESPACE]-policy[NAME]-rule[RULE] or none", v)
	}
	r.namespace, r.policy = parts[1], parts[2]
	if parts[3] != "" {
		number, err := strconv.Atoi(parts[3])
		if err != nil {
			return r, fmt.Errorf("%q: there is no such rule", v)
		}
		r.rule = number
	}
	return r, nil
}

// check fails if the mesh has no such rule.
func (r *reference) check(s *mesh.Snapshot) error {
	if r.text == none {
		return nil
	}
	p, err := s.FindAuthorizationPolicy(r.namespace, r.policy)
	if err != nil {
		return err
	}
	if n := len(p.Spec.Rules); r.rule >= max(n, 1) {
		return fmt.Errorf("%s has no rule %d: %s", p, r.rule, counted(n))
	}
	return nil
}

func counted(rules int) string {
	switch rules {
	case 0:
		return "it has none"
	case 1:
		return "it has one, number 0"
	}
	return fmt.Sprintf("it has %d, numbered from 0", rules)
}

// complete checks what only the whole document can tell, and multiplies the
// cases' lists.
func (d *decoder) complete(h *header) []testCase {
	lines := map[string]int{}
	for i := range h.cases {
		c := &h.cases[i]
		if line, twice := lines[c.name.value]; twice {
			d.fail(c.name.at, "", "another case has this name, on line %d", line)
		}
		lines[c.name.value] = d.location(c.at).Line
		d.multiply(c, h.defaults)
		for j := range c.rows {
			d.checkRow(c, &c.rows[j], h)
			c.rows[j].placeCaller(c.call, h.identities)
			c.rows[j].mute = !c.call.saysHTTP()
		}
		d.checkBytes(c)
	}
	d.problems = once(d.problems)
	return h.cases
}

// once drops faults that several rows of a case have in common.
func once(problems []error) []error {
	seen := map[string]bool{}
	return slices.DeleteFunc(problems, func(err error) bool {
		text := err.Error()
		again := seen[text]
		seen[text] = true
		return again
	})
}

// maxRows limits the requests of one case.
const maxRows = 10000

// multiply makes the rows of a case, in the order of the dimensions.
func (d *decoder) multiply(c *testCase, defaults call) {
	rows := []row{{at: c.at}}
	labels := [][]string{nil}
	for _, dim := range dimensions() {
		given, ok := c.call[dim.name]
		if !ok {
			given, ok = defaults[dim.name]
		}
		if !ok {
			continue
		}
		if len(rows)*len(given.all) > maxRows {
			d.fail(c.at, "split the case", "the lists of this case multiply to more than %d requests", maxRows)
			return
		}
		var more []row
		var moreLabels [][]string
		for i, r := range rows {
			for _, one := range given.all {
				next, names := r, labels[i]
				one.set(&next)
				if given.list {
					names = append(names[:len(names):len(names)], one.label)
				}
				more, moreLabels = append(more, next), append(moreLabels, names)
			}
		}
		rows, labels = more, moreLabels
	}
	for i := range rows {
		rows[i].name = c.name.value
		if labels[i] != nil {
			rows[i].name += " [" + strings.Join(labels[i], ", ") + "]"
		}
	}
	c.rows = rows
}

// checkRow finds what a document alone can tell of a request.
func (d *decoder) checkRow(c *testCase, r *row, h *header) {
	for _, f := range []struct {
		name string
		is   located[string]
	}{{"from", r.from}, {"to", r.to}} {
		if !f.is.given() {
			d.fail(c.at, "", "%s is missing, here and in defaults", f.name)
		}
	}
	if from := r.from.value; r.from.given() && !strings.Contains(from, "/") && from != plaintextName {
		if _, known := h.identities[from]; !known {
			d.fail(r.from.at, suggest(from, append(slices.Collect(maps.Keys(h.identities)), plaintextName), "or name a workload such as deploy/web.shop, or NAMESPACE/SERVICEACCOUNT"), "unknown identity %q", from)
		}
	}
	if name := r.token.value; r.token.given() && name != noToken {
		if _, known := h.tokens[name]; !known {
			d.fail(r.token.at, suggest(name, append(slices.Collect(maps.Keys(h.tokens)), noToken), "or describe it under tokens"), "unknown token %q", name)
		}
	}
	if r.port.given() && strings.Contains(r.to.value, ":") {
		d.fail(r.port.at, "", "to has a port already: %q", r.to.value)
	}
}

// placeCaller gives the caller its identity's address, unless the case has
// another for it.
func (r *row) placeCaller(own call, identities map[string]identity) {
	if _, given := own["sourceIP"]; given {
		return
	}
	if ip := identities[r.from.value].ip; ip != "" {
		r.sourceIP.value = ip
	}
}

// saysHTTP tells whether something is said of HTTP requests.
func (c call) saysHTTP() bool {
	return slices.ContainsFunc(dimensions(), func(dim dimension) bool { return dim.http && c[dim.name].all != nil })
}

// checkBytes refuses what a case says of HTTP if it sends none.
func (d *decoder) checkBytes(c *testCase) {
	if slices.ContainsFunc(c.rows, func(r row) bool { return !r.tcp.value }) {
		return // some are HTTP
	}
	for _, dim := range dimensions() {
		if given, ok := c.call[dim.name]; ok && dim.http {
			d.fail(given.at, "", "tcp: true sends bytes that have no %s", dim.name)
		}
	}
}

func suggest(name string, known []string, otherwise string) string {
	return mesh.DidYouMean(name, known) + "; " + otherwise
}
