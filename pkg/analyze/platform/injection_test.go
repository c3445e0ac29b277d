package platform_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
)

func TestInjectionLabels(t *testing.T) {
	t.Parallel()
	const byDefault = "ConfigMap istio-sidecar-injector istio-system\ndata: {values: '{\"sidecarInjectorWebhook\":{\"enableNamespacesByDefault\":true}}'}\n---\n"
	cases{
		"no label":                              {"Namespace shop", []string{"IST0102 info Namespace shop"}},
		"no label, injected by default":         {byDefault + "Namespace shop", []string{"IST0148 info Namespace shop"}},
		"not meant, injected by default":        {byDefault + "Namespace shop\nlabels: {istio-injection: disabled}", nil},
		"ambient":                               {"Namespace shop\nlabels: {istio.io/dataplane-mode: ambient}", nil},
		"pods that ask themselves":              {"Namespace edge\n---\nDeployment in edge\nspec: {template: {metadata: {labels: {sidecar.istio.io/inject: 'true'}}, spec: {}}}", nil},
		"one that asks and one that does not":   {"Namespace edge\n---\nDeployment in edge\nspec: {template: {metadata: {labels: {istio.io/rev: x}}, spec: {}}}\n---\nDeployment out edge\nspec: {template: {spec: {}}}", []string{"IST0102 info Namespace edge"}},
		"Kubernetes' own":                       {"Namespace kube-system\n---\nNamespace istio-system", nil},
		"label and revision":                    {"Namespace shop\nlabels: {istio-injection: enabled, istio.io/rev: a}", []string{"IST0123 warning Namespace shop"}},
		"label and ambient":                     {"Namespace shop\nlabels: {istio-injection: enabled, istio.io/dataplane-mode: ambient}", []string{"IST0123 warning Namespace shop"}},
		"revision and ambient":                  {"Namespace shop\nlabels: {istio.io/rev: a, istio.io/dataplane-mode: ambient}", []string{"IST0123 warning Namespace shop"}},
		"revision without ambient":              {"Namespace shop\nlabels: {istio.io/rev: a, istio.io/dataplane-mode: none}", nil},
		"all three":                             {"Namespace shop\nlabels: {istio-injection: enabled, istio.io/rev: a, istio.io/dataplane-mode: ambient}", []string{"IST0123 warning Namespace shop"}},
		"disabled leaves a revision no rival":   {"Namespace shop\nlabels: {istio-injection: disabled, istio.io/rev: a}", nil},
		"disabled leaves ambient mode no rival": {"Namespace shop\nlabels: {istio-injection: disabled, istio.io/dataplane-mode: ambient}", nil},
	}.run(t, analyze.Input{}, "IST0102", "IST0123", "IST0148")
}

// TestInjectionValues: words that nobody understands leave pods without what they
// ask for (INJ-20).
func TestInjectionValues(t *testing.T) {
	t.Parallel()
	pod := func(value string) string {
		return "Deployment web shop\nspec: {template: {metadata: {" + value + "}, spec: {}}}"
	}
	cases{
		"enable":         {"Namespace shop\nlabels: {istio-injection: enable}", []string{"MSH0322 warning Namespace shop"}},
		"true":           {"Namespace shop\nlabels: {istio-injection: 'true'}", []string{"MSH0322 warning Namespace shop"}},
		"enabled":        {"Namespace shop\nlabels: {istio-injection: enabled, istio.io/dataplane-mode: none}", nil},
		"ambeint":        {"Namespace shop\nlabels: {istio.io/dataplane-mode: ambeint}", []string{"MSH0322 warning Namespace shop"}},
		"a pod's label":  {pod("labels: {sidecar.istio.io/inject: enabled}"), []string{"MSH0322 warning Deployment shop/web"}},
		"an annotation":  {pod("annotations: {sidecar.istio.io/inject: 'yes'}"), []string{"MSH0322 warning Deployment shop/web"}},
		"words that are": {pod("labels: {sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'false'}"), nil},
	}.run(t, analyze.Input{}, "MSH0322")
}

