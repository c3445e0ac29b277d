package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestAnalyzeStatus: the exit status is the same in every format, and 2 is for
// what cannot be answered.
func TestAnalyzeStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	head := "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n"
	files := map[string]string{
		"error": write("error.yaml", head+"  rules: [{to: [{operation: {methods: [get]}}]}]\n"),
		"info":  write("info.yaml", head+"  rules: [{from: [{source: {principals: ['*']}}]}]\n"),
		"none":  write("none.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n"),
		"cut":   write("cut.yaml", head+"  rules: [{to: [}]\n"),
	}
	cases := 0
	for _, f := range findingFormats() {
		for _, tt := range []struct {
			args []string
			want exitCode
		}{
			{[]string{files["error"]}, 1},
			{[]string{files["error"], "--fail-on", "none"}, 0},
			{[]string{files["info"]}, 0},
			{[]string{files["info"], "--fail-on", "warning"}, 0},
			{[]string{files["info"], "--fail-on", "info"}, 1},
			{[]string{files["none"], "--fail-on", "info"}, 0},
			{[]string{filepath.Join(dir, "nothing.yaml")}, 2},
			{[]string{files["error"], "--only", "MSH9999"}, 2},
			{[]string{files["cut"], files["none"]}, 2},
			{[]string{files["cut"], "--only", "MSH0108", "--fail-on", "none"}, 2},
			{[]string{files["cut"], "--skip", "IST0106,MSH0319", "-S", "*=*", "-n", "other"}, 2},
			{[]string{files["none"], filepath.Join(dir, "nothing.yaml"), "--only", "MSH0108"}, 2},
		} {
			cases++
			streams, _, _, _ := genericiooptions.NewTestIOStreams()
			var out bytes.Buffer
			streams.Out = &out
			if got := execute(context.Background(), streams, "meshctl", append([]string{"analyze", "-o", f.name}, tt.args...)); got != tt.want {
				t.Errorf("-o %s %v: status %d, want %d", f.name, tt.args, got, tt.want)
			}
			// What cannot be read is a finding, where there is something to read.
			if unread := tt.args[0] == files["cut"]; tt.want == 2 && unread != strings.Contains(out.String(), "MSH0319") {
				t.Errorf("-o %s %v: printed %s", f.name, tt.args, out.String())
			}
		}
	}
	if cases != 8*12 {
		t.Errorf("%d cases", cases)
	}
}
