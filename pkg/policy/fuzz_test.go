package policy_test

import (
	"bytes"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

const (
	httpLine = `{"to":{"namespace":"shop","workload":"app","port":8080},"from":{"identity":null},"http":{"method":"GET","path":"/a","authority":"a","headers":{"a":["b"]},"tokens":[{"in":"header","name":"authorization","prefix":"Bearer ","valid":true,"claims":{"iss":"a"}}]}}`
	tcpLine  = `{"to":{"namespace":"shop","workload":"app","port":9000},"from":{"identity":"spiffe://cluster.local/ns/a/sa/b","ip":"1.2.3.4","alpn":["istio"]},"custom":"deny"}`
)

// FuzzRequests: no line panics, and every request that is read is answered.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(httpLine))
	f.Add([]byte(tcpLine))
	simulator := policy.NewSimulator(snapshot(f, docs(workloadYAML, jwtPolicy("issuer: a, jwks: '{}', fromParams: [t], outputPayloadToHeader: x-p"), ap("a", "rules: [{to: [{operation: {paths: ['/a/{*}', '*/b']}}]}]")), ""))
	f.Fuzz(func(t *testing.T, text []byte) {
		requests, err := policy.ReadRequests("x", bytes.NewReader(text))
		if err != nil {
			return
		}
		for i := range requests {
			if v, err := simulator.Evaluate(&requests[i]); err == nil && v.Outcome == "" {
				t.Errorf("no verdict for %s", text)
			}
		}
	})
}

// FuzzPolicies: no policy panics on any request, whatever its fields say, and
// explanations agree with verdicts.
func FuzzPolicies(f *testing.F) {
	f.Add([]byte(ap("p", "rules: [{from: [{source: {principals: ['*'], namespaces: ['a*b'], serviceAccounts: [a/b], ipBlocks: [1.2.3.4/8], trustDomains: ['*.x']}}], to: [{operation: {paths: ['{*}/{**}'], ports: ['1']}}], when: [{key: 'request.auth.claims[a][b]', values: ['*']}]}]")), []byte(httpLine))
	f.Add([]byte(pa("p", "shop", "", "selector: {matchLabels: {app: app}}, portLevelMtls: {8080: {mode: STRICT}}")), []byte(httpLine))
	f.Add([]byte(jwtPolicy("issuer: a, fromHeaders: [{name: a, prefix: b}], outputClaimToHeaders: [{header: a, claim: b.c}]")), []byte(httpLine))
	for seed := range uint64(8) {
		d := roll(seed, 2)
		f.Add([]byte(docs(append(d.policies("DENY", 2), append(d.policies("CUSTOM", 1), ap("a", d.rules()))...)...)), []byte(tcpLine))
	}
	config, err := mesh.ParseConfig([]byte(randomConfig))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, line []byte) {
		s, err := manifest.Read("x", append([]byte(workloadYAML+"---\n"), text...))
		if err != nil {
			return
		}
		built, err := mesh.Build([]*manifest.Stream{s}, mesh.Options{Namespace: "shop", Config: config})
		if err != nil {
			return
		}
		requests, err := policy.ReadRequests("x", bytes.NewReader(line))
		if err != nil || len(requests) > 3 {
			requests = nil
		}
		requests = append(requests, *request(header("authorization", "Bearer x"), path("/a/b?t=1")), *request(bytesTo(9000)))
		for _, w := range built.Workloads {
			m := policy.Compile(built, w)
			for i := range requests {
				explained(t, m, &requests[i])
			}
		}
	})
}

// FuzzClients: no rule of the client side panics, and every question is
// answered.
func FuzzClients(f *testing.F) {
	f.Add([]byte(docs(dr("a", "shop", "host: app, exportTo: ['.', '*'], subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}}]"), dr("b", "istio-system", "host: '*', trafficPolicy: {tls: {}, loadBalancer: {simple: PASSTHROUGH}}"))))
	f.Add([]byte("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: {hosts: [a, b], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1, ports: {http: 8}, serviceAccount: x}], subjectAltNames: ['spiffe://a/ns/b/sa/c']}\n"))
	f.Add([]byte("apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm}\nspec: {address: 1.1.1.1, labels: {app: app}, ports: {http-web: 99}, serviceAccount: vm}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := manifest.Read("x", append([]byte(workloadYAML+"---\n"), text...))
		if err != nil {
			return
		}
		built, err := mesh.Build([]*manifest.Stream{s}, mesh.Options{Namespace: "shop"})
		if err != nil || len(built.Services) > 20 || len(built.Workloads) > 20 {
			return
		}
		outbound, simulator := policy.NewOutbound(built), policy.NewSimulator(built)
		for _, service := range built.Services {
			for _, port := range service.Ports {
				for _, c := range outbound.Clusters(policy.Proxy{Namespace: "shop", Labels: map[string]string{}}, service, port) {
					for _, e := range outbound.Endpoints(c) {
						if c.TLS == policy.NeverTLS && outbound.EndpointTLS(c, e) {
							t.Errorf("TLS to an endpoint of %s, which never has it", service.Hostname)
						}
					}
				}
				for _, w := range built.Workloads {
					q := policy.Question{From: policy.Caller{Workload: w}, To: policy.Callee{Service: service, Port: port}, HTTP: &policy.HTTP{Method: "GET", Path: "/", Authority: "a"}}
					if a, err := simulator.Ask(&q); err != nil || a.Outcome == "" {
						t.Errorf("%s is not answered: %v", service.Hostname, err)
					}
				}
			}
		}
	})
}