func TestPodsWithoutProxy(t *testing.T) {
	t.Parallel()
	const enabled = "Namespace shop\nlabels: {istio-injection: enabled}\n---\n"
	missing := []string{"IST0103 warning Pod shop/web"}
	cases{
		"none":                         {enabled + "Pod web shop\nspec: {containers: [{name: web}]}", missing},
		"of a revision":                {"Namespace shop\nlabels: {istio.io/rev: a}\n---\nPod web shop\nspec: {containers: [{name: web}]}", missing},
		"a container":                  {enabled + "Pod web shop\nspec: {containers: [{name: web}, {name: istio-proxy}]}", nil},
		"a native sidecar":             {enabled + "Pod web shop\nspec: {containers: [{name: web}], initContainers: [{name: istio-proxy}]}", nil},
		"the host's network":           {enabled + "Pod web shop\nspec: {hostNetwork: true, containers: [{name: web}]}", nil},
		"a label that wants none":      {enabled + "Pod web shop\nlabels: {sidecar.istio.io/inject: 'false'}\nannotations: {sidecar.istio.io/inject: 'true'}\nspec: {containers: [{name: web}]}", nil},
		"an annotation that wants one": {enabled + "Pod web shop\nannotations: {sidecar.istio.io/inject: 'true'}\nspec: {containers: [{name: web}]}", missing},
		"a Deployment gets it later":   {enabled + "Deployment web shop\nspec: {template: {spec: {containers: [{name: web}]}}}", nil},
		"another namespace":            {enabled + "Pod web other\nspec: {containers: [{name: web}]}", nil},
		"ambient":                      {"Namespace shop\nlabels: {istio.io/dataplane-mode: ambient}\n---\nPod web shop\nspec: {containers: [{name: web}]}", nil},
	}.run(t, analyze.Input{}, "IST0103")
}

func TestProxyImages(t *testing.T) {
	t.Parallel()
	const (
		injector = "ConfigMap istio-sidecar-injector istio-system\ndata: {values: '{\"global\":{\"hub\":\"h\",\"tag\":\"1.2\",\"proxy\":{\"image\":\"proxyv2\"}}}'}\n---\n"
		absolute = "ConfigMap istio-sidecar-injector istio-system\ndata: {values: '{\"global\":{\"hub\":\"h\",\"tag\":\"9\",\"proxy\":{\"image\":\"h/proxyv2:1.2\"}}}'}\n---\n"
		canary   = "ConfigMap istio-sidecar-injector-canary istio-system\nlabels: {istio.io/rev: canary}\ndata: {values: '{\"global\":{\"hub\":\"h\",\"tag\":\"2.0\",\"proxy\":{\"image\":\"proxyv2\"}}}'}\n---\n"
		enabled  = "Namespace shop\nlabels: {istio-injection: enabled}\n---\n"
		ofCanary = "Namespace shop\nlabels: {istio.io/rev: canary}\n---\n"
		tagged   = "Namespace shop\nlabels: {istio.io/rev: prod}\n---\nMutatingWebhookConfiguration istio-revision-tag-prod\nlabels: {istio.io/tag: prod, istio.io/rev: canary}\n---\n"
		old      = "Pod web shop\nspec: {containers: [{name: web, image: x}, {name: istio-proxy, image: 'h/proxyv2:1.1'}]}"
		current  = "Pod web shop\nspec: {containers: [{name: web, image: x}, {name: istio-proxy, image: 'h/proxyv2:1.2'}]}"
	)
	shop := []string{"IST0158 warning Namespace shop"}
	cases{
		"old":                           {injector + enabled + old, shop},
		"old, by an absolute image":     {absolute + enabled + old, shop},
		"current":                       {injector + enabled + current, nil},
		"current, by an absolute image": {absolute + enabled + current, nil},
		"an old native sidecar":         {injector + enabled + "Pod web shop\nspec: {initContainers: [{name: istio-proxy, image: 'h/proxyv2:1.1'}]}", shop},
		"a variant":                     {injector + enabled + "Pod web shop\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.2-distroless'}]}", nil},
		"an old variant":                {injector + enabled + "Pod web shop\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.1-distroless'}]}", shop},
		"its own image":                 {injector + enabled + "Pod web shop\nannotations: {sidecar.istio.io/proxyImage: 'h/proxyv2:1.1'}\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.1'}]}", nil},
		"not its own image":             {injector + enabled + "Pod web shop\nannotations: {sidecar.istio.io/proxyImage: 'h/proxyv2:1.0'}\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.1'}]}", shop},
		"a pre-release":                 {injector + enabled + "Pod web shop\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.2-rc.1'}]}", shop},
		"a digest":                      {injector + enabled + "Pod web shop\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2@sha256:00'}]}", nil},
		"two in one namespace":          {injector + enabled + old + "\n---\nPod api shop\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.0'}]}", shop},
		"no injection asked for":        {injector + "Namespace shop\n---\n" + old, nil},
		"an injector that is not there": {injector + ofCanary + old, nil},
		"of a revision":                 {injector + canary + ofCanary + current, shop},
		"a revision's alone":            {canary + enabled + old + "\n---\n" + "Namespace other\nlabels: {istio.io/rev: canary}\n---\nPod web other\nspec: {containers: [{name: istio-proxy, image: 'h/proxyv2:1.1'}]}", []string{"IST0158 warning Namespace other"}},
		"of a tag":                      {canary + tagged + current, shop},
		"no injector":                   {enabled + old, nil},
		"values that cannot be read":    {"ConfigMap istio-sidecar-injector istio-system\ndata: {values: '['}\n---\n" + enabled + old, nil},
	}.run(t, analyze.Input{}, "IST0158")
}

