package analyze

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// codes are what rules are called: by code, in any case, or by name.
type codes struct {
	rules []Rule
	// foreign are codes that only others report; to suppress them is no mistake.
	foreign []string
}

// named is the rule of a code or name. The error names the one that is near.
func (c codes) named(name string) (Rule, error) {
	i := slices.IndexFunc(c.rules, func(r Rule) bool { return strings.EqualFold(name, r.Code) || name == r.Slug })
	if i < 0 {
		return Rule{}, fmt.Errorf("no rule %q%s", name, c.meant(name))
	}
	return c.rules[i], nil
}

// meant is the end of a message about a name that no rule has.
func (c codes) meant(name string) string {
	var known []string
	for _, r := range c.rules {
		known = append(known, r.Code, r.Slug)
	}
	if near := mesh.Nearest(name, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ": meshctl analyze --list lists them"
}

// check refuses a code, name or pattern of codes that no rule has.
func (c codes) check(pattern string) error {
	if slices.ContainsFunc(c.rules, func(r Rule) bool { return r.is(pattern) }) ||
		slices.ContainsFunc(c.foreign, func(code string) bool { return matchesCode(pattern, code) }) {
		return nil
	}
	if strings.ContainsAny(pattern, "*?[") {
		return fmt.Errorf("no rule's code is like %q: meshctl analyze --list lists them", pattern)
	}
	return fmt.Errorf("no rule %q%s", pattern, c.meant(pattern))
}

// is tells whether a code, name or pattern of codes is of this rule.
func (r Rule) is(pattern string) bool { return pattern == r.Slug || matchesCode(pattern, r.Code) }

// matchesCode matches a code with a pattern such as "MSH01*", in any case.
func matchesCode(pattern, code string) bool {
	matches, err := path.Match(strings.ToUpper(pattern), code)
	return err == nil && matches
}
