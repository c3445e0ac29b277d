package diff

import (
	"fmt"
	"math/rand/v2"
	"testing"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// The matchers of TestRelate: of requests each either has a letter or has not.
const letters = 4

// permission makes a tree of and, or, not.
func permission(r *rand.Rand, depth int) *rbacv3.Permission {
	kids := func() *rbacv3.Permission_Set {
		s := &rbacv3.Permission_Set{}
		for range 1 + r.IntN(3) {
			s.Rules = append(s.Rules, permission(r, depth-1))
		}
		return s
	}
	n := r.IntN(8)
	switch {
	case depth == 0 || n < 3:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: &routev3.HeaderMatcher{
			Name: fmt.Sprint(r.IntN(letters)), HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
		}}}
	case n == 3:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
	case n == 4:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: permission(r, depth-1)}}
	case n < 7:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: kids()}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: kids()}}
}

// holds evaluates a tree; bit n of has says that the request has letter n.
func holds(p *rbacv3.Permission, has int) bool {
	switch r := p.Rule.(type) {
	case *rbacv3.Permission_AndRules:
		for _, k := range r.AndRules.Rules {
			if !holds(k, has) {
				return false
			}
		}
		return true
	case *rbacv3.Permission_OrRules:
		for _, k := range r.OrRules.Rules {
			if holds(k, has) {
				return true
			}
		}
		return false
	case *rbacv3.Permission_NotRule:
		return !holds(r.NotRule, has)
	case *rbacv3.Permission_Header:
		return has>>(r.Header.Name[0]-'0')&1 == 1
	}
	return true
}

// TestRelate: whatever relate says of random rules holds for every request.
func TestRelate(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	found := map[relation]int{}
	for range 20000 {
		rules := func() map[string]*rbacv3.Policy {
			all := map[string]*rbacv3.Policy{}
			for n := range 1 + r.IntN(2) {
				all[fmt.Sprint(n)] = &rbacv3.Policy{
					Permissions: []*rbacv3.Permission{permission(r, 2)},
					Principals:  []*rbacv3.Principal{{Identifier: &rbacv3.Principal_Any{Any: true}}},
				}
			}
			return all
		}
		before, after := rules(), rules()
		match := func(all map[string]*rbacv3.Policy, has int) bool {
			for _, p := range all {
				if holds(p.Permissions[0], has) {
					return true
				}
			}
			return false
		}
		how := relate(before, after)
		found[how]++
		for has := range 1 << letters {
			was, is := match(before, has), match(after, has)
			if how == equal && was != is || how == narrower && is && !was || how == wider && was && !is {
				t.Fatalf("%d: %v, now %v: was %t, is %t", how, before, after, was, is)
			}
		}
	}
	if len(found) != 4 || found[narrower] < 100 || found[wider] < 100 || found[equal] < 100 {
		t.Errorf("%v: that says little", found)
	}
}
