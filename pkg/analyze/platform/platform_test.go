package platform_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/platform"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// find runs all rules of the package over manifests. A finding is "CODE severity
// origin LINE", with the message behind it.
func find(t *testing.T, in analyze.Input, text string) (found, messages []string) {
	t.Helper()
	s, err := manifest.Read("mesh.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in.Streams = []*manifest.Stream{s}
	findings, err := analyze.Analyze(context.Background(), platform.Rules(), in, analyze.Options{Profile: analyze.Strict})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		found = append(found, fmt.Sprintf("%s %s %s %d", f.Code, f.Severity, f.Origin, f.Line))
		messages = append(messages, f.Message)
	}
	return found, messages
}

// manifests writes objects in short: "KIND NAME [NAMESPACE]", then the rest of
// the metadata if the line begins with "labels" or "annotations", then the rest
// of the object; "---" is between them.
func manifests(short string) string {
	versions := map[string]string{
		"Pod": "v1", "Service": "v1", "Namespace": "v1", "Secret": "v1", "ConfigMap": "v1", "Deployment": "apps/v1", "CronJob": "batch/v1", "Ingress": "networking.k8s.io/v1",
		"AuthorizationPolicy": "security.istio.io/v1", "RequestAuthentication": "security.istio.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1",
		"KubernetesGateway": "gateway.networking.k8s.io/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1", "EnvoyFilter": "networking.istio.io/v1alpha3",
		"MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
	}
	var all []string
	for object := range strings.SplitSeq(short+"\n", "---\n") {
		lines := strings.Split(strings.TrimSpace(object), "\n")
		if lines[0] == "" {
			continue // after the last separator
		}
		words := strings.Fields(lines[0])
		metadata := "name: " + words[1]
		if len(words) > 2 {
			metadata += ", namespace: " + words[2]
		}
		rest := lines[1:]
		for len(rest) > 0 && (strings.HasPrefix(rest[0], "labels: ") || strings.HasPrefix(rest[0], "annotations: ")) {
			metadata, rest = metadata+", "+rest[0], rest[1:]
		}
		version, kind := versions[words[0]], strings.TrimPrefix(words[0], "Kubernetes")
		all = append(all, "apiVersion: "+version+"\nkind: "+kind+"\nmetadata: {"+metadata+"}\n"+strings.Join(rest, "\n"))
	}
	return strings.Join(all, "\n---\n")
}

type cases map[string]struct {
	text string
	want []string
}

// run compares what is found with what is wanted, the places and what is not of
// the codes left out.
func (c cases) run(t *testing.T, in analyze.Input, codes ...string) {
	t.Helper()
	for name, one := range c {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, messages := find(t, in, manifests(one.text))
			var short []string
			for _, f := range found {
				if slices.Contains(codes, f[:7]) {
					short = append(short, f[:strings.LastIndex(f, " ")])
				}
			}
			slices.Sort(short)
			slices.Sort(one.want)
			if !slices.Equal(short, one.want) {
				t.Errorf("found %s, expected %s\n%s", strings.Join(short, "; "), strings.Join(one.want, "; "), strings.Join(messages, "\n"))
			}
		})
	}
}

