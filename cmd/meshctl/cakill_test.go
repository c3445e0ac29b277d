package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// program runs this test's binary as meshctl.
func program(args ...string) *exec.Cmd {
	c := exec.Command("meshctl", args...) // testscript.Main put it into the path
	c.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	return c
}

func runProgram(t *testing.T, args ...string) string {
	t.Helper()
	out, err := program(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("meshctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// checkIssued holds every folder of certificates to the log.
func checkIssued(t *testing.T, dir, out string) {
	t.Helper()
	runProgram(t, "ca", "log", "verify", "--dir", dir)
	log, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(out, "shop", "*", "cert-chain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := certs.ParseCertificates(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Contains(log, fmt.Appendf(nil, `"serial":"%x"`, chain[0].SerialNumber)) {
			t.Errorf("%s: its serial number is not in the log", name)
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), "key.pem")); err != nil {
			t.Error(err)
		}
	}
}

// TestCAKilled: SIGKILL at any moment loses no serial number, and the next
// command works (CA-60, CA-61).
func TestCAKilled(t *testing.T) {
	t.Parallel()
	const runs = 60
	dir, out := filepath.Join(t.TempDir(), "ca"), filepath.Join(t.TempDir(), "out")
	runProgram(t, "ca", "init", "--no-encrypt", "--dir", dir)
	args := []string{"ca", "issue", "--dir", dir, "--ns", "shop", "--renew", "-o", "files=" + out}
	for i := range 40 {
		args = append(args, "--sa", fmt.Sprintf("a%d", i))
	}
	begin := time.Now()
	runProgram(t, args...)
	whole := time.Since(begin)
	dice, killed := rand.New(rand.NewPCG(7, 7)), 0
	for range runs {
		c := program(args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(dice.Int64N(int64(whole))))
		_ = c.Process.Kill() // it may be done
		var exit *exec.ExitError
		if err := c.Wait(); errors.As(err, &exit) {
			killed++
		}
		checkIssued(t, dir, out)
	}
	if killed < runs/10 {
		t.Errorf("only %d of %d were killed", killed, runs)
	}
	runProgram(t, args...)
	checkIssued(t, dir, out)
}

// TestCATwoAtOnce: two processes wait for each other, and both are served
// (CA-59).
func TestCATwoAtOnce(t *testing.T) {
	t.Parallel()
	dir, out := filepath.Join(t.TempDir(), "ca"), t.TempDir()
	runProgram(t, "ca", "init", "--no-encrypt", "--dir", dir)
	const n = 8
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			text, err := program("ca", "issue", "--dir", dir, "--ns", "shop", "--sa", fmt.Sprintf("a%d", i), "-o", fmt.Sprintf("files=%s/%d", out, i)).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
	all.Wait()
	if got := runProgram(t, "ca", "log", "verify", "--dir", dir); got != fmt.Sprintf("the log is whole: %d records\n", n+2) {
		t.Error(got)
	}
}
