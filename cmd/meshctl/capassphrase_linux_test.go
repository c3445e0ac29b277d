package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what is typed into the first is read from the
// second.
func terminal(t *testing.T) (typed, seen *os.File) {
	t.Helper()
	typed, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = typed.Close() })
	if err := unix.IoctlSetPointerInt(int(typed.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(typed.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	seen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seen.Close() })
	return typed, seen
}

// answer runs a command at a terminal and types a line after each prompt.
func answer(t *testing.T, c *exec.Cmd, lines map[string]string) (said string, err error) {
	t.Helper()
	typed, seen := terminal(t)
	c.Stdin, c.Stdout = seen, io.Discard
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var told, line strings.Builder
	for r := bufio.NewReader(stderr); ; {
		b, err := r.ReadByte()
		if err != nil {
			break
		}
		told.WriteByte(b)
		line.WriteByte(b)
		if b == '\n' {
			line.Reset()
		}
		if text, ok := lines[line.String()]; ok {
			if _, err := io.WriteString(typed, text+"\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return told.String(), c.Wait()
}

// TestPassphraseTyped: at a terminal the passphrase is asked for, twice for a new
// one, and not shown (CA-56).
func TestPassphraseTyped(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	said, err := answer(t, program("ca", "init", "--dir", dir), map[string]string{"New passphrase of the root: ": "correct horse", "Once more: ": "correct hrose"})
	if err == nil || !strings.Contains(said, "the passphrases differ: nothing was made") {
		t.Errorf("%v: %s", err, said)
	}
	if said, err = answer(t, program("ca", "init", "--dir", dir), map[string]string{"New passphrase of the root: ": "correct horse", "Once more: ": "correct horse"}); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if strings.Contains(said, "horse") {
		t.Errorf("it is shown: %s", said)
	}
	if said, err = answer(t, program("ca", "crl", "--dir", dir), map[string]string{"Passphrase of the root: ": "battery staple"}); err == nil || !strings.Contains(said, "the passphrase is not the one that the key was encrypted with") {
		t.Errorf("%v: %s", err, said)
	}
	if said, err = answer(t, program("ca", "crl", "--dir", dir), map[string]string{"Passphrase of the root: ": "correct horse"}); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// TestPassphraseDescriptor: it is read from a descriptor, to the end of its first
// line (CA-56).
func TestPassphraseDescriptor(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	given := func(text string, args ...string) (string, error) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := program(append(args, "--dir", dir, "--passphrase-fd", "3")...)
		c.ExtraFiles = []*os.File{r}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := c.CombinedOutput()
		_ = r.Close()
		return string(out), err
	}
	if out, err := given("correct horse\n", "ca", "init"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := given("correct horse", "ca", "crl"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := given("", "ca", "crl"); err == nil || !strings.Contains(out, "the passphrase is not the one") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := program("ca", "crl", "--dir", dir, "--passphrase-fd", "9").CombinedOutput(); err == nil || !strings.Contains(string(out), "passphrase") {
		t.Errorf("%v: %s", err, out)
	}
}
