package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What follows makes parts of a Model of an Envoy configuration, which has no
// manifests behind it.

// NewRuleSet is a set of rules, which need no Policy.
func NewRuleSet(rules []Rule) *RuleSet {
	g := &group{}
	for i := range rules {
		g.rules = append(g.rules, &rules[i])
	}
	g.finish()
	return newRuleSet([]*group{g})
}

// RegexMatch matches texts that a regular expression fits as a whole. It fails
// for one that RE2 does not know.
func RegexMatch(pattern string) (StringMatch, error) {
	if pattern == ".+" {
		return StringMatch{Form: NonEmpty}, nil
	}
	compiled, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return StringMatch{}, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	return StringMatch{Form: Regex, Value: pattern, regex: compiled}, nil
}

// TemplateMatch matches paths by a template as Envoy has it, with * and **. It is
// false for one with named variables.
func TemplateMatch(template string) (_ StringMatch, ok bool) {
	if strings.ContainsAny(template, "{}") {
		return StringMatch{}, false
	}
	const deep = "\x00"
	written := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(template, "**", deep), "*", "{*}"), deep, "{**}")
	m := regexForm(templatePattern(written), templateBegin(written))
	m.Form, m.Value = Template, written
	return m, true
}

// NewRequirement asks for tokens of some providers, which need no Policy. They
// come in Envoy's order.
func NewRequirement(providers []Provider, now time.Time) *Requirement {
	all := slices.Clone(providers)
	for i := range all {
		all[i].prepare()
	}
	return &Requirement{Providers: all, now: now}
}

// Takes is the filter chain that takes a request; nil for none.
func (m *Model) Takes(r *Request) *Chain {
	e := evaluation{model: m, request: r, verdict: Verdict{Stage: Transport}}
	e.approach()
	return e.chain
}
