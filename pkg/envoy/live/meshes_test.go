//go:build envoy

package live_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// wholeMeshes are those of testdata.
func wholeMeshes(t *testing.T) map[string]fixture {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "meshes", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	all := map[string]fixture{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = newFixture(t, string(text))
	}
	return all
}

func (f fixture) live(t *testing.T, w *mesh.Workload) live.Workload {
	t.Helper()
	config, err := envoy.NewGenerator(f.Snapshot, f.simulator).Config(w)
	if err != nil {
		t.Fatal(err)
	}
	return live.Workload{Config: config, Identity: w.Identity("cluster.local")}
}

// start runs sidecars until the test ends.
func start(t *testing.T, workloads []live.Workload, o live.Options) *live.Sidecars {
	t.Helper()
	o.Binary, o.TrustDomain, o.Now = binary(t), "cluster.local", time.Now
	sidecars, err := live.Start(t.Context(), workloads, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sidecars.Close(); err != nil {
			t.Error(err)
		}
	})
	return sidecars
}

// aRequest is one that suits a port.
func aRequest(p mesh.Protocol, host string) *policy.HTTP {
	h := &policy.HTTP{Method: "GET", Path: "/", Authority: host}
	switch p.Traffic() {
	case mesh.TCPTraffic:
		return nil
	case mesh.HTTPTraffic:
		if p == mesh.GRPC {
			h.Method, h.Version, h.Headers = "POST", "2", policy.Lines{{Name: "content-type", Value: "application/grpc"}}
		}
	}
	return h
}

// TestEnvoyBoots: the static form of each workload of whole meshes, in either
// form and with what it sends, is valid, becomes LIVE and answers on every port
// as the simulator does, as do ports that nobody declares (EC-142, DP-2, DP-4,
// DP-6).
func TestEnvoyBoots(t *testing.T) {
	for file, f := range wholeMeshes(t) {
		for _, w := range f.Workloads {
			for _, o := range []live.Options{{Form: envoy.ProxyProtocol}, {Form: envoy.OwnAddresses, Senders: true}} {
				if !w.Membership.Sidecar {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", file, w.Name, o.Form), func(t *testing.T) {
					sidecars := start(t, []live.Workload{f.live(t, w)}, o)
					caller := "spiffe://cluster.local/ns/" + w.Namespace + "/sa/somebody"
					to := policy.Destination{Namespace: w.Namespace, Workload: w.Name}
					var asked []policy.Request
					for _, p := range f.InboundPorts(w) {
						to.Port = uint32(p.Number)
						for _, id := range []*string{nil, &caller} {
							r := policy.Request{To: to, From: policy.Client{Identity: id}, HTTP: aRequest(p.Protocol, w.Name)}
							if id != nil {
								r.From.ALPN = []string{"istio-http/1.1", "istio-h2", "istio"}
							}
							asked = append(asked, r)
						}
					}
					if o.Form == envoy.ProxyProtocol {
						to.Port = 1234
						asked = append(asked, policy.Request{To: to}, policy.Request{To: to, HTTP: aRequest(mesh.HTTP, w.Name)})
					}
					compareAnswers(t, f, sidecars, asked)
				})
			}
		}
	}
}

func compareAnswers(t *testing.T, f fixture, sidecars *live.Sidecars, asked []policy.Request) {
	t.Helper()
	answers, err := sidecars.Ask(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		want, err := f.simulator.Evaluate(&asked[i])
		if err != nil {
			t.Fatal(err)
		}
		if a.Err != nil {
			t.Errorf("port %d: %v", asked[i].To.Port, a.Err)
		} else if differences := live.Differences(&want, &a.Verdict); differences != nil {
			t.Errorf("port %d: %v", asked[i].To.Port, differences)
		}
	}
}

// TestEnvoyMesh: all workloads of a mesh run at once, and each calls every
// Service through its own sidecar. The called ones answer as the simulator does.
func TestEnvoyMesh(t *testing.T) {
	for file, f := range wholeMeshes(t) {
		t.Run(file, func(t *testing.T) {
			var workloads []live.Workload
			for _, w := range f.Workloads {
				workloads = append(workloads, f.live(t, w))
			}
			sidecars := start(t, workloads, live.Options{Form: envoy.OwnAddresses, Senders: true})
			var sent []live.Sent
			var questions []*policy.Question
			for _, from := range f.Workloads {
				for _, v := range f.Services {
					for _, p := range v.Ports {
						one := live.Sent{From: from.Namespace + "/" + from.Name, Port: uint32(p.Number), HTTP: aRequest(p.Protocol, v.Hostname)}
						if p.Protocol.Traffic() != mesh.HTTPTraffic {
							one.Address = sidecars.ServiceAddress(one.From, v.Hostname, one.Port)
						}
						sent = append(sent, one)
						questions = append(questions, &policy.Question{From: policy.Caller{Workload: from}, To: policy.Callee{Service: v, Port: p}, HTTP: one.HTTP, SourceIP: "127.0.0.1"})
					}
				}
			}
			answers, err := sidecars.Send(t.Context(), sent)
			if err != nil {
				t.Fatal(err)
			}
			outcomes := map[policy.Outcome]int{}
			for i, a := range answers {
				outcomes[a.Outcome]++
				compareSent(t, f, questions[i], &a)
			}
			if outcomes[policy.Allow] < 5 || outcomes[policy.Deny] < 5 {
				t.Errorf("outcomes %v: that says little", outcomes)
			}
		})
	}
}

func compareSent(t *testing.T, f fixture, q *policy.Question, a *live.Answer) {
	t.Helper()
	if a.Err != nil {
		t.Errorf("%s to %s: %v", q.From, q.To, a.Err)
		return
	}
	want, err := f.simulator.Ask(q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.Endpoints {
		if e := &want.Endpoints[i]; e.Workload.Namespace+"/"+e.Workload.Name == a.Workload {
			if differences := live.Differences(&e.Verdict, &a.Verdict); differences != nil {
				t.Errorf("%s to %s: %v\n%+v", q.From, q.To, differences, a.Log)
			}
			return
		}
	}
	t.Errorf("%s to %s came to %q", q.From, q.To, a.Workload)
}
