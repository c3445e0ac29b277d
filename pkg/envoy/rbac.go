package envoy

import (
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/policy"
)

// Names of the filters that carry policy (section 6 of the policy reference).
const (
	httpRBAC = "envoy.filters.http.rbac"
	tcpRBAC  = "envoy.filters.network.rbac"
)

// Prefixes of the metadata that shadow rules leave (CF-3, AP-69).
const (
	shadowAllow  = "istio_dry_run_allow_"
	shadowDeny   = "istio_dry_run_deny_"
	shadowCustom = "istio_ext_authz_"
)

// rbacRules is the content of an RBAC filter, of requests or of byte streams.
type rbacRules struct{ rules, shadow *rbacv3.RBAC }

// stageRules are the rules of AUDIT, DENY or ALLOW; nil if no policy has the
// action (CF-2).
func stageRules(s *policy.Stage, action rbacv3.RBAC_Action) *rbacRules {
	if s == nil {
		return nil
	}
	return &rbacRules{ruleSet(s.Enforced, action), ruleSet(s.Shadow, action)}
}

// ruleSet renders rules; nil for none.
func ruleSet(s *policy.RuleSet, action rbacv3.RBAC_Action) *rbacv3.RBAC {
	if s == nil {
		return nil
	}
	r := &rbacv3.RBAC{Action: action, Policies: map[string]*rbacv3.Policy{}}
	for i := range s.Rules {
		r.Policies[s.Rules[i].ID] = rule(s.Rules[i])
	}
	return r
}

// shadowPrefix follows the action of the shadow rules. Without any it is that
// of ALLOW, whatever the filter's action (CF-3).
func (r *rbacRules) shadowPrefix() string {
	if r.shadow.GetAction() == rbacv3.RBAC_DENY {
		return shadowDeny
	}
	if r.shadow.GetAction() == rbacv3.RBAC_LOG {
		return ""
	}
	return shadowAllow
}

// http and tcp wrap the rules for their chains.
func (r *rbacRules) http(prefix string) *rbachttp.RBAC {
	return &rbachttp.RBAC{Rules: r.rules, ShadowRules: r.shadow, ShadowRulesStatPrefix: prefix}
}

func (r *rbacRules) tcp(prefix string) *rbactcp.RBAC {
	return &rbactcp.RBAC{Rules: r.rules, ShadowRules: r.shadow, ShadowRulesStatPrefix: prefix, StatPrefix: "tcp."}
}

// message is the filter's configuration.
func (r *rbacRules) message(http bool, prefix string) proto.Message {
	if http {
		return r.http(prefix)
	}
	return r.tcp(prefix)
}

// rule renders one rule: a permission for each "to", a principal for each
// "from" (CF-4).
func rule(r *policy.Rule) *rbacv3.Policy {
	p := &rbacv3.Policy{}
	for i := range r.Permissions {
		p.Permissions = append(p.Permissions, permission(&r.Permissions[i]))
	}
	for i := range r.Principals {
		p.Principals = append(p.Principals, principal(&r.Principals[i]))
	}
	return p
}

// permission renders one alternative of a rule. One that never matches stands
// without a conjunction around it (CF-6).
func permission(e *policy.Expr) *rbacv3.Permission {
	if e.Op == policy.Not {
		return permissionNode(e)
	}
	and := &rbacv3.Permission_Set{}
	switch e.Op {
	case policy.All:
		for i := range e.Kids {
			and.Rules = append(and.Rules, permissionNode(&e.Kids[i]))
		}
	default:
		and.Rules = []*rbacv3.Permission{permissionNode(e)}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: and}}
}

func permissionNode(e *policy.Expr) *rbacv3.Permission {
	switch e.Op {
	case policy.Any:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
	case policy.Not:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: permissionNode(&e.Kids[0])}}
	case policy.Is:
		return permissionTest(&e.Test)
	}
	if value, ok := oneMetadata(e); ok {
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Metadata{Metadata: value}}
	}
	set := &rbacv3.Permission_Set{}
	for i := range e.Kids {
		set.Rules = append(set.Rules, permissionNode(&e.Kids[i]))
	}
	if e.Op == policy.All {
		return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: set}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: set}}
}

// principal is permission's twin on the other side of a rule.
func principal(e *policy.Expr) *rbacv3.Principal {
	if e.Op == policy.Not {
		return principalNode(e)
	}
	and := &rbacv3.Principal_Set{}
	switch e.Op {
	case policy.All:
		for i := range e.Kids {
			and.Ids = append(and.Ids, principalNode(&e.Kids[i]))
		}
	default:
		and.Ids = []*rbacv3.Principal{principalNode(e)}
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: and}}
}

func principalNode(e *policy.Expr) *rbacv3.Principal {
	switch e.Op {
	case policy.Any:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Any{Any: true}}
	case policy.Not:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: principalNode(&e.Kids[0])}}
	case policy.Is:
		return principalTest(&e.Test)
	}
	if value, ok := oneMetadata(e); ok {
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Metadata{Metadata: value}}
	}
	if e.Op == policy.One && len(e.Kids) == 1 && e.Kids[0].Op == policy.All {
		return principalNode(&e.Kids[0]) // a single request principal stands bare (CF-4)
	}
	set := &rbacv3.Principal_Set{}
	for i := range e.Kids {
		set.Ids = append(set.Ids, principalNode(&e.Kids[i]))
	}
	if e.Op == policy.All {
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: set}}
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_OrIds{OrIds: set}}
}
