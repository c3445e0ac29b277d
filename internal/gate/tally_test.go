package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutOfTime(t *testing.T) {
	t.Parallel()
	const late = "--- FAIL: FuzzX (10.02s)\n    context deadline exceeded\nFAIL\n"
	for text, want := range map[string]bool{
		late: true,
		late + "    Failing input written to testdata/fuzz/FuzzX/1\n": false,
		"--- FAIL: FuzzX (0.02s)\n    x_test.go:1: wrong\nFAIL\n":     false,
	} {
		if got := outOfTime([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	log := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: no kernel\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
`
	var out bytes.Buffer
	got := count(strings.NewReader(log), &out)
	if got.passed != 2 || got.failed != 2 || len(got.skips) != 1 {
		t.Errorf("count = %s", got)
	}
	if !strings.Contains(got.skips[0], "no kernel") || !strings.Contains(out.String(), "wrong") {
		t.Errorf("skips %q, output %q", got.skips, out.String())
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for file, text := range map[string]string{a: "x\n3 passed, 0 failed, 1 skipped\n", b: "2 passed, 1 failed\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := sum([]string{a, b})
	if err != nil || got.passed != 5 || got.failed != 1 || len(got.skips) != 1 {
		t.Errorf("sum = %s, %v", got, err)
	}
}

// TestNothingRan is the point of the program: zero cases fail.
func TestNothingRan(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("0 passed, 0 failed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{"sum", file}, &out); code != 1 || !strings.Contains(out.String(), "no case ran") {
		t.Errorf("run = %d, %q", code, out.String())
	}
}
