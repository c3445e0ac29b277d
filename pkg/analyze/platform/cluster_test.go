package platform_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
)

// hooksOf is an injector's configuration as istiod's charts write it: a webhook
// for each way to ask for injection, none of which takes what another does.
func hooksOf(name, revision string, isDefault bool) string {
	hook := func(kind, namespaces, objects string) string {
		return fmt.Sprintf("- {name: %s.sidecar-injector.istio.io, clientConfig: {url: 'https://x.example.com'}, namespaceSelector: {matchExpressions: [%s]}, objectSelector: {matchExpressions: [%s]}}\n", kind, namespaces, objects)
	}
	const (
		noLabel    = "{key: istio-injection, operator: DoesNotExist}"
		noRevision = "{key: istio.io/rev, operator: DoesNotExist}"
		notRefused = "{key: sidecar.istio.io/inject, operator: NotIn, values: ['false']}"
		asking     = "{key: sidecar.istio.io/inject, operator: In, values: ['true']}"
	)
	this := fmt.Sprintf("{key: istio.io/rev, operator: In, values: [%s]}", revision)
	text := "MutatingWebhookConfiguration " + name + "\nwebhooks:\n" +
		hook("rev.namespace", this+", "+noLabel, notRefused) + hook("rev.object", noRevision+", "+noLabel, notRefused+", "+this)
	if isDefault {
		text += hook("namespace", "{key: istio-injection, operator: In, values: [enabled]}", notRefused) + hook("object", noLabel+", "+noRevision, asking+", "+noRevision)
	}
	return text
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	bad := func(names ...string) []string {
		var all []string
		for _, name := range names {
			all = append(all, "IST0139 warning MutatingWebhookConfiguration "+name)
		}
		return all
	}
	simple := func(name, service, selector string) string {
		return fmt.Sprintf("MutatingWebhookConfiguration %s\nwebhooks: [{name: sidecar-injector.istio.io, clientConfig: {service: {name: %s, namespace: istio-system}}, namespaceSelector: {%s}}]\n---\n", name, service, selector)
	}
	const (
		enabled = "matchLabels: {istio-injection: enabled}"
		istiod  = "Service istiod istio-system\nspec: {}\n---\n"
	)
	cases{
		"an installation":                    {hooksOf("istio-sidecar-injector", "default", true), nil},
		"and a canary":                       {hooksOf("istio-sidecar-injector", "default", true) + "---\n" + hooksOf("istio-sidecar-injector-canary", "canary", false), nil},
		"two default ones":                   {hooksOf("istio-sidecar-injector", "default", true) + "---\n" + hooksOf("istio-revision-tag-default", "default", true), bad("istio-sidecar-injector", "istio-revision-tag-default")},
		"one revision twice":                 {hooksOf("a", "canary", false) + "---\n" + hooksOf("b", "canary", false), bad("a", "b")},
		"overlap":                            {istiod + simple("a", "istiod", enabled) + simple("b", "istiod", enabled), bad("a", "b")},
		"three of them":                      {istiod + simple("a", "istiod", enabled) + simple("b", "istiod", enabled) + simple("c", "istiod", "matchLabels: {istio.io/rev: c}") + simple("d", "istiod", ""), bad("a", "b", "c", "d")},
		"namespaces differ":                  {istiod + simple("a", "istiod", enabled) + simple("b", "istiod", "matchLabels: {istio-injection: disabled}"), nil},
		"a service that is not there":        {istiod + simple("a", "istoid", enabled), bad("a")},
		"one that is":                        {istiod + simple("a", "istiod", enabled), nil},
		"a control plane of other files":     {simple("a", "istiod", enabled), nil},
		"a webhook of others":                {istiod + "MutatingWebhookConfiguration x\nwebhooks: [{name: x.example.com, clientConfig: {service: {name: no, namespace: istio-system}}}]", nil},
		"a selector that cannot be read":     {istiod + simple("a", "istiod", enabled) + simple("b", "istiod", "matchExpressions: [{key: istio-injection, operator: Is}]"), nil},
		"of no webhook":                      {"MutatingWebhookConfiguration x\nwebhooks: [null]\n---\nMutatingWebhookConfiguration y", nil},
		"two webhooks of one take what both": {istiod + "MutatingWebhookConfiguration x\nwebhooks: [{name: a.istio.io, clientConfig: {url: 'https://x'}}, {name: b.istio.io, clientConfig: {url: 'https://x'}}]", nil},
	}.run(t, analyze.Input{}, "IST0139")
}

