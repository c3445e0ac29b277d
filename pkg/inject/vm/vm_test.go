package vm_test

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/inject/vm"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

var update = flag.Bool("update", false, "write the goldens anew")

func objects(t testing.TB, text string) []*mesh.Object {
	t.Helper()
	stream, err := manifest.Read("groups.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := mesh.ReadObjects([]*manifest.Stream{stream}, "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func groups(t testing.TB, text string) map[string]*mesh.WorkloadGroup {
	t.Helper()
	all, err := mesh.WorkloadGroups(objects(t, text))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*mesh.WorkloadGroup{}
	for _, g := range all {
		byName[g.Name] = g
	}
	return byName
}

// group is one that has a spec and annotations.
func group(t testing.TB, annotations, spec string) *mesh.WorkloadGroup {
	t.Helper()
	return groups(t, "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata:\n  name: ledger\n  namespace: bank\n  annotations: "+annotations+"\nspec: "+spec+"\n")["ledger"]
}

// options are those of most tests.
func options(change func(*vm.Options)) vm.Options {
	o := vm.Options{TrustDomain: "cluster.local", ClusterID: "Kubernetes", CaptureDNS: true}
	if change != nil {
		change(&o)
	}
	return o
}

// TestGolden shows whole bundles: with a gateway of IPv4, of IPv6, of a group
// that says nothing, and of one that takes certificates from files only
// (INJ-110, INJ-111, INJ-112).
func TestGolden(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "groups.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := groups(t, string(text))
	config, err := mesh.ParseConfig([]byte("trustDomain: bank.example\ndefaultConfig: {meshId: south, discoveryAddress: 'istiod.istio-system.svc:15012', proxyMetadata: {FROM: mesh, MORE: mesh}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		group string
		vm.Options
	}{
		"ipv4": {"ledger", options(func(o *vm.Options) {
			o.Ingress, o.Mesh, o.TrustDomain = netip.MustParseAddr("203.0.113.7"), config, "bank.example"
		})},
		"ipv6": {"vault", options(func(o *vm.Options) {
			o.Ingress, o.Address.IP = netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::22")
		})},
		"bare":    {"bare", options(nil)},
		"mounted": {"mounted", options(nil)},
		"revision": {"vault", options(func(o *vm.Options) {
			o.Revision, o.IstioNamespace, o.ClusterID, o.AutoRegister, o.CaptureDNS = "blue", "mesh", "north-1", true, false
			o.Ingress, o.Address = netip.MustParseAddr("203.0.113.7"), vm.Address{IP: netip.MustParseAddr("198.51.100.4"), External: true}
		})},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := vm.New(all[tt.group], tt.Options)
			if err != nil {
				t.Fatal(err)
			}
			if b.Notes != nil {
				t.Error(b.Notes)
			}
			checkGolden(t, filepath.Join("testdata", "golden", name), b.Files)
		})
	}
}

func checkGolden(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if *update {
		for name, data := range files {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, files[e.Name()]) {
			t.Errorf("%s (-want +got):\n%s", e.Name(), cmp.Diff(string(want), string(files[e.Name()])))
		}
	}
	if len(entries) != len(files) {
		t.Errorf("%d files, want %d", len(files), len(entries))
	}
}

// TestEnvironment holds single lines of cluster.env and mesh.yaml to their rules.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	config := func(text string) func(*vm.Options) {
		return func(o *vm.Options) {
			c, err := mesh.ParseConfig([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			o.Mesh = c
		}
	}
	tests := []struct {
		name, annotations, spec string
		change                  func(*vm.Options)
		file                    string
		has                     []string
		not                     string
	}{
		{"no ports: all are taken (INJ-111)", "{}", "{template: {}}", nil, vm.EnvFile, []string{"ISTIO_INBOUND_PORTS='*'"}, "POD_PORTS"},
		{
			"ports sorted, each once; those with names in the metadata (INJ-111, INJ-112)", "{}", "{template: {ports: {b: 90, a: 100, c: 90}}}", nil, vm.EnvFile,
			[]string{"ISTIO_INBOUND_PORTS='90,100'", `ISTIO_META_POD_PORTS='[{"name":"a","containerPort":100,"protocol":""},{"name":"b","containerPort":90,"protocol":""},{"name":"c","containerPort":90,"protocol":""}]'`},
			"",
		},
		{"the account is default unless it is named (INJ-111)", "{}", "{template: {}}", nil, vm.EnvFile, []string{"SERVICE_ACCOUNT='default'"}, ""},
		{"a status port that is excluded already (INJ-111)", "{proxy.istio.io/config: 'statusPort: 15021'}", "{template: {}}", nil, vm.EnvFile, []string{"ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021'"}, ""},
		{"no status port is the usual one (INJ-111)", "{proxy.istio.io/config: 'statusPort: 0'}", "{template: {}}", nil, vm.EnvFile, []string{"ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020'"}, ""},
		{
			"ports that the user excludes are added", `{proxy.istio.io/config: "proxyMetadata: {ISTIO_LOCAL_EXCLUDE_PORTS: '9100,22'}"}`, "{template: {}}", nil, vm.EnvFile,
			[]string{"ISTIO_LOCAL_EXCLUDE_PORTS='22,15090,15021,15020,9100'"},
			"",
		},
		{"no revision, no CA_ADDR (INJ-111)", "{}", "{template: {}}", func(o *vm.Options) { o.Revision = "default" }, vm.EnvFile, nil, "CA_ADDR"},
		{"a revision's istiod (INJ-111)", "{}", "{template: {}}", func(o *vm.Options) { o.Revision = "blue" }, vm.MeshFile, []string{"discoveryAddress: istiod-blue.istio-system.svc:15012"}, ""},
		{
			"an address that the mesh config says stays (INJ-111)", "{}", "{template: {}}",
			func(o *vm.Options) {
				config("defaultConfig: {discoveryAddress: 'istiod.example:443'}")(o)
				o.Revision = "blue"
			}, vm.MeshFile,
			[]string{"discoveryAddress: istiod.example:443"},
			"",
		},
		{"the probe is the group's, or none (INJ-111)", "{proxy.istio.io/config: 'readinessProbe: {periodSeconds: 9}'}", "{template: {}}", nil, vm.MeshFile, nil, "readinessProbe"},
		{"an internal address (INJ-111)", "{}", "{template: {}}", func(o *vm.Options) { o.Address.IP = netip.MustParseAddr("10.0.0.9") }, vm.EnvFile, []string{"ISTIO_SVC_IP='10.0.0.9'"}, "REWRITE_PROBE"},
		{"DNS is not captured, whatever the mesh config says", "{}", "{template: {}}", func(o *vm.Options) {
			config("defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}")(o)
			o.CaptureDNS = false
		}, vm.EnvFile, nil, "DNS_CAPTURE"},
		{"the certificate in place of a token, and the next one in its place (CA-47)", "{}", "{template: {}}", nil, vm.EnvFile, []string{"PROV_CERT='/etc/certs'", "OUTPUT_CERTS='/etc/certs'"}, "FILE_MOUNTED"},
		{
			"another place for it", "{proxy.istio.io/config: 'proxyMetadata: {PROV_CERT: /srv/first}'}", "{template: {}}", nil, vm.EnvFile,
			[]string{"PROV_CERT='/srv/first'", "OUTPUT_CERTS='/etc/certs'"},
			"",
		},
		{"metadata that is computed wins (INJ-112)", "{proxy.istio.io/config: 'proxyMetadata: {POD_NAMESPACE: other, SERVICE_ACCOUNT: root}'}", "{template: {serviceAccount: me}}", nil, vm.EnvFile, []string{"POD_NAMESPACE='bank'", "SERVICE_ACCOUNT='me'"}, ""},
		{"settings that every proxy has are not repeated", "{proxy.istio.io/config: 'drainDuration: 45s'}", "{template: {}}", nil, vm.MeshFile, nil, "drainDuration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := vm.New(group(t, tt.annotations, tt.spec), options(tt.change))
			if err != nil {
				t.Fatal(err)
			}
			text := string(b.Files[tt.file])
			for _, want := range tt.has {
				if !strings.Contains("\n"+strings.ReplaceAll(text, "\n  ", "\n"), "\n"+want+"\n") {
					t.Errorf("no line %s in\n%s", want, text)
				}
			}
			if tt.not != "" && strings.Contains(text, tt.not) {
				t.Errorf("%s in\n%s", tt.not, text)
			}
		})
	}
}

// TestNotes: what may not be meant is told, with its place.
func TestNotes(t *testing.T) {
	t.Parallel()
	g := group(t, "{proxy.istio.io/config: 'discoveryAddress: istiod.example:443'}", "{metadata: {labels: {app: a, same: s}}, template: {labels: {app: b, same: s}}}")
	b, err := vm.New(g, options(func(o *vm.Options) { o.Ingress = netip.MustParseAddr("203.0.113.7") }))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`groups.yaml:7:72: WorkloadGroup bank/ledger: label app is "b" here and "a" in spec.metadata.labels: this one counts`,
		`groups.yaml:1:1: WorkloadGroup bank/ledger: the discovery address is istiod.example:443, but hosts names istiod.istio-system.svc`,
	}
	if diff := cmp.Diff(want, b.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(string(b.Files[vm.EnvFile]), `ISTIO_METAJSON_LABELS='{"app":"b","same":"s","service.istio.io/canonical-name":"b",`) {
		t.Errorf("%s", b.Files[vm.EnvFile])
	}
}
