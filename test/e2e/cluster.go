//go:build e2e

// Package e2e asks a real kube-apiserver, with etcd behind it, whether it
// accepts what meshctl writes.
package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// token is the administrator's, of a server that lives for one test run.
const token = "end-to-end-test"

// cluster is a running API server.
type cluster struct {
	kubeconfig string
	root       string // of the checkout
}

// start brings up etcd and kube-apiserver on free loopback ports and waits
// until the server is ready. Both end with the test.
func start(t *testing.T) *cluster {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	client, peer, api := freePort(t), freePort(t), freePort(t)
	etcdURL := "http://127.0.0.1:" + client
	run(t, dir, "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", "http://127.0.0.1:"+peer, "--initial-advertise-peer-urls", "http://127.0.0.1:"+peer,
		"--initial-cluster", "default=http://127.0.0.1:"+peer)
	key := writeKey(t, dir)
	tokens := filepath.Join(dir, "tokens.csv")
	write(t, tokens, token+",admin,admin,system:masters\n")
	run(t, dir, "kube-apiserver", "--etcd-servers", etcdURL, "--secure-port", api, "--bind-address", "127.0.0.1",
		"--cert-dir", filepath.Join(dir, "certs"), "--token-auth-file", tokens, "--authorization-mode", "AlwaysAllow",
		"--disable-admission-plugins", "ServiceAccount", "--service-cluster-ip-range", "10.0.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key)
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig"), root: root}
	write(t, c.kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: e2e
contexts: [{name: e2e, context: {cluster: e2e, user: admin}}]
clusters: [{name: e2e, cluster: {server: "https://127.0.0.1:%s", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: %s}}]
`, api, token))
	c.await(t)
	return c
}

// await waits for the server to say that it is ready.
func (c *cluster) await(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		out, err := c.kubectl(t, "", "get", "--raw", "/readyz")
		if err == nil && strings.Contains(out, "ok") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API server is not ready: %v: %s", err, out)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// kubectl runs the pinned kubectl with input.
func (c *cluster) kubectl(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	return c.command(t, input, c.tool("kubectl"), append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
}

// meshctl runs the built binary and gives its standard output.
func (c *cluster) meshctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.command(t, "", filepath.Join(c.root, "bin", "meshctl"), args...)
	if err != nil {
		t.Fatalf("meshctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tool(name string) string { return filepath.Join(c.root, ".tools", "bin", name) }

// command gives standard output, or standard error if the command fails.
func (c *cluster) command(t *testing.T, input, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = strings.NewReader(input)
	command.Env = append(os.Environ(), "PATH="+filepath.Join(c.root, ".tools", "bin")+":"+os.Getenv("PATH"), "KUBECONFIG="+c.kubeconfig)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return string(out) + stderr.String(), err
	}
	return string(out), nil
}

// run starts a server that ends with the test; its log is shown if that fails.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	tool, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(tool, args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatalf("%s: %v (make tools-e2e builds it)", name, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", name, tail(string(text), 3000))
		}
	})
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// writeKey makes the key that signs service account tokens.
func writeKey(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sa.key")
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// controlPlane makes the namespace of the control plane, once or again.
func (c *cluster) controlPlane(t *testing.T) {
	t.Helper()
	if out, err := c.kubectl(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n", "apply", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
