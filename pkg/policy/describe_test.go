package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// callersYAML are clients of the usual workload: two in front, of which one
// listens to a rule of its own, and one elsewhere; none of shop's own.
const callersYAML = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: front}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: batch, namespace: front}
spec: {template: {metadata: {labels: {app: batch}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: probe, namespace: tools}
spec: {template: {metadata: {labels: {app: probe}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: outsider, namespace: tools}
spec: {template: {metadata: {labels: {app: outsider, sidecar.istio.io/inject: 'false'}}, spec: {containers: [{name: a, image: a}]}}}
`

// rule is a DestinationRule for the usual Service.
func rule(name, namespace, spec string) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec: {host: app.shop.svc.cluster.local, %s}\n", name, namespace, spec)
}

// collisionLine is a Collision in one line.
func collisionLine(c policy.Collision) string {
	subset, verdict, by := c.Subset, "works, but", "default"
	if subset != "" {
		subset = "/" + subset
	}
	if c.Fails {
		verdict = "fails"
	}
	if c.By != nil {
		by = c.By.String()
	}
	return fmt.Sprintf("%s -> %d%s: %s: %s [%s]", strings.Join(c.Clients, ", "), c.Port, subset, verdict, c.Why, by)
}

// TestCollisions: what clients send that does not go with what a port takes.
// The simulator must find the same calls refused.
func TestCollisions(t *testing.T) {
	t.Parallel()
	const own = "selector: {matchLabels: {app: app}}, "
	const all = "namespace front, namespace shop, namespace tools"
	strict, disable := peerPolicy("pa", "mtls: {mode: STRICT}"), peerPolicy("pa", "mtls: {mode: DISABLE}")
	noSidecar := strings.Replace(workloadYAML, "version: v1}", "version: v1, sidecar.istio.io/inject: 'false'}", 1)
	headless := strings.Replace(workloadYAML, "spec:\n  selector", "spec:\n  clusterIP: None\n  selector", 1)
	secure := strings.Replace(workloadYAML, "http-web", "https-web", 1)
	ports := func(what, result string) []string {
		var lines []string
		for _, port := range []string{"80", "9000", "7000"} {
			lines = append(lines, strings.ReplaceAll(what, "PORT", port)+result)
		}
		return lines
	}
	for _, tt := range []struct {
		rule, workload, manifests string
		want                      []string
	}{
		{"DR-10 automatic mTLS goes with everything", workloadYAML, strict, nil},
		{"DR-11 and leaves DISABLE ports alone", workloadYAML, disable, nil},
		{"DR-11 and workloads without a sidecar", noSidecar, strict, nil},
		{
			"DR-15 DISABLE against STRICT (T-11)", workloadYAML, docs(strict, rule("r", "front", "trafficPolicy: {tls: {mode: DISABLE}}")),
			ports("namespace front -> PORT: fails: clients send plaintext: the DestinationRule says DISABLE; the port takes nothing but mTLS (STRICT)", " [DestinationRule front/r (mesh.yaml:29:63)]"),
		},
		{"DR-15 DISABLE against PERMISSIVE", workloadYAML, rule("r", "front", "trafficPolicy: {tls: {mode: DISABLE}}"), nil},
		{
			"T-10 but policies look at identities", workloadYAML, docs(rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {}}]}"), allowFrom("namespaces: [front]")),
			[]string{"namespace front -> 80: works, but: clients send plaintext: the DestinationRule says DISABLE; callers have no identity then, and policies for the workload look at identities [DestinationRule front/r (mesh.yaml:24:104)]"},
		},
		{
			"DR-15 ISTIO_MUTUAL against DISABLE (T-11)", workloadYAML, docs(disable, rule("r", "shop", "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}")),
			ports(all+" -> PORT: fails: clients send mTLS: the DestinationRule says ISTIO_MUTUAL; the sidecar does not end it there (DISABLE)", " [DestinationRule shop/r (mesh.yaml:29:63)]"),
		},
		{
			"DR-15 ISTIO_MUTUAL to a workload without a sidecar (T-11)", noSidecar, rule("r", "tools", "exportTo: [front, .], trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
			ports("namespace tools -> PORT: fails: clients send mTLS: the DestinationRule says ISTIO_MUTUAL; the workload has no sidecar that could end it", " [DestinationRule tools/r (mesh.yaml:24:85)]"),
		},
		{
			"section 4.4 ISTIO_MUTUAL to an application that speaks TLS of its own", strings.Replace(noSidecar, "http-web", "https-web", 1), rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]}"),
			[]string{"namespace front -> 80: fails: clients send mTLS: the DestinationRule says ISTIO_MUTUAL; the workload has no sidecar that could end it [DestinationRule front/r (mesh.yaml:24:104)]"},
		},
		{
			"section 4.4 SIMPLE against STRICT", workloadYAML, docs(strict, rule("r", "front", "trafficPolicy: {tls: {mode: SIMPLE}}")),
			ports("namespace front -> PORT: fails: clients send TLS: the DestinationRule says SIMPLE; the port takes nothing but mTLS (STRICT)", " [DestinationRule front/r (mesh.yaml:29:63)]"),
		},
		{
			"section 4.4 SIMPLE against PERMISSIVE", workloadYAML, rule("r", "front", "trafficPolicy: {tls: {mode: SIMPLE}}"),
			[]string{
				"namespace front -> 80: fails: clients send TLS: the DestinationRule says SIMPLE; the port takes HTTP in plaintext or over mTLS, and no other TLS (PERMISSIVE) [DestinationRule front/r (mesh.yaml:24:63)]",
				"namespace front -> 9000: fails: clients send TLS: the DestinationRule says SIMPLE; the sidecar passes it on as it is, and its Service does not say that the application speaks TLS itself (HTTPS or TLS) [DestinationRule front/r (mesh.yaml:24:63)]",
				"namespace front -> 7000: fails: clients send TLS: the DestinationRule says SIMPLE; the sidecar passes it on as it is, and its Service does not say that the application speaks TLS itself (HTTPS or TLS) [DestinationRule front/r (mesh.yaml:24:63)]",
			},
		},
		{"section 4.4 SIMPLE to an application that speaks TLS", secure, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}"), nil},
		{
			"section 4.4 SIMPLE against DISABLE", workloadYAML, docs(disable, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}")),
			[]string{"namespace front -> 80: fails: clients send TLS: the DestinationRule says SIMPLE; the sidecar does not end it there (DISABLE) [DestinationRule front/r (mesh.yaml:29:104)]"},
		},
		{
			"section 4.4 SIMPLE to a workload without a sidecar", noSidecar, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}"),
			[]string{"namespace front -> 80: fails: clients send TLS: the DestinationRule says SIMPLE; the workload has no sidecar and its Service does not say that the application speaks TLS itself (HTTPS or TLS) [DestinationRule front/r (mesh.yaml:24:104)]"},
		},
		{
			"DR-12 hole A (T-14)", workloadYAML, docs(disable, peerPolicy("own", own+"portLevelMtls: {'8080': {mode: STRICT}}")),
			[]string{all + " -> 80: fails: clients send plaintext: automatic mTLS is off, by the mesh config or by a PeerAuthentication DISABLE of the namespace or mesh; the port takes nothing but mTLS (STRICT) [PeerAuthentication shop/pa (mesh.yaml:24:14)]"},
		},
		{
			"DR-13 hole B (T-14)", headless, peerPolicy("own", own+"portLevelMtls: {'8080': {mode: DISABLE}}"),
			[]string{all + " -> 80: fails: clients send mTLS: automatic, to every endpoint of a service whose clients pick the address; the sidecar does not end it there (DISABLE) [default]"},
		},
		{
			"DR-14 hole C, DISABLE", workloadYAML, docs(strict, rule("r", "front", "trafficPolicy: {tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}, {port: {number: 9000}, tls: {mode: ISTIO_MUTUAL}}, {port: {number: 7000}, tls: {mode: ISTIO_MUTUAL}}]}")),
			[]string{"namespace front -> 80: fails: clients send plaintext: the DestinationRule's settings of the port say nothing of TLS, and its general ones say DISABLE; the port takes nothing but mTLS (STRICT) [DestinationRule front/r (mesh.yaml:29:100)]"},
		},
		{
			"DR-14 hole C, ISTIO_MUTUAL", workloadYAML, docs(peerPolicy("own", own+"portLevelMtls: {'8080': {mode: DISABLE}}"), rule("r", "front", "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}")),
			[]string{"namespace front -> 80: fails: clients send mTLS: the DestinationRule's settings of the port say nothing of TLS, and its general ones say ISTIO_MUTUAL; the sidecar does not end it there (DISABLE) [DestinationRule front/r (mesh.yaml:29:105)]"},
		},
		{
			"DR-8 of a subset", workloadYAML, docs(strict, rule("r", "front", "subsets: [{name: other, labels: {version: v2}, trafficPolicy: {tls: {}}}, {name: v1, labels: {version: v1}, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}]")),
			[]string{"namespace front -> 80/v1: fails: clients send plaintext: the DestinationRule says DISABLE; the port takes nothing but mTLS (STRICT) [DestinationRule front/r (mesh.yaml:29:212)]"},
		},
		{
			"DR-6 for some clients only", workloadYAML, docs(strict, rule("r", "front", "workloadSelector: {matchLabels: {app: batch}}, trafficPolicy: {tls: {mode: DISABLE}}")),
			ports("Deployment front/batch -> PORT: fails: clients send plaintext: the DestinationRule says DISABLE; the port takes nothing but mTLS (STRICT)", " [DestinationRule front/r (mesh.yaml:29:110)]"),
		},
		{
			"DR-18 a Secret that a sidecar cannot read (T-24)", workloadYAML, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, credentialName: c}}]}"),
			[]string{"namespace front -> 80: works, but: clients send plaintext: a sidecar reads no Secret for a rule without a workloadSelector: credentialName turns TLS off [DestinationRule front/r (mesh.yaml:24:104)]"},
		},
		{
			"DR-19 MUTUAL without files", workloadYAML, docs(strict, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: MUTUAL}}]}")),
			[]string{"namespace front -> 80: fails: clients send plaintext: MUTUAL without a clientCertificate and privateKey turns TLS off; the port takes nothing but mTLS (STRICT) [DestinationRule front/r (mesh.yaml:29:104)]"},
		},
		{
			"DR-21 names that are not the server's", workloadYAML, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/other']}}]}"),
			[]string{"namespace front -> 80: fails: clients send mTLS: the DestinationRule says ISTIO_MUTUAL; clients want the server to be spiffe://cluster.local/ns/shop/sa/other, and it is spiffe://cluster.local/ns/shop/sa/app [DestinationRule front/r (mesh.yaml:24:104)]"},
		},
		{"DR-21 names that are", workloadYAML, rule("r", "front", "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/app']}}]}"), nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, docs(tt.workload, tt.manifests, callersYAML), "")
			var got []string
			for _, c := range policy.NewSimulator(s).Describe(s.Workload("shop", "app")).Collisions {
				got = append(got, collisionLine(c))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			compareWithSimulator(t, s)
		})
	}
}

// TestCollisionsAgree: what is said of clients is what the simulator finds, for
// meshes put together at random.
func TestCollisionsAgree(t *testing.T) {
	t.Parallel()
	modes := []string{"UNSET", "STRICT", "PERMISSIVE", "DISABLE"}
	settings := []string{"", "tls: {}, ", "tls: {mode: ISTIO_MUTUAL}, ", "tls: {mode: SIMPLE}, ", "tls: {mode: MUTUAL, clientCertificate: a, privateKey: b}, ", "tls: {mode: MUTUAL}, ", "tls: {mode: ISTIO_MUTUAL, subjectAltNames: [x]}, "}
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 3))
			pick := func(all []string) string { return all[r.IntN(len(all))] }
			traffic := func() string {
				return pick(settings) + "portLevelSettings: [{port: {number: " + pick([]string{"80", "9000", "7000"}) + "}, " + pick(settings) + "loadBalancer: {simple: " + pick([]string{"RANDOM", "PASSTHROUGH"}) + "}}]"
			}
			workload := workloadYAML
			if r.IntN(4) == 0 {
				workload = strings.Replace(workload, "version: v1}", "version: v1, sidecar.istio.io/inject: 'false'}", 1)
			}
			if r.IntN(4) == 0 {
				workload = strings.Replace(workload, "spec:\n  selector", "spec:\n  clusterIP: None\n  selector", 1)
			}
			if r.IntN(4) == 0 {
				workload = strings.Replace(workload, "tcp-raw", "tls-raw", 1)
			}
			s := snapshot(t, docs(workload, callersYAML,
				peerPolicy("mesh.istio-system", "mtls: {mode: "+pick(modes)+"}"), peerPolicy("ns", "mtls: {mode: "+pick(modes)+"}"),
				peerPolicy("own", "selector: {matchLabels: {app: app}}, mtls: {mode: "+pick(modes)+"}, portLevelMtls: {'8080': {mode: "+pick(modes)+"}, '7000': {mode: "+pick(modes)+"}}"),
				rule("r", pick([]string{"front", "shop", "istio-system"}), "trafficPolicy: {"+traffic()+"}, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {"+traffic()+"}}]"),
				rule("s", pick([]string{"front", "tools"}), "workloadSelector: {matchLabels: {app: batch}}, trafficPolicy: {"+traffic()+"}"),
			), "")
			compareWithSimulator(t, s)
		})
	}
}

// compareWithSimulator asks all calls of clients with a sidecar: refused must be
// those that are said to fail, and no others.
func compareWithSimulator(t *testing.T, s *mesh.Snapshot) {
	t.Helper()
	simulator := policy.NewSimulator(s)
	failing := map[string]bool{}
	for _, c := range simulator.Describe(s.Workload("shop", "app")).Collisions {
		for _, client := range c.Clients {
			failing[fmt.Sprintf("%s %d %s", client, c.Port, c.Subset)] = c.Fails
		}
	}
	service, err := s.FindService("app.shop", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range s.Workloads {
		if !client.Membership.Sidecar {
			continue
		}
		for _, port := range service.Ports {
			for _, subset := range []string{"", "v1"} {
				q := &policy.Question{From: policy.Caller{Workload: client}, To: policy.Callee{Service: service, Port: port}, Subset: subset}
				if port.Number == 80 {
					q.HTTP = &policy.HTTP{Method: "GET", Path: "/", Authority: "app.shop"}
				}
				answer, err := simulator.Ask(q)
				if err != nil {
					continue // no such subset
				}
				said := failing[fmt.Sprintf("namespace %s %d %s", client.Namespace, port.Number, subset)] || failing[fmt.Sprintf("%s %d %s", client, port.Number, subset)]
				if refused := answer.Outcome == policy.Refused; refused != said {
					t.Errorf("%s to port %d subset %q is %s, and the description says that it fails: %v", client, port.Number, subset, answer.Outcome, said)
				}
			}
		}
	}
}

// TestDescribe: all of a description.
func TestDescribe(t *testing.T) {
	t.Parallel()
	policies := docs(
		peerPolicy("pa", "selector: {matchLabels: {app: app}}, mtls: {mode: STRICT}, portLevelMtls: {'9000': {mode: PERMISSIVE}}"),
		jwtPolicy("issuer: a, jwksUri: 'https://keys.example', audiences: [web]", "issuer: b, jwks: '{}'"),
		strings.Replace(ap("d", "action: DENY, rules: [{}]"), "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: 'true'}}", 1),
		ap("a", "rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [shop]}}]}, {when: [{key: no.such, values: [a]}]}]"),
		ap("ask", "action: CUSTOM, provider: {name: none}, rules: [{to: [{operation: {paths: [/a], ports: ['9000']}}]}]"),
	)
	s := snapshot(t, docs(workloadYAML, policies), "")
	got, err := json.MarshalIndent(policy.NewSimulator(s).Describe(s.Workload("shop", "app")), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "describe.json", string(got)+"\n")
}

// TestDescribeOutside: of a workload without a sidecar, and of a gateway, only
// what is known is told.
func TestDescribeOutside(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{"no sidecar": "labels: {app: app, sidecar.istio.io/inject: 'false'}", "a gateway": "labels: {app: app}, annotations: {inject.istio.io/templates: gateway}"} {
		s := snapshot(t, docs(strings.Replace(workloadYAML, "labels: {app: app, version: v1}", change, 1), ap("p", "rules: [{}]"), peerPolicy("pa", "mtls: {mode: STRICT}")), "")
		d := policy.NewSimulator(s).Describe(s.Workload("shop", "app"))
		if len(d.Services) != 1 || len(d.Ports)+len(d.Policies)+len(d.Tokens) != 0 {
			t.Errorf("%s: %+v", name, d)
		}
		if d.Injection.Gateway != (name == "a gateway") || d.Injection.Because == "" {
			t.Errorf("%s: %+v", name, d.Injection)
		}
	}
}
