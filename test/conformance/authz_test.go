package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilterScores: cases that agree count, one that does not is told.
func TestFilterScores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("authz", "testdata"))); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	score, total, err := (&filterScores{}).cases(&out, "", dir)
	if err != nil || score == 0 || score != total {
		t.Fatalf("%d of %d (%v): %s", score, total, err, &out)
	}
	replace(t, filepath.Join(dir, "tcp.allow.yaml"), "destinationPort: 9000", "destinationPort: 9001")
	replace(t, filepath.Join(dir, "nothing.allow.yaml"), "notRule", "newerRule")
	out.Reset()
	worse := &filterScores{}
	if score, _, err = worse.cases(&out, "", dir); err != nil || score != total-2 {
		t.Errorf("%d of %d with two wrong filters (%v)", score, total, err)
	}
	for _, want := range []string{"MISS authz streams: ALLOW ns[shop]-policy[go]-rule[1]: request ", "ours matches: ", "MISS authz nothing-allowed: case nothing-allowed: nothing.allow.yaml: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, &out)
		}
	}
	out.Reset()
	if score, total, err = worse.fields(&out, "", dir); err != nil || score >= total || !strings.Contains(out.String(), "MISS authz/fields streams") {
		t.Errorf("fields: %d of %d (%v):\n%s", score, total, err, &out)
	}
	if _, _, err := (&filterScores{}).cases(&out, "", filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("without data: %v", err)
	}
}

func replace(t *testing.T, file, old, with string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s: no %s", file, old)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(with), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}
