package hygiene_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/hygiene"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/report"
)

// findings are what the rules of the package say about a file.
func findings(t *testing.T, text string) []report.Finding {
	t.Helper()
	s, err := manifest.Read("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := analyze.Analyze(context.Background(), hygiene.Rules(), analyze.Input{Streams: []*manifest.Stream{s}}, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n"

// TestPlaces: each fault has its own code, at its place.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"a policy without spec allows nothing", policy, ""},
		{"a label that is no text", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata: {labels: {a: true}}\n    spec: {containers: []}\n", "IST0106 6:28 "},
		{"a key twice", policy + "spec:\n  action: DENY\n  action: ALLOW\n", "MSH0305 6:3 "},
		{"a key twice between braces", policy + "spec: {action: DENY, \"action\": ALLOW}\n", "MSH0305 4:22 "},
		{"a separator that is missing", policy + "spec: {}\n" + policy + "spec: {}\n", "MSH0305 5:1 "},
		{"two separators that are missing", policy + policy + "spec: {}\n" + policy, "MSH0305 4:1 MSH0305 8:1 "},
		{"apiVersion twice", "apiVersion: v1\n" + policy, "MSH0305 2:1 "},
		{"names that no cluster takes", "apiVersion: v1\nkind: Service\nmetadata: {name: My_App, namespace: A}\n", "MSH0318 3:18 MSH0318 3:37 "},
		{"a blank that is none behind a label", policy + "spec:\n  selector:\n    matchLabels:\n      app: cart\u00a0\n", "MSH0315 7:12 fix "},
		{"no width in a label", "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {app: ca\u200brt}}\nspec: {ports: [], selector: {app: c\u2060}}\n", "MSH0315 3:35 fix MSH0315 4:35 fix "},
		{"no width in a pod's label", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: \"b\\u200b\"}}, template: {metadata: {labels: {a: \"b\\u200b\"}}, spec: {containers: [{name: a, image: b, args: [\"x\u00a0y\"]}]}}}\n", "MSH0315 4:36 fix MSH0315 4:83 fix "},
		{"a blank that is none within a value", policy + "spec: {rules: [{to: [{operation: {paths: [/a\u00a0b]}}]}]}\n", "MSH0315 4:43 "},
		{"no width where texts are free", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {a: \"b\u00a0c\"}}\ndata: {a: \"b\u200bc\"}\n", ""},
		{"a text", "hello world\n", "MSH0319 1:1 "},
		{"a list", "a: 1\n---\n- {apiVersion: v1, kind: Pod}\n", "MSH0319 3:1 "},
		{"a policy with an empty spec", policy + "spec:\n", ""},
		{"keys beside an empty spec", policy + "spec:\nrules:\n- {}\n", "MSH0317 6:1 "},
		{"keys beside a spec", policy + "spec: {}\nrules:\n- {}\n", "MSH0307 6:1 "},
		{"a source that lost its indentation", policy + "spec:\n  rules:\n  - from:\n    - source:\n      namespaces: [x]\n", "IST0106 7:7 MSH0317 8:19 "},
		{"a field in the singular", policy + "spec:\n  rules:\n  - to:\n    - operation: {hosts: [x], method: [GET]}\n", "MSH0301 7:39 fix "},
		{"a text where a list is meant", policy + "spec:\n  rules:\n  - to:\n    - operation: {hosts: [x], method: GET}\n", "MSH0301 7:39 "},
		{"a field that is there already", policy + "spec:\n  rules:\n  - to:\n    - operation: {methods: [PUT], method: [GET]}\n", "MSH0301 7:43 "},
		{"a kind of another group of Istio's", "apiVersion: networking.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n", "MSH0302 1:13 "},
		{"a duration in words", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a.example]\n  http:\n  - route: [{destination: {host: a}}]\n    timeout: 2sec\n", "IST0106 8:14 "},
		{"a key behind a strange blank", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n" + policy + "\u00a0 spec: {}\n", "MSH0315 8:1 fix "},
		{"a group of no Istio", "apiVersion: networking.istio.com/v1\nkind: Sidecar\nmetadata: {name: a}\n", "MSH0302 1:13 fix "},
		{"no group", "apiVersion: v1\nkind: VirtualService\nmetadata: {name: a}\n", "MSH0302 1:13 fix "},
		{"a group of somebody else", "apiVersion: example.com/v1\nkind: Gateway\nmetadata: {name: a}\nx: 1\n", ""},
		{"a kind of Kubernetes with a slip", "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}\n", "MSH0302 2:7 fix "},
		{"a kind of the core with a slip", "apiVersion: v1\nkind: ServiceAcount\nmetadata: {name: a}\n", "MSH0302 2:7 fix "},
		{"a kind in small letters", "apiVersion: apps/v1\nkind: deployment\nmetadata: {name: a}\n", "MSH0302 2:7 fix "},
		{"a kind in the plural", "apiVersion: v1\nkind: Pods\nmetadata: {name: a}\n", "MSH0302 2:7 fix "},
		{"a kind of another group", "apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n", "MSH0302 1:13 fix "},
		{"a kind of another group with a slip", "apiVersion: v1\nkind: Deploymnet\nmetadata: {name: a}\n", "MSH0302 2:7 "},
		{"a group without its version", "apiVersion: apps\nkind: Deployment\nmetadata: {name: a}\n", "MSH0302 1:13 fix "},
		{"a group with a slip", "apiVersion: app/v1\nkind: Deployment\nmetadata: {name: a}\n", "MSH0302 1:13 fix "},
		{"a group that is gone", "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n", "MSH0302 1:13 "},
		{"a version that is gone", "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n", "MSH0303 1:13 "},
		{"a version that never was", "apiVersion: v2\nkind: ConfigMap\nmetadata: {name: a}\n", "MSH0303 1:13 "},
		{"a route with a slip", "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoutes\nmetadata: {name: a}\n", "MSH0302 2:7 fix "},
		{"kinds of nobody's", "apiVersion: v1\nkind: Config\n---\napiVersion: v1\nkind: Route\n---\napiVersion: v1\nkind: Status\n---\napiVersion: policy/v1\nkind: Nothing\n", ""},
		{"kinds of extensions", "apiVersion: batch.example.com/v1\nkind: CronJobs\nmetadata: {name: a}\n---\napiVersion: serving.example.dev/v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: x.io/v1\nkind: Deploymnet\nmetadata: {name: a}\n", ""},
		{"versions of kinds that have several", "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n---\napiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TLSRoute\nmetadata: {name: a}\n", ""},
		{"a kind without v1", "apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\nmetadata: {name: a}\nspec: {}\n", "MSH0302 1:13 fix "},
		{"a kind of extensions", "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: a}\nspec: {}\n", ""},
		{"a kind of Mixer", "apiVersion: config.istio.io/v1alpha2\nkind: denier\nmetadata: {name: a}\n", "MSH0303 1:13 "},
		{"a kind of Istio's first", "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {name: a}\n", "MSH0303 1:13 "},
		{"the first of two is looked at", policy + "spec: {action: DENY}\n---\n" + policy + "spec: {}\n", "IST0106 4:7 MSH0304 6:1 "},
		{"a number where Kubernetes wants a text", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b, c: 1}\n", "IST0106 4:17 "},
		{"a list where metadata is", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n- name: a\n", "IST0106 4:1 "},
		{"a text that is not closed", policy + "spec: {rules: [{to: [{operation: {hosts: ['x]}}]}]}\n", "MSH0319 4:43 "},
		{"a namespace with a slip", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namepsace: b}\n", "MSH0301 3:32 fix "},
		{"a label of a foreign kind", "apiVersion: x.io/v1\nkind: X\nmetadata: {name: a, Label: {a: b}}\n", "MSH0301 3:28 fix "},
		{"labels where they are already", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, labels: {a: b}, label: {a: b}}\n", "MSH0301 3:44 "},
		{"spec within metadata", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: a\n  spec: {rules: [{}]}\n", "MSH0317 5:9 "},
		{"what a cluster writes", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, uid: b, generation: 1, resourceVersion: '1', creationTimestamp: null, finalizers: [a], ownerReferences: [{apiVersion: v1, kind: Pod, name: a, uid: b, controller: true}], managedFields: [{manager: a, operation: Update}]}\n", ""},
		{"a name in capital letters", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: Web_A, namespace: a.b}\n", "MSH0318 3:18 MSH0318 3:36 "},
		{"a name of a role", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:a_B'}\n", ""},
		{"kind in a capital letter", "apiVersion: security.istio.io/v1\nKind: PeerAuthentication\nmetadata: {name: a}\nspec: {}\n", "MSH0301 2:7 fix "},
		{"apiVersion in small letters", "apiversion: v1\nkind: Service\nmetadata: {name: a}\n", "MSH0301 1:13 fix "},
		{"metadata in a capital letter", "apiVersion: v1\nkind: Service\nMetadata: {name: a}\n", "MSH0301 3:11 fix "},
		{"spec in a capital letter", policy + "Spec: {}\n", "MSH0301 4:7 fix "},
		{"spec in the plural", policy + "specs: {}\n", "MSH0301 4:8 fix "},
		{"spec in the plural beside spec", policy + "spec: {}\nspecs: {}\n", "MSH0307 5:8 "},
		{"keys of a foreign kind", "apiVersion: x.io/v1\nkind: X\nmetadata: {name: a}\nspecs: {}\n", ""},
		{"no kind", "apiVersion: security.istio.io/v1\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}}\n", "MSH0321 1:1 "},
		{"no apiVersion", "kind: PeerAuthentication\nmetadata: {name: a}\nspec: {}\n", "MSH0321 1:1 "},
		{"no apiVersion in a List", "apiVersion: v1\nkind: List\nitems:\n- kind: Service\n  metadata: {name: a}\n", "MSH0321 4:3 "},
		{"no kind, in another case", "apiversion: v1\nmetadata: {name: a}\n", "MSH0321 1:1 MSH0301 1:13 fix "},
		{"neither, beside an object", "metadata: {name: a}\nspec: {}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n", "MSH0321 1:1 "},
		{"neither, alone", "metadata: {name: a}\nspec: {}\n", ""},
		{"files of other tools", "apiVersion: v2\nname: web\nversion: 1.0.0\n---\nkind: Deployment\nreplicas: 1\n---\nservices: {web: {image: a}}\n---\non: push\njobs: {}\n---\nresources: [a.yaml]\n---\nsite_name: a\n---\napiVersion: score.dev/v1b1\nmetadata: {name: a}\ncontainers: {}\n---\nspec: {inputs: {}}\n---\nschemaVersion: 2.2.0\nmetadata: {name: a}\n", ""},
		{"a selector of other pods", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: b, c: d}}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}\n", "MSH0323 4:42 "},
		{"a controller without a selector", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec: {workloadRef: {name: b}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {containers: []}}}\n", ""},
		{"a Service of no pods", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: wbe}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: web}}\nspec: {containers: []}\n", "MSH0324 4:18 "},
		{"Services of pods that are elsewhere", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: wbe}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: x}\nspec: {type: ExternalName, externalName: a.example}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x, labels: {app: web}}\nspec: {containers: []}\n", ""},
		{"a field of Kubernetes", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selectors: {a: b}}\n", "MSH0301 4:19 "},
		{"templates in a text", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    {{ .Values.a }} “b”\n    \tc\n", ""},
		{"a template in a name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n", "MSH0306 3:18 "},
		{"a template in a spec", policy + "spec: {rules: [{to: [{operation: {hosts: ['{{ .Values.host }}']}}]}]}\n", "MSH0306 4:43 "},
		{"a template in an argument", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b, args: ['{{.Name}}']}]}\n", ""},
		{"a template in an image", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: 'b:{{ .Values.tag }}'}]}\n", "MSH0306 4:38 "},
		{"a variable in a name", "apiVersion: v1\nkind: Service\nmetadata:\n  name: ${NAME}\n  labels: {app: \"${NAME}\"}\n", "MSH0306 4:9 MSH0306 5:17 "},
		{"a variable where a word is meant", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec:\n  mtls:\n    mode: ${MODE}\n", "MSH0306 6:11 "},
		{"a variable within a value", policy + "spec: {rules: [{from: [{source: {principals: [cluster.local/ns/$NS/sa/web]}}]}]}\n", "MSH0306 4:47 "},
		{"a placeholder", policy + "spec: {rules: [{from: [{source: {namespaces: [<your-namespace>], principals: [a/ns/<NS>/sa/b]}}]}]}\n", "MSH0306 4:47 MSH0306 4:79 "},
		{"a format", policy + "spec: {rules: [{to: [{operation: {hosts: ['%(host)s']}}]}]}\n", "MSH0306 4:43 "},
		{"a variable in an image", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {serviceAccountName: <NAME>, containers: [{name: a, image: 'b:${TAG}'}]}}}\n", "MSH0306 4:46 MSH0306 4:84 "},
		{"a variable in a pod", "apiVersion: v1\nkind: Pod\nmetadata: {name: '${A}'}\nspec: {containers: [{name: a, image: '${B}'}]}\n", "MSH0306 3:18 MSH0306 4:38 "},
		{"a variable between braces", "apiVersion: v1\nkind: Service\nmetadata: {name: ${A}, namespace: b}\n", "MSH0319 3:18 "},
		{"what programs read", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, annotations: {a: '${b}'}}\nspec: {template: {metadata: {annotations: {a: '${b}'}}, spec: {containers: [{name: a, image: b, command: [sh, -c, 'echo ${A} $B <C>'], args: ['$(POD_NAME)', '${A}'], env: [{name: A, value: '$(B)/${C}'}]}]}}}\n", ""},
		{"data", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '${b} $C <D> %(e)s {{ .f }}'}\n", ""},
		{"formats of Envoy and patterns", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a.example]\n  http:\n  - match: [{uri: {regex: '^/(?P<ID>a)$'}}]\n    headers: {request: {set: {x: '%REQ(:PATH)% %PROTOCOL%'}}}\n    directResponse: {status: 200, body: {string: '<html>${a}</html>'}}\n", ""},
		{"a filter", "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: a}\nspec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: ADD, value: {inlineCode: 'x = \"${a}\" .. \"{{b}}\"'}}}]}\n", ""},
		{"an expression", "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: a}\nspec: {accessLogging: [{filter: {expression: 'a <B> c'}}]}\n", ""},
		{"quotes of a page", policy + "spec: {rules: [{to: [{operation: {paths: [“/a”, “/b”]}}]}]}\n", "MSH0314 4:43 fix "},
	} {
		var got strings.Builder
		for _, f := range findings(t, tt.text) {
			fmt.Fprintf(&got, "%s %d:%d ", f.Code, f.Line, f.Column)
			if f.Fix != nil {
				got.WriteString("fix ")
			}
		}
		if diff := cmp.Diff(tt.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", tt.name, diff, tt.text)
		}
	}
}

