package vm_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/inject/vm"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestShell: whatever a value has in it, a shell that reads cluster.env has that
// value, and runs nothing (INJ-111); whoever reads mesh.yaml has it too. The start
// script reads cluster.env with "set -a".
func TestShell(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	pieces := []string{
		"'", "''", `"`, "\\", "\n", "\r", "\t", " ", "$HOME", "${HOME}", "$(touch ran)", "`touch ran`", ";touch ran", "&& touch ran", "|", "#", "!", "*", "~", "=", "%s", "é", "\x1b", "\x7f", "\u0085", "\u009f", "\ufeff", "\uffff", "\u2028", "\U0001f510", ": ", "- ", "a",
	}
	dice := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{"EMPTY": ""}
	for i := range 200 {
		var value strings.Builder
		for range dice.IntN(9) {
			value.WriteString(pieces[dice.IntN(len(pieces))])
		}
		want[fmt.Sprintf("V_%d", i)] = value.String()
	}
	for i, piece := range pieces {
		want[fmt.Sprintf("P%d", i)] = piece
	}
	got := environmentOf(t, sh, want)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: %q, want %q", key, got[key], value)
		}
	}
}

// FuzzShell is TestShell for any value.
func FuzzShell(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("it's `a` $b \\ \"c\"\n")
	f.Fuzz(func(t *testing.T, value string) {
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return // no config has it, or no variable can hold it
		}
		if got := environmentOf(t, sh, map[string]string{"VALUE": value}); got["VALUE"] != value {
			t.Errorf("%q, want %q", got["VALUE"], value)
		}
	})
}

// environmentOf is what a program finds that a shell starts after it read the
// cluster.env of a group with this metadata.
func environmentOf(t *testing.T, sh string, metadata map[string]string) map[string]string {
	t.Helper()
	o := options(nil)
	o.Mesh = mesh.DefaultConfig()
	o.Mesh.DefaultConfig.ProxyMetadata = metadata
	b, err := vm.New(group(t, "{}", "{template: {}}"), o)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		DefaultConfig struct{ ProxyMetadata map[string]string }
	}
	if err := yaml.Unmarshal(b.Files[vm.MeshFile], &config); err != nil {
		t.Fatal(err)
	}
	for key, value := range metadata {
		if got := config.DefaultConfig.ProxyMetadata[key]; got != value {
			t.Errorf("mesh.yaml: %s: %q, want %q", key, got, value)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, vm.EnvFile), b.Files[vm.EnvFile], 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sh, "-c", "set -ae; . ./"+vm.EnvFile+"; env -0")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Files[vm.EnvFile])
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(string(out), "\x00") {
		if key, value, ok := strings.Cut(line, "="); ok {
			got[key] = value
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("something ran: %v", entries)
	}
	return got
}
