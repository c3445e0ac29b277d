//go:build envoy

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tutorial is what the reader of docs/tutorial/identities.md types, with places of
// the test's own.
type tutorial struct {
	commands []string // without the prompt
	config   string   // Envoy's
	address  string
	env      []string
}

func readTutorial(t *testing.T) *tutorial {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "tutorial", "identities.md"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close() // so that Envoy can have it
	dir := t.TempDir()
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine := strings.NewReplacer(
		"/tmp/", dir+"/", "127.0.0.1:27017", "127.0.0.1:"+port, "port_value: 27017", "port_value: "+port,
		"testdata/scenarios", filepath.Join(root, "testdata", "scenarios"),
		"ca init", "ca init --passphrase-file "+pass, "ca crl -o ca-crl.pem", "ca crl --passphrase-file "+pass+" -o "+dir+"/ca-crl.pem",
	).Replace(string(text))
	o := &tutorial{address: "127.0.0.1:" + port, env: append(os.Environ(), "KUBECONFIG=/nonexistent", "MESHCTL_CA_DIR="+filepath.Join(dir, "ca"))}
	for _, block := range regexp.MustCompile("(?s)```(console|yaml)\n(.*?)```").FindAllStringSubmatch(mine, -1) {
		if block[1] == "yaml" {
			o.config = block[2]
			continue
		}
		for line := range strings.Lines(block[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				o.commands = append(o.commands, strings.TrimSpace(command))
			}
		}
	}
	return o
}

// run runs the commands of meshctl that begin with one of these.
func (o *tutorial) run(t *testing.T, prefixes ...string) string {
	t.Helper()
	var said strings.Builder
	n := 0
	for _, command := range o.commands {
		for _, prefix := range prefixes {
			if !strings.HasPrefix(command, "meshctl "+prefix) || strings.Contains(command, "|") {
				continue
			}
			n++
			c := exec.Command("sh", "-c", command)
			c.Env = o.env
			out, err := c.CombinedOutput()
			said.Write(out)
			var exit *exec.ExitError
			if no := errors.As(err, &exit) && exit.ExitCode() == int(exitNo); err != nil && !no {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
		}
	}
	if n == 0 {
		t.Fatalf("the tutorial has none of %q", prefixes)
	}
	return said.String()
}

// boot runs Envoy as the tutorial says.
func (o *tutorial) boot(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(o.config), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := cmp.Or(os.Getenv("ENVOY"), filepath.Join("..", "..", ".tools", "bin", "envoy"))
	ctx, stop := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, binary, "-c", file, "--use-dynamic-base-id", "--log-level", "error")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = c.Wait() }) // it was told to end
	for range 200 {
		if connection, err := net.Dial("tcp", o.address); err == nil {
			_ = connection.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("Envoy does not listen")
}

// call does what curl does with its options.
func (o *tutorial) call(t *testing.T, command, dir string) (string, error) {
	t.Helper()
	args := regexp.MustCompile(`--cert (\S+) --key (\S+) (https://\S+)`).FindStringSubmatch(command)
	if args == nil {
		t.Fatalf("not understood: %s", command)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, args[1]), filepath.Join(dir, args[2]))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(args[3])
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestEnvoyTutorial: what docs/tutorial shows happens: an authority, certificates
// for three tiers, an Envoy that lets the backend in and turns the frontend away.
func TestEnvoyTutorial(t *testing.T) {
	t.Parallel()
	o := readTutorial(t)
	if said := o.run(t, "ca init", "ca issue"); strings.Count(said, " issued ") != 4 {
		t.Errorf("%s", said)
	}
	o.boot(t)
	dir, calls := "", 0
	for _, command := range o.commands {
		if to, ok := strings.CutPrefix(command, "cd "); ok {
			dir = to
		}
		if !strings.HasPrefix(command, "curl ") {
			continue
		}
		calls++
		answer, err := o.call(t, command, dir)
		if backend := strings.Contains(command, "backend/"); backend != (err == nil && answer == "photos\n") {
			t.Errorf("%s: %q, %v", command, answer, err)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
	if said := o.run(t, "policy simulate"); !strings.Contains(said, "deny") {
		t.Errorf("%s", said)
	}
	if said := o.run(t, "ca revoke", "ca crl"); !strings.Contains(said, "sa/backend") {
		t.Errorf("%s", said)
	}
}
