//go:build envoy

package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestEnvoyScripts runs the command line's behaviours that need a real Envoy, one
// a script. Each has a folder of its own for temporary files, where nothing may be
// left.
func TestEnvoyScripts(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "envoy"),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "true",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"gone": gone, "await": await},
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", filepath.Join(root, "testdata"))
			env.Setenv("KUBECONFIG", "/nonexistent")
			env.Setenv("ENVOY", cmp.Or(os.Getenv("ENVOY"), filepath.Join(root, ".tools", "bin", "envoy")))
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "tmp"))
			return os.Mkdir(filepath.Join(env.WorkDir, "tmp"), 0o700)
		},
	})
}

// gone fails if a run left files, or an Envoy that was started with them.
func gone(ts *testscript.TestScript, neg bool, _ []string) {
	left, err := filepath.Glob(filepath.Join(ts.Getenv("TMPDIR"), "*"))
	ts.Check(err)
	running := envoys(ts.Getenv("TMPDIR"))
	if none := left == nil && running == nil; none == neg {
		ts.Fatalf("files %v, processes %v", left, running)
	}
}

// envoys are the processes whose command line names a folder.
func envoys(folder string) []int {
	var all []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		text, err := os.ReadFile(name)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && strings.Contains(string(text), folder) && syscall.Kill(pid, 0) == nil {
			all = append(all, pid)
		}
	}
	return all
}

// await waits until a file has a line that begins with a text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	const patience, pause = 600, 50
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE TEXT")
	}
	for range patience {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains("\n"+string(text), "\n"+args[1]) {
			return
		}
		time.Sleep(pause * time.Millisecond)
	}
	ts.Fatalf("%s: no line begins with %q", args[0], args[1])
}