func TestControlPlaneURLs(t *testing.T) {
	t.Parallel()
	config := func(kind, name, client string) string {
		return kind + " " + name + "\nwebhooks: [{name: x.istio.io, clientConfig: " + client + "}]"
	}
	const validating, mutating = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
	tests := cases{
		"no client":                    {config(validating, "istio-validator-x", "{}"), []string{"IST0163 warning " + validating + " istio-validator-x"}},
		"an address":                   {config(mutating, "istio-sidecar-injector", "{url: 'https://192.0.2.1/inject'}"), []string{"IST0164 info " + mutating + " istio-sidecar-injector"}},
		"an address of the new kind":   {config(mutating, "istio-sidecar-injector-x", "{url: 'https://[2001:db8::1]:15017/inject'}"), []string{"IST0164 info " + mutating + " istio-sidecar-injector-x"}},
		"the default validator":        {config(validating, "istiod-default-validator", "{url: ''}"), []string{"IST0163 warning " + validating + " istiod-default-validator"}},
		"of something else":            {config(validating, "cert-manager", "{url: 'https://192.0.2.1/'}"), nil},
		"a service":                    {config(validating, "istio-validator", "{service: {name: istiod, namespace: istio-system}}"), nil},
		"two webhooks of one":          {mutating + " istio-sidecar-injector\nwebhooks: [{name: a.istio.io, clientConfig: {url: 'https://192.0.2.1/'}}, {name: b.istio.io, clientConfig: {}}]", []string{"IST0163 warning " + mutating + " istio-sidecar-injector", "IST0164 info " + mutating + " istio-sidecar-injector"}},
		"a host with a port and a dot": {config(validating, "istio-validator", "{url: 'https://istiod.example.com.:15017/validate'}"), nil},
	}
	for _, wrong := range []string{"http://istiod.example.com/x", "istiod.example.com/x", "https:///x", "https://a_b/x", "https://a b/", "https://x:port/", "' '"} {
		tests[wrong] = struct {
			text string
			want []string
		}{config(validating, "istio-validator", "{url: \""+wrong+"\"}"), []string{"IST0163 warning " + validating + " istio-validator"}}
	}
	tests.run(t, analyze.Input{}, "IST0163", "IST0164")
}

