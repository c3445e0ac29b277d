package policytest_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// photo are the manifests of the bundled example.
func photo(t *testing.T) string {
	t.Helper()
	var all []string
	for _, name := range []string{"photo.yaml", "policies.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "examples", "photo", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "---\n")
}

// TestInitGolden: the first test file of the photo application.
func TestInitGolden(t *testing.T) {
	t.Parallel()
	got, err := policytest.Init(context.Background(), snapshot(t, photo(t)), policytest.Start{
		Name: "photo", Inputs: []policytest.Input{{Path: "photo.yaml"}, {Path: "more", Recursive: true}, {Kustomize: "base"}}, MeshConfig: "mesh.yaml", Namespace: "photo",
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "photo.meshtest.yaml"), string(got))
}

// TestInitExercisesAll: of the photo application, every rule.
func TestInitExercisesAll(t *testing.T) {
	t.Parallel()
	s := snapshot(t, photo(t))
	text, err := policytest.Init(context.Background(), s, policytest.Start{Name: "photo"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := run(t, s, strings.TrimPrefix(string(text[bytes.Index(text, []byte("apiVersion")):]), header), policytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Coverage.Percent() != 100 || strings.Contains(outcomes(r), "failed") {
		t.Errorf("%s\n%s", covered(r), outcomes(r))
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for manifests, want := range map[string]string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n":                                   "nothing to pin: no workload of the manifests has a sidecar and a port that a Service declares",
		strings.Replace(shop, "app: web}", "app: web, gateway.networking.k8s.io/gateway-name: g}", 2): "nothing to pin: no workload of the manifests has a sidecar and a port that a Service declares",
		strings.ReplaceAll(shop, "serviceAccountName: reader", `serviceAccountName: "re*der"`):        `the manifests have a name that a test file cannot say: cases.0.from.1: "shop/re*der" asks about all at once`,
	} {
		_, err := policytest.Init(context.Background(), snapshot(t, manifests), policytest.Start{Name: "policies.meshtest.yaml"})
		if !strings.HasPrefix(problems(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// randomPolicy is one of any action, with what rules look for.
func randomPolicy(r *rand.Rand, i int) string {
	pick := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	var rules []string
	for range r.IntN(3) {
		source := pick("", "from: [{source: {namespaces: [shop]}}], ", "from: [{source: {principals: [cluster.local/ns/dev/sa/x, '*/sa/web']}}], ",
			"from: [{source: {ipBlocks: [10.0.0.0/8]}}], ", "from: [{source: {requestPrincipals: ['https://issuer.example/alice', '*']}}], ",
			"from: [{source: {notRemoteIpBlocks: [192.0.2.0/30]}}], ", "from: [{source: {serviceAccounts: [reader, dev/x]}}], ")
		operation := pick("", "to: [{operation: {methods: [GET, 'P*']}}], ", "to: [{operation: {paths: ['/x*', '*.html', '/{*}/y/{**}', '*']}}], ",
			"to: [{operation: {ports: ['9000']}}], ", "to: [{operation: {notPaths: ['/admin*'], hosts: ['*.example', web.shop]}}], ")
		when := pick("", "when: [{key: 'request.auth.claims[a][b]', values: [c]}], ", "when: [{key: destination.ip, values: [192.0.2.2]}], ", "when: [{key: 'request.headers[x-a]', values: [b]}], ")
		rules = append(rules, "{"+strings.TrimSuffix(source+operation+when, ", ")+"}")
	}
	action := pick("ALLOW", "DENY", "AUDIT", "CUSTOM, provider: {name: ask}")
	return fmt.Sprintf("---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p%d, namespace: shop}\nspec: {action: %s, rules: [%s]}\n", i, action, strings.Join(rules, ", "))
}

// TestInitLaw: whatever the policies are, the file that pins them passes, and
// is the same each time.
func TestInitLaw(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			manifests := authority
			for i := range 1 + r.IntN(5) {
				manifests += randomPolicy(r, i)
			}
			first, err := policytest.Init(context.Background(), snapshot(t, manifests), policytest.Start{Name: "law"})
			if err != nil {
				t.Fatalf("%v\n%s", err, manifests)
			}
			again, err := policytest.Init(context.Background(), snapshot(t, manifests), policytest.Start{Name: "law"})
			if err != nil || !bytes.Equal(first, again) {
				t.Errorf("%v: not the same again", err)
			}
			result, err := run(t, snapshot(t, manifests), string(first[bytes.Index(first, []byte("kind: PolicyTest\n"))+len("kind: PolicyTest\n"):]), policytest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(result); strings.Contains(got, "failed ") || strings.Contains(got, "unknown ") {
				t.Errorf("%s", got)
			}
		})
	}
}
