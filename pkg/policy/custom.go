package policy

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// CustomStage is what the CUSTOM policies of one provider ask for: the
// external authorizer decides on requests that a rule matches (AP-60).
type CustomStage struct {
	Provider string
	// Denied are the rules that deny without asking anyone: the provider cannot
	// be used (AP-62), or the policy is a dry run that got in (AP-70).
	Denied *RuleSet
	// Asks are the rules whose requests the authorizer decides.
	Asks *RuleSet
	// FailOpen lets requests pass that the authorizer does not answer for;
	// otherwise they get StatusOnError.
	FailOpen      bool
	StatusOnError int
	// Unusable says why nobody can be asked; empty if somebody can.
	Unusable string
	// Authorizer is the provider as the mesh config has it; nil if it cannot be
	// used.
	Authorizer *meshconfig.MeshConfig_ExtensionProvider
}

// providerName is what istiod accepts as a provider's name (AP-63).
var providerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// badCustom ends the IDs of rules whose provider cannot be used.
const badCustom = "-deny-due-to-bad-CUSTOM-action"

// custom compiles the CUSTOM policies, by provider (AP-60..AP-66).
func (b *stageBuilder) custom() []CustomStage {
	const action = security.AuthorizationPolicy_CUSTOM
	names := map[string]bool{}
	for _, one := range b.bundles {
		for _, p := range one.policies {
			if p := p.policy; p.Spec.Action == action {
				names[p.Spec.GetProvider().GetName()] = true
			}
		}
	}
	var all []CustomStage
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p, usable := provider(b.snapshot, name)
		usable = usable && len(names) == 1
		if usable && b.tcp && !p.grpc {
			continue // it can judge requests only (AP-64)
		}
		stage := CustomStage{Provider: name, FailOpen: p.failOpen, StatusOnError: p.statusOnError}
		key := groupKey{tcp: b.tcp, action: action, provider: name}
		if usable {
			stage.Authorizer = p.extension
			stage.Asks = b.set(key)
			key.dryRun = true
		} else {
			key.unusable = true
			stage.Unusable = "the workload has CUSTOM policies of several providers, and istiod accepts one"
			if len(names) == 1 {
				stage.Unusable = unusable(b.snapshot, name)
			}
		}
		stage.Denied = b.set(key)
		all = append(all, stage)
	}
	return all
}

// authorizer is an external authorizer of the mesh config.
type authorizer struct {
	extension     *meshconfig.MeshConfig_ExtensionProvider
	grpc          bool
	failOpen      bool
	statusOnError int
}

// provider finds an external authorizer; it is false if there is none of that
// name, or it cannot be used (AP-63, AP-65).
func provider(s *mesh.Snapshot, name string) (authorizer, bool) {
	var found *meshconfig.MeshConfig_ExtensionProvider
	for _, p := range s.Config.ExtensionProviders {
		if p.Name == name {
			if found != nil {
				return authorizer{}, false
			}
			found = p
		}
	}
	if found == nil || !providerName.MatchString(name) {
		return authorizer{}, false
	}
	a := authorizer{extension: found, statusOnError: http.StatusForbidden}
	var service, status, prefix string
	var ok bool
	if p := found.GetEnvoyExtAuthzHttp(); p != nil {
		service, status, prefix, a.failOpen, ok = p.Service, p.StatusOnError, p.PathPrefix, p.FailOpen, isPort(p.Port)
		ok = ok && !slices.Contains(slices.Concat(p.IncludeRequestHeadersInCheck, p.HeadersToUpstreamOnAllow, p.HeadersToDownstreamOnDeny, p.HeadersToDownstreamOnAllow), "*")
	} else if p := found.GetEnvoyExtAuthzGrpc(); p != nil {
		service, status, a.failOpen, a.grpc, ok = p.Service, p.StatusOnError, p.FailOpen, true, isPort(p.Port)
	}
	if status != "" {
		code, err := strconv.Atoi(status)
		if err != nil || http.StatusText(code) == "" {
			return a, false
		}
		a.statusOnError = code
	}
	return a, ok && (prefix == "" || strings.HasPrefix(prefix, "/")) && serviceExists(s, service)
}

func isPort(n uint32) bool { return n >= 1 && n <= 65535 }

// serviceExists looks up a host, or "namespace/host". A host alone must be of
// one namespace only.
func serviceExists(s *mesh.Snapshot, host string) bool {
	if ns, host, qualified := strings.Cut(host, "/"); qualified {
		return slices.ContainsFunc(s.ServicesOf(host), func(v *mesh.Service) bool { return v.Namespace == ns })
	}
	found := s.ServicesOf(host)
	return len(found) > 0 && !slices.ContainsFunc(found, func(v *mesh.Service) bool { return v.Namespace != found[0].Namespace })
}