func TestEnvoyFilters(t *testing.T) {
	t.Parallel()
	one := func(priority, apply, operation, match string) string {
		return fmt.Sprintf("EnvoyFilter f shop\nspec: {%sconfigPatches: [{applyTo: %s, match: {%s}, patch: {operation: %s}}]}", priority, apply, match, operation)
	}
	const version, first = "proxy: {proxyVersion: '^1\\.2'}", "priority: -1, "
	is := func(code, severity string) []string { return []string{code + " " + severity + " EnvoyFilter shop/f"} }
	tests := cases{
		"of a version":                      {one("", "HTTP_FILTER", "INSERT_BEFORE", version), is("IST0155", "warning")},
		"of a version, first":               {one("", "HTTP_FILTER", "INSERT_FIRST", version), nil},
		"of a version, with priority":       {one(first, "HTTP_FILTER", "INSERT_BEFORE", version), nil},
		"no patch":                          {"EnvoyFilter f shop\nspec: {configPatches: [{applyTo: HTTP_FILTER, match: null, patch: null}]}", nil},
		"no patches":                        {"EnvoyFilter f shop\nspec: {}", nil},
		"what is ignored is not misordered": {one("", "CLUSTER", "REPLACE", ""), is("IST0152", "error")},
		"each patch": {
			"EnvoyFilter f shop\nspec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: REMOVE}}, {applyTo: HTTP_FILTER, patch: {operation: INSERT_AFTER}}]}",
			slices.Concat(is("IST0151", "warning"), is("IST0151", "warning")),
		},
	}
	for operations, want := range map[string][]string{
		"HTTP_FILTER INSERT_BEFORE, HTTP_FILTER INSERT_AFTER, NETWORK_FILTER REMOVE, NETWORK_FILTER REPLACE, LISTENER_FILTER INSERT_BEFORE, HTTP_ROUTE INSERT_AFTER":              is("IST0151", "warning"),
		"HTTP_FILTER INSERT_FIRST, NETWORK_FILTER ADD, HTTP_FILTER MERGE, CLUSTER ADD, CLUSTER REMOVE, VIRTUAL_HOST MERGE, FILTER_CHAIN MERGE, BOOTSTRAP MERGE, HTTP_ROUTE MERGE": nil,
		"CLUSTER REPLACE, LISTENER REPLACE, ROUTE_CONFIGURATION REPLACE, FILTER_CHAIN REPLACE":                                                                                    is("IST0152", "error"),
		"ROUTE_CONFIGURATION ADD":    is("IST0153", "error"),
		"HTTP_ROUTE ADD":             is("IST0153", "warning"),
		"ROUTE_CONFIGURATION REMOVE": is("IST0154", "error"),
		"HTTP_ROUTE REMOVE":          is("IST0154", "warning"),
		"VIRTUAL_HOST REPLACE":       nil,
	} {
		for pair := range strings.SplitSeq(operations, ", ") {
			apply, operation, _ := strings.Cut(pair, " ")
			tests[pair] = struct {
				text string
				want []string
			}{one("", apply, operation, ""), want}
			ordered := want
			if want != nil && strings.HasPrefix(want[0], "IST0151") {
				ordered = nil
			}
			tests[pair+" with priority"] = struct {
				text string
				want []string
			}{one(first, apply, operation, ""), ordered}
		}
	}
	tests.run(t, analyze.Input{}, "IST0151", "IST0152", "IST0153", "IST0154", "IST0155")
}

func TestConditions(t *testing.T) {
	t.Parallel()
	status := func(object, kind, reason, value string) string {
		return object + "\nstatus: {conditions: [{type: " + kind + ", status: '" + value + "', reason: " + reason + ", message: m}]}"
	}
	service := []string{"IST0171 warning Service shop/web"}
	policy := []string{"IST0171 warning AuthorizationPolicy shop/web"}
	cases{
		"a waypoint that is not bound": {status("Service web shop", "istio.io/WaypointBound", "NoWaypoint", "False"), service},
		"one that is":                  {status("Service web shop", "istio.io/WaypointBound", "Bound", "True"), nil},
		"not known":                    {status("Service web shop", "istio.io/WaypointBound", "Bound", "Unknown"), nil},
		"of another tool":              {status("Service web shop", "argocd.argoproj.io/Synced", "OutOfSync", "False"), nil},
		"partly invalid":               {status("AuthorizationPolicy web shop", "WaypointAccepted", "PartiallyInvalid", "True"), policy},
		"good when false":              {status("KubernetesGateway web shop", "Conflicted", "NoConflicts", "False"), nil},
		"bad when true":                {status("KubernetesGateway web shop", "Conflicted", "HostnameConflict", "True"), []string{"IST0171 warning Gateway shop/web"}},
		"of a parent":                  {"HTTPRoute web shop\nstatus: {parents: [{conditions: [{type: ResolvedRefs, status: 'False', reason: BackendNotFound, message: m}]}]}", []string{"IST0171 warning HTTPRoute shop/web"}},
		"of a listener":                {"KubernetesGateway web shop\nstatus: {listeners: [{name: http, conditions: [{type: Programmed, status: 'False', reason: Invalid, message: m}]}]}", []string{"IST0171 warning Gateway shop/web"}},
		"of a Deployment":              {status("Deployment web shop\nspec: {template: {spec: {}}}", "Available", "NoReplicas", "False"), nil},
		"no status":                    {"Service web shop\nspec: {}", nil},
	}.run(t, analyze.Input{}, "IST0171")
}

