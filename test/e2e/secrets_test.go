//go:build e2e

package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// issued: the server takes the Secrets that the authority makes, and injected
// pods mount them by their names.
func (c *cluster) issued(t *testing.T) {
	manifests := filepath.Join(c.root, "testdata", "scenarios", "photos.yaml")
	dir := filepath.Join(t.TempDir(), "ca")
	c.meshctl(t, "ca", "init", "--no-encrypt", "--dir", dir)
	injected := c.meshctl(t, "inject", "--identity", "secret", "-f", manifests)
	c.createNamespaces(t, injected)
	for form, kind := range map[string]string{"istio-secret": "istio.io/key-and-cert", "tls-secret": "kubernetes.io/tls"} {
		text := c.meshctl(t, "ca", "issue", "--dir", dir, "-f", manifests, "-o", form)
		if out, err := c.kubectl(t, text, "apply", "--validate=strict", "-f", "-"); err != nil {
			t.Fatalf("kubectl apply: %v: %s", err, out)
		}
		out, err := c.kubectl(t, "", "get", "secrets", "-n", "photos", "--field-selector", "type="+kind, "-o", "name")
		if err != nil || len(strings.Fields(out)) != 3 {
			t.Errorf("%s: %v: %s", form, err, out)
		}
	}
	mounted := regexp.MustCompile(`secretName: (istio\.[a-z]+)`).FindAllStringSubmatch(injected, -1)
	if len(mounted) != 3 {
		t.Errorf("%d Secrets are mounted", len(mounted))
	}
	for _, m := range mounted {
		if out, err := c.kubectl(t, "", "get", "secret", "-n", "photos", m[1]); err != nil {
			t.Errorf("%s: %v: %s", m[1], err, out)
		}
	}
	c.controlPlane(t)
	for _, layout := range []string{"pem", "tls"} {
		if out, err := c.kubectl(t, c.meshctl(t, "ca", "cacerts", "--dir", dir, "--layout", layout), "apply", "--validate=strict", "-f", "-"); err != nil {
			t.Fatalf("cacerts, %s: %v: %s", layout, err, out)
		}
		if out, err := c.kubectl(t, "", "delete", "secret", "-n", "istio-system", "cacerts"); err != nil { // its type cannot be changed
			t.Fatalf("kubectl delete: %v: %s", err, out)
		}
	}
	if out, err := c.kubectl(t, c.meshctl(t, "ca", "bundle", "--dir", dir, "--form", "configmap", "-n", "photos"), "apply", "--validate=strict", "-f", "-"); err != nil {
		t.Fatalf("bundle: %v: %s", err, out)
	}
}