func TestAnnotations(t *testing.T) {
	t.Parallel()
	cases{
		"a pod template is a Pod's": {"Deployment web shop\nspec: {template: {metadata: {annotations: {traffic.sidecar.istio.io/excludeInboundPorts: '80,x', sidecar.istio.io/injekt: 'true'}}, spec: {}}}", []string{
			"IST0125 warning Deployment shop/web", "IST0108 warning Deployment shop/web", "IST0136 info Deployment shop/web",
		}},
		"of the template in a CronJob":                {"CronJob web shop\nspec: {jobTemplate: {spec: {template: {metadata: {annotations: {sidecar.istio.io/proxyCPU: lots}}, spec: {}}}}}", []string{"IST0125 warning CronJob shop/web", "IST0136 info CronJob shop/web"}},
		"on the Deployment itself":                    {"Deployment web shop\nannotations: {sidecar.istio.io/statsInclusionPrefixes: cluster}\nspec: {template: {spec: {}}}", []string{"IST0107 warning Deployment shop/web", "IST0135 info Deployment shop/web", "IST0136 info Deployment shop/web"}},
		"inject beside its label":                     {"Pod web shop\nlabels: {sidecar.istio.io/inject: 'true'}\nannotations: {sidecar.istio.io/inject: 'true'}\nspec: {}", nil},
		"inject alone":                                {"Pod web shop\nannotations: {sidecar.istio.io/inject: 'true'}\nspec: {}", []string{"IST0135 info Pod shop/web"}},
		"what injection writes":                       {"Pod web shop\nannotations: {istio.io/rev: default, sidecar.istio.io/status: '{}', ambient.istio.io/redirection: enabled}\nspec: {}", nil},
		"a revision of a namespace":                   {"Namespace shop\nannotations: {istio.io/rev: canary}", []string{"IST0107 warning Namespace shop", "IST0136 info Namespace shop"}},
		"what istio-cni's pods have":                  {"Pod web shop\nannotations: {sidecar.istio.io/interceptionMode: REDIRECT, traffic.sidecar.istio.io/excludeInboundPorts: '15020'}\nspec: {initContainers: [{name: istio-validation}]}", nil},
		"the same without it":                         {"Pod web shop\nannotations: {sidecar.istio.io/interceptionMode: REDIRECT}\nspec: {}", []string{"IST0136 info Pod shop/web"}},
		"a dry run that is enforced":                  {"AuthorizationPolicy deny shop\nannotations: {istio.io/dryrun: 'true'}\nspec: {}", []string{"IST0108 warning AuthorizationPolicy shop/deny"}},
		"a waypoint's label":                          {"Service web shop\nannotations: {istio.io/use-waypoint: waypoint}\nspec: {}", []string{"IST0108 warning Service shop/web"}},
		"a class of an Ingress":                       {"Ingress web shop\nannotations: {kubernetes.io/ingress.class: istio}\nspec: {}", nil},
		"a class of a Service":                        {"Service web shop\nannotations: {kubernetes.io/ingress.class: istio}\nspec: {}", []string{"IST0107 warning Service shop/web"}},
		"of others":                                   {"Service web shop\nannotations: {example.com/exportTo: x, notistio.io/exportTo: x, install.istio.io/ignoreReconcile: 'true'}\nspec: {}", nil},
		"for any kind":                                {"Service web shop\nannotations: {galley.istio.io/analyze-suppress: IST0999}\nspec: {}", []string{"IST0136 info Service shop/web"}},
		"a Gateway hands its pods what they read":     {"KubernetesGateway web shop\nannotations: {proxy.istio.io/config: 'concurrency: 2'}\nspec: {}", nil},
		"proxy config that cannot be read":            {"Pod web shop\nannotations: {proxy.istio.io/config: 'concurrency: many'}\nspec: {}", []string{"IST0125 warning Pod shop/web"}},
		"what Prometheus reads, which injection does": {"Pod web shop\nannotations: {prometheus.istio.io/secure-port: '15443'}\nspec: {}", nil},
	}.run(t, analyze.Input{}, "IST0107", "IST0108", "IST0125", "IST0135", "IST0136")
}

func TestAnnotationMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Service web shop\nannotations: {istio.io/use-waypoint: w}\nspec: {}":                                          "it is a label: write it under metadata.labels",
		"Service web shop\nannotations: {networking.istio.io/exportto: w}\nspec: {}":                                   `did you mean "networking.istio.io/exportTo"?`,
		"Pod web shop\nannotations: {readiness.status.sidecar.istio.io/periodSeconds: soon}\nspec: {}":                 `has the value "soon": "soon" is no number that is allowed here`,
		"Pod web shop\nannotations: {prometheus.istio.io/merge-metrics: perhaps}\nspec: {}":                            "expected true or false",
		"Deployment web shop\nannotations: {sidecar.istio.io/logLevel: debug}\nspec: {template: {spec: {}}}":           "write it in the pod template's metadata",
		"Namespace shop\nannotations: {kubernetes.io/ingress.class: istio}":                                            "it belongs on: Ingress",
		"Deployment web shop\nspec: {template: {metadata: {annotations: {istio.io/dataplane-mode: x}}, spec: {}}}":     "it is a label: write it under spec.template.metadata.labels",
		"Pod web shop\nannotations: {sidecar.istio.io/inject: 'false'}\nspec: {containers: [{name: web, image: web}]}": "write the label of the same name",
	} {
		if _, messages := find(t, analyze.Input{}, manifests(text)); !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, want) }) {
			t.Errorf("%s\n%q, expected %q in it", text, messages, want)
		}
	}
}

// TestNetworks: the place of the registry is told, in a file and in a ConfigMap.
func TestNetworks(t *testing.T) {
	t.Parallel()
	const text = "networks:\n  west:\n    endpoints:\n    - fromRegistry: %s\n    gateways:\n    - {address: 192.0.2.1, port: 15443}\n"
	secret := "Secret s istio-system\nlabels: {istio/multiCluster: 'true'}\nstringData: {east: x}\ndata: {north: eA==}"
	for registry, known := range map[string]bool{"Kubernetes": true, "kubernetes": false, "east": true, "north": true, "south": false, "home": true} {
		file := fmt.Sprintf(text, registry)
		networks, err := mesh.ParseNetworks([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		mine := "\n---\nDeployment istiod istio-system\nspec: {template: {spec: {containers: [{name: discovery, env: [{name: CLUSTER_ID, value: home}]}]}}}"
		found, _ := find(t, analyze.Input{Networks: networks, NetworksFile: "n.yaml", NetworksText: []byte(file)}, manifests(secret+mine))
		want := []string{"IST0126 warning MeshNetworks istio-system/meshnetworks 4"}
		if known {
			want = nil
		}
		if !slices.Equal(found, want) {
			t.Errorf("%s: %s, expected %s", registry, found, want)
		}
	}
	found, _ := find(t, analyze.Input{Complete: true}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  meshNetworks: 'networks: {west: {endpoints: [{fromRegistry: west}]}}'\n")
	if !slices.Equal(found, []string{"IST0126 error MeshNetworks istio-system/meshnetworks 5"}) {
		t.Errorf("ConfigMap: %s", found)
	}
}
