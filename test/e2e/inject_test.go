//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInject runs everything against one API server: starting it is what takes
// time.
func TestInject(t *testing.T) {
	c := start(t)
	c.installCRDs(t)
	manifests := c.manifests(t)
	if len(manifests) == 0 {
		t.Fatal("no manifests to apply")
	}
	for _, file := range manifests {
		for _, layout := range []string{"--native-sidecars=false", "--native-sidecars=true", "--cni"} {
			t.Run(filepath.Base(file)+layout, func(t *testing.T) { c.applyInjected(t, file, layout) })
		}
		t.Run(filepath.Base(file)+" uninjected", func(t *testing.T) { c.applyUninjected(t, file) })
	}
	t.Run("secrets of the authority", c.issued)
	t.Run("from cluster", c.fromCluster)
	t.Run("kubectl plugin", c.plugin)
}

// manifests are the project's own examples and, where they are there, the
// shared samples. CI insists on the samples.
func (c *cluster) manifests(t *testing.T) []string {
	t.Helper()
	samples := os.Getenv("MESHCTL_SAMPLES")
	if samples == "" {
		samples = filepath.Join(c.root, "..", "shared", "samples")
	}
	found, err := filepath.Glob(filepath.Join(samples, "*", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no samples in %s", samples)
		}
		t.Logf("no samples in %s: own examples only", samples)
	}
	own, err := filepath.Glob(filepath.Join(c.root, "testdata", "examples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return append(own, found...)
}

// applyInjected is meshctl inject -f FILE | kubectl apply --validate=strict -f -
func (c *cluster) applyInjected(t *testing.T, file, layout string) {
	injected := c.meshctl(t, "inject", layout, "-f", file)
	c.createNamespaces(t, injected)
	applied, err := c.kubectl(t, injected, "apply", "--validate=strict", "-o", "json", "-f", "-")
	if err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, applied)
	}
	// What the cluster keeps must be what was sent: no sidecar may get lost.
	want := strings.Count(injected, "sidecar.istio.io/status:")
	if got := sidecars(t, applied); got != want {
		t.Errorf("%d pods with a sidecar in the cluster, %d in the manifest", got, want)
	}
	// Jobs and pods cannot be changed into another layout: start anew.
	if out, err := c.kubectl(t, injected, "delete", "--ignore-not-found", "--grace-period=0", "--force", "-f", "-"); err != nil {
		t.Fatalf("kubectl delete: %v: %s", err, out)
	}
}

func (c *cluster) applyUninjected(t *testing.T, file string) {
	injected := filepath.Join(t.TempDir(), "injected.yaml")
	write(t, injected, c.meshctl(t, "inject", "-f", file))
	c.createNamespaces(t, c.meshctl(t, "inject", "-f", file))
	plain := c.meshctl(t, "uninject", "-f", injected)
	if out, err := c.kubectl(t, plain, "apply", "--validate=strict", "--dry-run=server", "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, out)
	}
	if strings.Contains(plain, "sidecar.istio.io/status") {
		t.Error("a sidecar is left")
	}
}

// sidecars counts the pods with an istio-proxy in what kubectl printed, each
// under the annotation that makes it an injected one.
func sidecars(t *testing.T, text string) int {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if proxyIn(v["containers"]) || proxyIn(v["initContainers"]) {
				found++
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(tree)
	return found
}

func proxyIn(list any) bool {
	items, _ := list.([]any)
	for _, item := range items {
		if c, ok := item.(map[string]any); ok && c["name"] == "istio-proxy" {
			return true
		}
	}
	return false
}

// createNamespaces makes the namespaces that a manifest names.
func (c *cluster) createNamespaces(t *testing.T, manifest string) {
	t.Helper()
	for line := range strings.Lines(manifest) {
		if name, ok := strings.CutPrefix(line, "  namespace: "); ok {
			// It may be there already: what counts is the apply that follows.
			_, _ = c.kubectl(t, "", "create", "namespace", strings.TrimSpace(name))
		}
	}
}

// installCRDs installs Istio's own, from the API module that the product uses.
func (c *cluster) installCRDs(t *testing.T) {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api")
	list.Dir = c.root
	dir, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(strings.TrimSpace(string(dir)), "kubernetes", "customresourcedefinitions.gen.yaml")
	if out, err := c.kubectl(t, "", "apply", "--server-side", "-f", crds); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := c.kubectl(t, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fromCluster compares injection from ConfigMaps in the cluster with injection
// from the same texts in files.
func (c *cluster) fromCluster(t *testing.T) {
	c.controlPlane(t)
	config := filepath.Join(c.root, "testdata", "injector")
	for _, args := range [][]string{
		{"-n", "istio-system", "create", "configmap", "istio-sidecar-injector", "--from-file=" + config + "/config", "--from-file=" + config + "/values"},
		{"-n", "istio-system", "create", "configmap", "istio", "--from-file=" + config + "/mesh"},
	} {
		if out, err := c.kubectl(t, "", args...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	file := filepath.Join(c.root, "testdata", "examples", "shop.yaml")
	want := c.meshctl(t, "inject", "--inject-config", config+"/config", "--values", config+"/values", "--mesh-config", config+"/mesh", "-f", file)
	got := c.meshctl(t, "inject", "--from-cluster", "--kubeconfig", c.kubeconfig, "-f", file)
	if want != got {
		t.Error("--from-cluster injects something else than the files")
	}
	saved, err := c.kubectl(t, "", "-n", "istio-system", "get", "configmap", "istio-sidecar-injector", "istio", "-o", "yaml")
	if err != nil {
		t.Fatal(saved)
	}
	both := filepath.Join(t.TempDir(), "mesh.yaml")
	write(t, both, saved)
	if got := c.meshctl(t, "inject", "--inject-config", both, "--mesh-config", both, "-f", file); want != got {
		t.Error("kubectl get cm -o yaml injects something else than the files")
	}
	out, err := c.command(t, "", filepath.Join(c.root, "bin", "meshctl"), "inject", "--from-cluster", "--kubeconfig", c.kubeconfig, "--revision", "canary", "-f", file)
	if err == nil || !strings.Contains(out, "istio-sidecar-injector-canary") {
		t.Errorf("a missing revision: %v: %s", err, out)
	}
}

// plugin calls meshctl as kubectl mesh.
func (c *cluster) plugin(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(c.root, "bin", "meshctl"), filepath.Join(dir, "kubectl-mesh")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	out, err := c.command(t, "", c.tool("kubectl"), "mesh", "version")
	if err != nil || !strings.Contains(out, "meshctl") {
		t.Errorf("kubectl mesh version: %v: %s", err, out)
	}
	out, err = c.command(t, "", c.tool("kubectl"), "mesh", "inject", "-f", filepath.Join(c.root, "testdata", "examples", "shop.yaml"))
	if err != nil || !strings.Contains(out, "istio-proxy") {
		t.Errorf("kubectl mesh inject: %v: %s", err, out)
	}
}
