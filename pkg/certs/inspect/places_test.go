package inspect_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
)

// sds are the workload's secrets as Envoy reads them from a file.
func sds(w *workload, asJSON bool) []byte {
	if asJSON {
		chain, _ := json.Marshal(w.chainPEM)
		return fmt.Appendf(nil, `{"resources":[{"name":"default","tls_certificate":{"certificate_chain":{"inline_string":%s},"private_key":{"inline_bytes":%q}}},{"name":"ROOTCA","validation_context":{"trusted_ca":{"inline_bytes":%q}}}]}`,
			chain, base64.StdEncoding.EncodeToString([]byte(w.keyPEM)), base64.StdEncoding.EncodeToString([]byte(w.rootPEM)))
	}
	indent := func(text string) string {
		return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
	}
	return fmt.Appendf(nil, `resources:
- name: default
  tls_certificate:
    certificate_chain:
      inline_string: |
        %s
    private_key:
      inline_string: |
        %s
- name: ROOTCA
  validation_context:
    trusted_ca:
      inline_string: |
        %s
`, indent(w.chainPEM), indent(w.keyPEM), indent(w.rootPEM))
}

// TestSecretsOfEnvoy: they are verified with the roots that they hold, and told by
// the lines of the file.
func TestSecretsOfEnvoy(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	text := string(sds(w, false))
	for _, at := range []time.Duration{0, 400 * 24 * time.Hour} {
		groups, err := inspect.Read("default.yaml", []byte(text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		found, err := inspect.Verify(groups, inspect.Verification{VerifyOptions: certs.VerifyOptions{At: noon.Add(at)}, Refuse: certs.SeverityWarning})
		if err != nil || len(found) != 1 || found[0].At != "default.yaml:6" || found[0].Valid != (at == 0) {
			t.Fatalf("%v, %+v", err, found)
		}
		if at > 0 && (len(found[0].Findings) != 2 || found[0].Findings[1].At != lineOf("default.yaml", text, 2)) {
			t.Errorf("the intermediate: %+v", found[0].Findings)
		}
	}
	for what, want := range map[string]string{
		"tls_certificate:\n  certificate_chain: {filename: cert.pem}\n":         "w missing",
		strings.Replace(text, "-----END CERTIFICATE-----", "-----END-----", 1):  "default.yaml:6: block CERTIFICATE has no end before the next begins",
		"resources:\n- validation_context: {trusted_ca: {inline_bytes: '*'}}\n": "default.yaml:2: trusted_ca: no base64",
		"resources:\n- name: a\n  validation_context: {}\n":                     "default.yaml: secrets of Envoy without a certificate or a key",
		"note: tls_certificate\n": "default.yaml: neither a certificate",
	} {
		groups, err := inspect.Read("default.yaml", []byte(what), inspect.Options{})
		got := fmt.Sprint(err)
		if err == nil {
			got = findings(groups[0].Findings)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// lineOf is the place of a certificate, by its number in a text.
func lineOf(file, text string, n int) string {
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "BEGIN CERTIFICATE") {
			if n--; n == 0 {
				return fmt.Sprintf("%s:%d", file, i+1)
			}
		}
	}
	return "nowhere"
}

// TestPlaces: a finding of a verification is told where the certificate stands
// that has it, be it the leaf, one above it or a root of another file.
func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	read := func(name, text string) inspect.Group {
		groups, err := inspect.Read(name, []byte(text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return groups[0]
	}
	chain, root := read("cert-chain.pem", w.chainPEM), read("root-cert.pem", w.rootPEM)
	options := certs.VerifyOptions{At: noon.Add(20 * 365 * 24 * time.Hour)} // all have expired
	want := "cert-chain.pem:1 " + lineOf("cert-chain.pem", w.chainPEM, 2) + " root-cert.pem:1 "
	for name, v := range map[string]struct {
		group inspect.Group
		roots []inspect.Group
	}{"roots given": {chain, []inspect.Group{root}}, "roots beside": {inspect.Merge("folder", chain, root), nil}} {
		found, err := inspect.Verify([]inspect.Group{v.group}, inspect.Verification{VerifyOptions: options, Roots: v.roots})
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %+v", err, found)
		}
		got := ""
		for _, f := range found[0].Findings {
			got += f.At + " "
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
