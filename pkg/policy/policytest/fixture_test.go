package policytest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
	"github.com/meshctl/meshctl/pkg/report"
)

// shop is the mesh of most tests: web serves HTTP and bytes, and lets its
// readers read.
const shop = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-raw, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: web, containers: [{name: web, image: x}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reader, namespace: shop}
spec:
  template:
    metadata: {labels: {app: reader}}
    spec: {serviceAccountName: reader, containers: [{name: reader, image: x}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {serviceAccounts: [reader]}}]
    to: [{operation: {methods: [GET], paths: [/items/*]}}]
  - from: [{source: {ipBlocks: [10.1.0.0/16]}}]
    to: [{operation: {ports: ["9000"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: shop}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/items/admin*], ports: ["8080"]}}]
`

// snapshot builds a mesh of manifests.
func snapshot(t testing.TB, manifests string) *mesh.Snapshot {
	t.Helper()
	stream, err := manifest.Read("mesh.yaml", []byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Build([]*manifest.Stream{stream}, mesh.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// header begins the test files.
const header = "apiVersion: meshctl.dev/v1alpha1\nkind: PolicyTest\n"

// parse reads a test file.
func parse(text string) ([]*policytest.File, error) {
	stream, err := manifest.Read("t.meshtest.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return policytest.Parse(stream)
}

// run runs a test file, without its header, on a mesh.
func run(t testing.TB, s *mesh.Snapshot, text string, o policytest.Options) (*policytest.Result, error) {
	t.Helper()
	files, err := parse(header + text)
	if err != nil {
		return nil, err
	}
	var suites []policytest.Suite
	for _, f := range files {
		suites = append(suites, policytest.Suite{File: f, Mesh: s, Namespace: "default"})
	}
	return policytest.Run(context.Background(), suites, o)
}

// outcomes are the cases of all suites, one a line: status and name, and below
// it what was not met.
func outcomes(r *policytest.Result) string {
	var lines []string
	for _, s := range r.Suites {
		for _, c := range s.Cases {
			lines = append(lines, string(c.Status)+" "+c.Name)
			for _, check := range c.Unmet() {
				lines = append(lines, "  "+check.Name+": expected "+check.Want+", got "+check.Got)
			}
			if c.Status != report.Passed {
				lines = append(lines, "  "+c.Message)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// problems are the lines of an error.
func problems(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
