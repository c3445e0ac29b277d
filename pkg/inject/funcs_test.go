package inject_test

import (
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
)

const appPod = `apiVersion: v1
kind: Pod
metadata:
  name: p
  namespace: shop
  labels: {app: web}
  annotations: {note: said, json: '{"a": [1]}'}
spec:
  containers:
  - name: app
    image: registry.example.com/app:v1
    ports:
    - containerPort: 80
    - {containerPort: 53, protocol: UDP}
    - {containerPort: 443, protocol: TCP}
  - name: istio-proxy
    image: auto
    ports: [{containerPort: 15090}]
`

// evaluate renders one expression for a pod.
func evaluate(t *testing.T, expression, pod string, options ...option) string {
	t.Helper()
	template := "metadata:\n  annotations:\n    out: {{ " + expression + " | toString | toJson }}\n"
	options = append([]option{templates(map[string]string{"sidecar": template})}, options...)
	p, _ := injectPod(t, defaults(t, options...), pod)
	return p.Annotations["out"]
}

// TestFunctions: Istio's 26 template functions (section 3.1 of the injection
// reference), those that win over sprig's among them (INJ-40).
func TestFunctions(t *testing.T) {
	t.Parallel()
	tests := []struct{ expression, want string }{
		{`annotation .ObjectMeta "note" "default"`, "said"},
		{`annotation .ObjectMeta "none" 15020`, "15020"},
		{`isset .ObjectMeta.Annotations "note"`, "true"},
		{`isset .ObjectMeta.Annotations "none"`, "false"},
		{`valueOrDefault "" "d"`, "d"},
		{`valueOrDefault 0 "d"`, "0"},
		{`valueOrDefault false "d"`, "false"},
		{`excludeInboundPort 15020 "80, 443"`, "80,443,15020"},
		{`excludeInboundPort "15020" ""`, "15020"},
		{`excludeInboundPort 80 "80"`, "80"},
		{`excludeInboundPort 0 "80"`, "80"},
		{`excludeInboundPort "" " 80 "`, " 80 "},
		{`includeInboundPorts .Spec.Containers`, "80,443,15090"},
		{`applicationPorts .Spec.Containers`, "80,443"},
		{`kubevirtInterfaces "net1"`, "net1"},
		{`excludeInterfaces "eth0"`, "eth0"},
		{`toJSON .ObjectMeta.Labels`, `{"app":"web"}`},
		{`toJSON (index .Values "nothing")`, "{}"},
		{`index (fromJSON (index .ObjectMeta.Annotations "json")) "a" | toJson`, "[1]"},
		{`fromJSON "no JSON"`, "{}"},
		{`structToJSON (index .Spec.Containers 1).Ports`, `[{"containerPort":15090}]`},
		{`structToJSON nil`, "{}"},
		{`protoToJSON .ProxyConfig`, "{}"},
		{`toYaml (dict "b" 1 "a" "x")`, "a: x\nb: 1\n"},
		{`indent 2 "a\nb"`, "a\n  b"},
		{`directory "/etc/certs/cert.pem"`, "/etc/certs/"},
		{`contains "ow" "flowers"`, "true"},
		{`toLower "ABC"`, "abc"},
		{`appendMultusNetwork "" "default/istio-cni"`, "default/istio-cni"},
		{`appendMultusNetwork "a, b" "default/istio-cni"`, "a, b, default/istio-cni"},
		{`appendMultusNetwork "default/istio-cni" "default/istio-cni"`, "default/istio-cni"},
		{`appendMultusNetwork "[{\"name\": \"a\"}]" "default/istio-cni"`, `[{"name": "a"}, {"name": "istio-cni", "namespace": "default"}]`},
		{`appendMultusNetwork "[]" "default/istio-cni"`, `[{"name": "istio-cni", "namespace": "default"}]`},
		{`appendMultusNetwork "[{\"name\": \"istio-cni\", \"namespace\": \"default\"}]" "default/istio-cni"`, `[{"name": "istio-cni", "namespace": "default"}]`},
		{`appendMultusNetwork "[broken]" "default/istio-cni"`, "[broken]"},
		{`env "HOME" "fallback"`, "fallback"},
		{`formatDuration .ProxyConfig.DrainDuration`, "45s"},
		{`omit .ObjectMeta.Labels "app" | toJSON`, "{}"},
		{`strdict "a" "1" "b" | toJSON`, `{"a":"1","b":""}`},
		{`mergeMaps (strdict "a" "1" "b" "1") (strdict "b" "2") | toJSON`, `{"a":"1","b":"2"}`},
		{`toJsonMap (strdict "a" "1") (strdict "a" "2")`, `{"a":"2"}`},
		{`omitNil (fromJSON "{\"a\":null,\"b\":{\"c\":null},\"d\":[null,1]}") | toJson`, `{"d":[1]}`},
		{`otelResourceAttributes .MeshConfig .ObjectMeta.Annotations .ObjectMeta.Labels "shop" .Spec.Containers`, ""},
		// sprig is there in full, but nothing that tells of this machine
		{`"a-b" | replace "-" "_" | upper`, "A_B"},
		{`trunc 3 "abcdef"`, "abc"},
	}
	for _, tt := range tests {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			if got := evaluate(t, tt.expression, appPod); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestTemplatesSeeNoMachine(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{`expandenv "$HOME"`, `getHostByName "localhost"`} {
		got := failure(t, defaults(t, templates(map[string]string{"sidecar": "metadata: {annotations: {out: {{ " + expression + " }}}}"})), appPod)
		if !strings.Contains(got, "is not available in templates") {
			t.Errorf("%s: %s", expression, got)
		}
	}
	environment := func(_ testing.TB, o *inject.Options) {
		o.Getenv = func(key string) string { return "value of " + key }
	}
	if got := evaluate(t, `env "X" "fallback"`, appPod, environment); got != "value of X" {
		t.Errorf("env with an environment = %q", got)
	}
}

// TestProtoToJSON: fields with their default value are left out (INJ-52).
func TestProtoToJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, mesh, want string }{
		{"defaults written out", "defaultConfig: {statusPort: 15020, drainDuration: 45s, proxyMetadata: {}}\n", "{}"},
		{
			"order of the fields", "defaultConfig: {statusPort: 15022, drainDuration: 23s, concurrency: 2, interceptionMode: TPROXY, proxyMetadata: {B: \"2\", A: \"1\"}}\n",
			`{"drainDuration":"23s","concurrency":2,"interceptionMode":"TPROXY","proxyMetadata":{"A":"1","B":"2"},"statusPort":15022}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, "protoToJSON .ProxyConfig", appPod, meshConfig(tt.mesh))
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestOtelResourceAttributes(t *testing.T) {
	t.Parallel()
	const provider = "extensionProviders: [{name: otel, opentelemetry: {service: collector.example, port: 4317, serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS}}]\n"
	const expression = "otelResourceAttributes .MeshConfig .ObjectMeta.Annotations .ObjectMeta.Labels .DeploymentMeta.Namespace .Spec.Containers"
	pod := func(metadata, image string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop" + metadata + "}\nspec: {containers: [{name: app, image: " + image + "}]}\n"
	}
	tests := []struct{ name, pod, want string }{
		{"tag", pod("", "r.example:5000/app:v1"), "service.namespace=shop,service.version=v1,service.instance.id=shop.$(POD_NAME).app"},
		{"digest", pod("", "app@sha256:00"), "service.namespace=shop,service.version=sha256:00,service.instance.id=shop.$(POD_NAME).app"},
		{"tag and digest", pod("", "app:v1@sha256:00"), "service.namespace=shop,service.version=v1@sha256:00,service.instance.id=shop.$(POD_NAME).app"},
		{"no tag", pod("", "r.example:5000/app"), "service.namespace=shop,service.instance.id=shop.$(POD_NAME).app"},
		{"label", pod(", labels: {app.kubernetes.io/version: \"7\"}", "app:v1"), "service.namespace=shop,service.version=7,service.instance.id=shop.$(POD_NAME).app"},
		{"annotations", pod(", annotations: {resource.opentelemetry.io/service.namespace: ns, resource.opentelemetry.io/service.version: \"9\", resource.opentelemetry.io/service.instance.id: i}", "app:v1"), "service.namespace=ns,service.version=9,service.instance.id=i"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := evaluate(t, expression, tt.pod, meshConfig(provider)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestWorkloadName: what a bare pod belongs to (INJ-43).
func TestWorkloadName(t *testing.T) {
	t.Parallel()
	owned := func(labels, apiVersion, kind, name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  generateName: p-\n  labels: {" + labels + "}\n  ownerReferences: [{apiVersion: " + apiVersion + ", kind: " + kind + ", name: " + name + ", uid: u, controller: true}]\nspec: {}\n"
	}
	tests := []struct{ name, pod, want string }{
		{"nobody's", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n", "v1 Pod p"},
		{"without generateName the owner is not asked", strings.Replace(owned("", "apps/v1", "ReplicaSet", "web"), "  generateName: p-\n", "", 1), "v1 Pod p"},
		{"ReplicaSet of a Deployment", owned("pod-template-hash: abc12", "apps/v1", "ReplicaSet", "web-abc12"), "apps/v1 Deployment web"},
		{"ReplicaSet on its own", owned("", "apps/v1", "ReplicaSet", "web-abc12"), "apps/v1 ReplicaSet web-abc12"},
		{"ReplicaSet of a Rollout", owned("rollouts-pod-template-hash: abc12", "apps/v1", "ReplicaSet", "web-abc12"), "v1alpha1 Rollout web"},
		{"ReplicationController of a DeploymentConfig", owned("deploymentconfig: web", "v1", "ReplicationController", "web-1"), "v1 DeploymentConfig web"},
		{"Job of a CronJob", owned("", "batch/v1", "Job", "report-28800000"), "batch/v1 CronJob report"},
		{"Job on its own", owned("", "batch/v1", "Job", "report-1"), "batch/v1 Job report-1"},
		{"StatefulSet", owned("", "apps/v1", "StatefulSet", "store"), "apps/v1 StatefulSet store"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, `printf "%s %s %s" .TypeMeta.APIVersion .TypeMeta.Kind .DeploymentMeta.Name`, tt.pod)
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestImages: hub, name, tag and image type (INJ-47).
func TestImages(t *testing.T) {
	t.Parallel()
	const typed = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {sidecar.istio.io/proxyImageType: TYPE}}\nspec: {}\n"
	const plain = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n"
	tests := []struct {
		name, pod string
		options   []option
		want      string // proxy and init image
	}{
		{"values", plain, []option{values("global.hub=h", "global.tag=1")}, "h/proxyv2:1 h/proxyv2:1"},
		{"number as tag (INJ-46)", plain, []option{values("global.hub=h", "global.tag=1.12")}, "h/proxyv2:1.12 h/proxyv2:1.12"},
		{"variant", plain, []option{values("global.hub=h", "global.tag=1", "global.variant=debug")}, "h/proxyv2:1-debug h/proxyv2:1-debug"},
		{"annotation wins over variant", strings.Replace(typed, "TYPE", "distroless", 1), []option{values("global.hub=h", "global.tag=1-debug", "global.variant=debug")}, "h/proxyv2:1-distroless h/proxyv2:1-distroless"},
		{"default means none", strings.Replace(typed, "TYPE", "default", 1), []option{values("global.hub=h", "global.tag=1-distroless")}, "h/proxyv2:1 h/proxyv2:1"},
		{"mesh config's type is the proxy's only", plain, []option{values("global.hub=h", "global.tag=1"), meshConfig("defaultConfig: {image: {imageType: distroless}}\n")}, "h/proxyv2:1-distroless h/proxyv2:1"},
		{"own names", plain, []option{values("global.hub=h", "global.tag=1", "global.proxy.image=p", "global.proxy_init.image=i")}, "h/p:1 h/i:1"},
		{"no tag", plain, []option{values("global.hub=h", "global.tag=")}, "h/proxyv2 h/proxyv2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := evaluate(t, `printf "%s %s" .ProxyImage .ProxyInitImage`, tt.pod, tt.options...); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