func TestAutoImages(t *testing.T) {
	t.Parallel()
	const (
		hooks = `MutatingWebhookConfiguration istio-sidecar-injector
webhooks: [{name: namespace.sidecar-injector.istio.io, clientConfig: {url: 'https://x'}, namespaceSelector: {matchLabels: {istio-injection: enabled}}},
  {name: object.sidecar-injector.istio.io, clientConfig: {url: 'https://x'}, objectSelector: {matchLabels: {sidecar.istio.io/inject: 'true'}}}]
---
`
		others  = "MutatingWebhookConfiguration other\nwebhooks: [{name: x.example.com, clientConfig: {url: 'https://x'}}]\n---\n"
		edge    = "Namespace edge\n---\n"
		enabled = "Namespace edge\nlabels: {istio-injection: enabled}\n---\n"
		gateway = "Deployment in edge\nspec: {template: {metadata: {labels: {app: in}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}"
		asking  = "Deployment in edge\nspec: {template: {metadata: {labels: {sidecar.istio.io/inject: 'true'}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}"
		pod     = "Pod in edge\nspec: {containers: [{name: istio-proxy, image: auto}]}"
	)
	missing := []string{"IST0146 warning Deployment edge/in"}
	cases{
		"no webhook takes it":               {hooks + edge + gateway, missing},
		"nor does one in another namespace": {hooks + gateway, missing},
		"by the namespace":                  {hooks + enabled + gateway, nil},
		"by the pod":                        {hooks + edge + asking, nil},
		"a Pod":                             {hooks + edge + pod, []string{"IST0147 warning Pod edge/in"}},
		"webhooks of others":                {others + edge + gateway, missing},
		"without webhooks, by the pod":      {edge + asking, nil},
		"without webhooks or labels":        {edge + gateway, missing},
		"without webhooks, injected":        {enabled + gateway, nil},
		"without a namespace":               {gateway, nil},
		"without a namespace, and refused":  {"Deployment in edge\nspec: {template: {metadata: {labels: {sidecar.istio.io/inject: 'false'}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}", missing},
		"another container":                 {hooks + edge + "Deployment in edge\nspec: {template: {spec: {containers: [{name: web, image: auto}]}}}", nil},
	}.run(t, analyze.Input{}, "IST0146", "IST0147")
}

func TestProxyUser(t *testing.T) {
	t.Parallel()
	cases{
		"of the pod":              {"Pod web shop\nspec: {securityContext: {runAsUser: 1337}, containers: [{name: web}]}", []string{"IST0144 warning Pod shop/web"}},
		"of a container":          {"Pod web shop\nspec: {containers: [{name: web, securityContext: {runAsUser: 1337}}]}", []string{"IST0144 warning Pod shop/web"}},
		"of a template":           {"Deployment web shop\nspec: {template: {spec: {securityContext: {runAsUser: 1337}, containers: [{name: web}]}}}", []string{"IST0144 warning Deployment shop/web"}},
		"of a template's":         {"Deployment web shop\nspec: {template: {spec: {containers: [{name: api}, {name: web, securityContext: {runAsUser: 1337}}]}}}", []string{"IST0144 warning Deployment shop/web"}},
		"of the proxy":            {"Pod web shop\nspec: {containers: [{name: istio-proxy, securityContext: {runAsUser: 1337}}, {name: web}]}", nil},
		"a gateway":               {"Deployment in shop\nspec: {template: {spec: {securityContext: {runAsUser: 1337}, containers: [{name: istio-proxy}]}}}", nil},
		"of the control plane":    {"Deployment istiod istio-system\nlabels: {istio: pilot}\nspec: {template: {spec: {securityContext: {runAsUser: 1337}, containers: [{name: discovery}]}}}", nil},
		"every container another": {"Pod web shop\nspec: {securityContext: {runAsUser: 1337}, containers: [{name: web, securityContext: {runAsUser: 1000}}]}", nil},
		"another":                 {"Pod web shop\nspec: {securityContext: {runAsUser: 1338}, containers: [{name: web}]}", nil},
	}.run(t, analyze.Input{}, "IST0144")
}
