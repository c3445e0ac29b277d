package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const testMesh = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: x}]}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web, namespace: shop}
spec:
  rules:
  - to: [{operation: {methods: [GET]}}]
  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]
`

// testFile is a case for each word: to pass, to fail, to be unknown, or to be no
// test.
func testFile(words ...string) string {
	cases := map[string]string{
		"passes":  "- {name: passes, method: GET, expect: allow}\n",
		"fails":   "- {name: fails, method: GET, expect: deny}\n",
		"unknown": "- {name: unknown, method: PUT, expect: deny}\n",
		"broken":  "- {name: broken, method: GET, expect: x}\n",
	}
	text := "apiVersion: meshctl.dev/v1alpha1\nkind: PolicyTest\ninputs: [mesh.yaml]\ndefaults: {from: plaintext, to: svc/web.shop}\ncases:\n"
	for _, word := range words {
		text += cases[word]
	}
	return text
}

// runIn runs a command line on files of a directory, and gives what it prints.
func runIn(t *testing.T, files map[string]string, args ...string) (exitCode, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	code := execute(context.Background(), streams, "meshctl", append(args, dir))
	return code, out.String()
}

// TestPolicyTestExitStatus: it is the same in every format, on standard output
// or in a file; what cannot be run prints nothing.
func TestPolicyTestExitStatus(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]exitCode{
		"passes": exitOK, "passes fails": exitNo, "passes unknown": exitPart, "unknown fails": exitNo, "passes broken": exitFailed,
	} {
		for _, f := range suiteFormats("") {
			files := map[string]string{"mesh.yaml": testMesh, "a.meshtest.yaml": testFile(strings.Fields(words)...)}
			for _, output := range []string{f.name, f.name + "=" + filepath.Join(t.TempDir(), "out")} {
				code, printed := runIn(t, files, "policy", "test", "-o", output)
				if code != want {
					t.Errorf("%s: -o %s: exit %d, want %d", words, output, code, want)
				}
				if (printed == "") != (want == exitFailed) {
					t.Errorf("%s: -o %s: prints %q", words, output, printed)
				}
			}
		}
	}
}

// TestCoverageExitStatus: likewise.
func TestCoverageExitStatus(t *testing.T) {
	t.Parallel()
	for threshold, want := range map[string]exitCode{"0": exitOK, "50": exitOK, "50.1": exitNo, "100": exitNo} {
		for _, f := range coverageFormats() {
			files := map[string]string{"mesh.yaml": testMesh, "a.meshtest.yaml": testFile("passes", "fails", "unknown")}
			code, printed := runIn(t, files, "policy", "coverage", "--threshold", threshold, "-o", f.name)
			if code != want || printed == "" {
				t.Errorf("--threshold %s -o %s: exit %d, want %d: %s", threshold, f.name, code, want, printed)
			}
		}
	}
	files := map[string]string{"mesh.yaml": testMesh, "a.meshtest.yaml": testFile("broken")}
	if code, printed := runIn(t, files, "policy", "coverage"); code != exitFailed || printed != "" {
		t.Errorf("broken: exit %d: %s", code, printed)
	}
}