func TestFetchedKeys(t *testing.T) {
	t.Parallel()
	const (
		fetched  = "RequestAuthentication a shop\nspec: {jwtRules: [{issuer: a, jwks: '{}'}, {issuer: b, jwksUri: 'https://x'}]}\n---\n"
		searched = "RequestAuthentication a shop\nspec: {jwtRules: [{issuer: 'https://x'}]}\n---\n"
		inline   = "RequestAuthentication a shop\nspec: {jwtRules: [{issuer: a, jwks: '{}'}]}\n---\n"
	)
	istiod := func(name, env string) string {
		return "Deployment " + name + " istio-system\nspec: {template: {metadata: {labels: {app: istiod}}, spec: {containers: [{name: other}, {name: discovery, env: [" + env + "]}]}}}"
	}
	open := []string{"IST0175 warning Deployment istio-system/istiod"}
	cases{
		"unrestricted":             {fetched + istiod("istiod", ""), open},
		"by discovery":             {searched + istiod("istiod", ""), open},
		"an empty list":            {fetched + istiod("istiod", "{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: ''}"), open},
		"a list":                   {fetched + istiod("istiod", "{name: A}, {name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 10.0.0.0/8}"), nil},
		"a list from elsewhere":    {fetched + istiod("istiod", "{name: BLOCKED_CIDRS_IN_JWKS_URIS, valueFrom: {configMapKeyRef: {name: a, key: b}}}"), nil},
		"each revision":            {fetched + istiod("istiod", "") + "\n---\n" + istiod("istiod-canary", ""), append([]string{"IST0175 warning Deployment istio-system/istiod-canary"}, open...)},
		"keys in the object":       {inline + istiod("istiod", ""), nil},
		"no RequestAuthentication": {istiod("istiod", ""), nil},
		"no istiod":                {fetched, nil},
		"a container of any name":  {fetched + "Deployment istiod istio-system\nspec: {template: {spec: {containers: [{name: pilot}]}}}", open},
	}.run(t, analyze.Input{}, "IST0175")
}

func TestGatewayDefinitions(t *testing.T) {
	t.Parallel()
	crd := func(kind, version string) string {
		return "CustomResourceDefinition " + kind + ".gateway.networking.k8s.io\nannotations: {gateway.networking.k8s.io/bundle-version: " + version + "}\nspec: {}"
	}
	old := func(kind string) []string {
		return []string{"IST0176 warning CustomResourceDefinition " + kind + ".gateway.networking.k8s.io"}
	}
	cases{
		"old":                       {crd("tlsroutes", "v1.4.1"), old("tlsroutes")},
		"least":                     {crd("tlsroutes", "v1.5.0"), nil},
		"later":                     {crd("tlsroutes", "v1.10.0"), nil},
		"before the least":          {crd("tlsroutes", "v1.5.0-rc.1"), old("tlsroutes")},
		"another kind's least":      {crd("grpcroutes", "v1.4.1"), nil},
		"its own":                   {crd("grpcroutes", "v1.0.0"), old("grpcroutes")},
		"policies for backends":     {crd("backendtlspolicies", "v1.3.0"), old("backendtlspolicies")},
		"no version":                {crd("tlsroutes", "latest"), old("tlsroutes")},
		"a kind without a least":    {crd("httproutes", "v0.5.0"), nil},
		"a definition of no bundle": {"CustomResourceDefinition tlsroutes.gateway.networking.k8s.io\nspec: {}", nil},
	}.run(t, analyze.Input{}, "IST0176")
}