// TestMessages: what is said of a fault beyond its code and place.
func TestMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		policy + "spec: {selector: {matchLabels: {a: b\u200b}}}\n": `"b\u200b" has a character that nobody sees, U+200B (a zero-width space): it is part of the text, and the text is another one than it seems. Take it out`,
		policy + "spec: {}\n" + policy:                             "apiVersion, kind and metadata stand there already, from line 1 on, and one of the two objects is lost: is a line of --- missing above?",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {a: true}}, spec: {containers: []}}}\n": "spec.template.metadata.labels: the field takes text: quote the value (unquoted yes, no, on, off, true, false and numbers are not text in YAML 1.1)",
	} {
		if all := findings(t, text); len(all) != 1 || all[0].Message != want {
			t.Errorf("%s: %+v, want %s", text, all, want)
		}
	}
}

// TestNearFields: the message names the field that was meant.
func TestNearFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, targetport: 80}]}\n":                            `did you mean "targetPort"?`,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, label: {a: b}}\nspec: {containers: []}\n":                                      `did you mean "labels"?`,
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, images: b}]}}}\n": `did you mean "image"?`,
		policy + "spec: {ruels: []}\n": `did you mean "rules"?`,
	} {
		found := false
		for _, f := range findings(t, text) {
			found = found || f.Code == "MSH0301" && strings.Contains(f.Message, want)
		}
		if !found {
			t.Errorf("%s: expected a finding that asks %s, found %+v", text, want, findings(t, text))
		}
	}
}
