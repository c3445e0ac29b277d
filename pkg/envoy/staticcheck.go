package envoy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	uritemplate "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
)

// checkRules finds what istiod takes and Envoy dies of: a proxy that gets such a
// rule is gone, whatever sends it (DP-57).
func checkRules(f *rbachttp.RBAC) error {
	for _, rules := range []*rbacv3.RBAC{f.Rules, f.ShadowRules} {
		for _, id := range slices.Sorted(maps.Keys(rules.GetPolicies())) {
			for _, p := range rules.Policies[id].Permissions {
				if err := checkPermission(p); err != nil {
					return fmt.Errorf("rule %s: %w", id, err)
				}
			}
		}
	}
	return nil
}

func checkPermission(p *rbacv3.Permission) error {
	inner := slices.Concat(p.GetAndRules().GetRules(), p.GetOrRules().GetRules())
	if not := p.GetNotRule(); not != nil {
		inner = append(inner, not)
	}
	for _, one := range inner {
		if err := checkPermission(one); err != nil {
			return err
		}
	}
	template := &uritemplate.UriTemplateMatchConfig{}
	if p.GetUriTemplate().GetTypedConfig().UnmarshalTo(template) != nil {
		return nil // it has none
	}
	if err := checkTemplate(template.PathTemplate); err != nil {
		return fmt.Errorf("path template %q: %w; Envoy ends itself when it reads one", template.PathTemplate, err)
	}
	return nil
}

// checkTemplate knows the templates that Envoy does not survive.
func checkTemplate(template string) error {
	rest, rooted := strings.CutPrefix(template, "/")
	switch {
	case !rooted:
		return errors.New("it does not begin with a slash")
	case strings.ContainsAny(template, "? "):
		return errors.New("it has a question mark or a blank")
	}
	segments := strings.Split(rest, "/")
	for i, s := range segments {
		if s == "" && i < len(segments)-1 {
			return errors.New("a segment is empty")
		}
	}
	if _, after, ok := strings.Cut(template, "**"); ok && strings.Contains(after, "*") {
		return errors.New("a wildcard stands behind **")
	}
	return nil
}
