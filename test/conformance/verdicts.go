package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
)

// verdict has the keys of a recorded verdict that must agree.
type verdict map[string]any

// agrees tells whether an answer says what was recorded: the outcome, and of
// status, rule and dry-run results those that were recorded.
func (want verdict) agrees(got verdict) bool {
	if got["verdict"] != want["outcome"] {
		return false
	}
	for _, key := range []string{"httpStatus", "grpcStatus", "custom", "dryRun"} {
		if want[key] != nil && !reflect.DeepEqual(want[key], got[key]) {
			return false
		}
	}
	by, _ := want["by"].(string)
	answered, _ := got["by"].(string)
	return by == "" || strings.Contains(answered, by)
}

// scoreVerdicts runs the recorded requests of a folder, by the scorer's call.
func scoreVerdicts(out io.Writer, binary, dir string) (score, total int, err error) {
	want, err := readVerdicts(filepath.Join(dir, "verdicts.jsonl"))
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*caseTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, binary, "policy", "simulate", "-f", filepath.Join(dir, "sets"), "-f", filepath.Join(dir, "root.yaml"),
		"--mesh-config", filepath.Join(dir, "mesh.yaml"), "--requests", filepath.Join(dir, "requests.jsonl"), "-o", "jsonl")
	c.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		_, _ = fmt.Fprintf(out, "MISS %s: %v: %s\n", dir, err, stderr.String())
	}
	got, err := parseVerdicts(&stdout)
	if err != nil {
		return 0, len(want), err
	}
	for id, w := range want {
		if w.agrees(got[id]) {
			score++
		} else if len(want)-score < 10 {
			_, _ = fmt.Fprintf(out, "MISS %s %s: want %v, got %v\n", filepath.Base(dir), id, w, got[id])
		}
	}
	return score, len(want), nil
}

func readVerdicts(file string) (map[string]verdict, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return parseVerdicts(f)
}

// parseVerdicts reads verdicts, one a line, by their IDs.
func parseVerdicts(r io.Reader) (map[string]verdict, error) {
	all := map[string]verdict{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, err
		}
		id, _ := v["id"].(string)
		all[id] = v
	}
	return all, lines.Err()
}
