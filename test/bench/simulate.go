package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeSimulation writes a mesh and n requests to it, in the form that programs
// write, and is the command that answers them.
func writeSimulation(dir string, n int) (args []string, err error) {
	manifests, requests := filepath.Join(dir, "mesh.yaml"), filepath.Join(dir, fmt.Sprintf("%d.jsonl", n))
	const workloads, policies = 100, 200
	text := tokens + layouts()[0].manifests(workloads, policies)
	if err := os.WriteFile(manifests, []byte(text), 0o600); err != nil {
		return nil, err
	}
	f, err := os.Create(requests)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	for i := range n {
		w := i % workloads
		token := ""
		if i%4 == 0 {
			token = fmt.Sprintf(`, "tokens": [{"in": "header", "name": "authorization", "prefix": "Bearer ", "valid": %t, "invalid": %q, "claims": {"iss": "issuer", "sub": "user-%d", "groups": ["a", "b"], "exp": 1893456000}}]`,
				i%8 == 0, map[bool]string{true: "", false: "expired"}[i%8 == 0], i)
		}
		if _, err := fmt.Fprintf(out, request, i, w%layouts()[0].namespaces, w, i%5, i%7, []string{"GET", "POST", "HEAD"}[i%3], i%300, token); err != nil {
			return nil, err
		}
	}
	return []string{"policy", "simulate", "-f", manifests, "--requests", requests}, out.Flush()
}

const request = `{"id": "request-%[1]d", "to": {"namespace": "team-%[2]d", "workload": "web-%[3]d", "port": 8080, "ip": "10.0.0.9"}, ` +
	`"from": {"identity": "spiffe://cluster.local/ns/team-%[4]d/sa/client-%[5]d", "ip": "10.0.1.5", "sni": "", "alpn": ["istio-http/1.1", "istio", "http/1.1"]}, ` +
	`"http": {"method": %[6]q, "path": "/items/%[7]d/x?page=%[1]d", "authority": "web-%[3]d.team-%[2]d", "headers": {"user-agent": "curl/8.5.0", "accept": "*/*", "x-tier": "gold"}%[8]s}}
`

const tokens = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: issuer, jwks: '{"keys": []}'}]}
---
`
