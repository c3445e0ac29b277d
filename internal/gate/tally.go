package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// tally counts cases.
type tally struct {
	passed, failed int
	skips          []string // with their reasons
}

// String is the line that closes a gate.
func (t tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, len(t.skips))
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

// goTest runs go test and counts its leaf tests: those with subtests are the
// sum of their parts.
func goTest(args []string, out io.Writer) (tally, error) {
	c := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:gosec // the Makefile's own arguments
	c.Stderr = os.Stderr
	pipe, err := c.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := c.Start(); err != nil {
		return tally{}, err
	}
	t := count(pipe, out)
	if err := c.Wait(); err != nil {
		return t, fmt.Errorf("go test: %w", err)
	}
	return t, nil
}

// count reads events and prints the output of what failed.
func count(r io.Reader, out io.Writer) tally {
	var t tally
	output := map[string]string{}
	parents := map[string]bool{}
	results := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			_, _ = fmt.Fprintln(out, lines.Text()) // a build error is not JSON
			continue
		}
		id := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if e.Test == "" && !strings.HasPrefix(e.Output, "PASS") && !strings.Contains(e.Output, "no test files") {
				_, _ = io.WriteString(out, e.Output)
			}
			output[id] += e.Output
		case "run":
			if i := strings.LastIndexByte(id, '/'); i > len(e.Package) {
				parents[id[:i]] = true
			}
		case "pass", "fail", "skip":
			if e.Test != "" {
				results[id] = e.Action
				if e.Action == "fail" {
					_, _ = io.WriteString(out, output[id])
				}
			}
		}
	}
	for id, result := range results {
		switch {
		case result == "skip":
			t.skips = append(t.skips, id+": "+reason(output[id]))
		case parents[id] && result == "pass":
		case result == "pass":
			t.passed++
		default:
			t.failed++
		}
	}
	return t
}

// reason is what a skipped test said.
func reason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}

// fuzz runs every fuzz target of the module for a while.
func fuzz(duration string, out io.Writer) (tally, error) {
	var t tally
	var problems []error
	packages, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return t, err
	}
	for pkg := range strings.FieldsSeq(string(packages)) {
		list, err := exec.Command("go", "test", "-list", "^Fuzz", pkg).Output() //nolint:gosec // the module's own packages
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", pkg, err))
			continue
		}
		for target := range strings.FieldsSeq(string(list)) {
			if !strings.HasPrefix(target, "Fuzz") {
				continue
			}
			// Minimizing what is merely new costs more than it brings here.
			c := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+target+"$", "-fuzztime", duration, "-fuzzminimizetime", "1s", pkg) //nolint:gosec // as above
			text, err := c.CombinedOutput()
			if err != nil && !outOfTime(text) {
				t.failed++
				_, _ = out.Write(text)
				continue
			}
			t.passed++
			_, _ = fmt.Fprintf(out, "fuzz %s %s: %s\n", pkg, target, executions(text))
		}
	}
	return t, errors.Join(problems...)
}

// outOfTime tells whether a target failed by nothing but the end of its time,
// which go test now and then takes for a failure of the target (golang/go#75804).
func outOfTime(output []byte) bool {
	return bytes.Contains(output, []byte("    context deadline exceeded\n")) &&
		!bytes.Contains(output, []byte("Failing input written")) && !bytes.Contains(output, []byte("panic:"))
}

// executions is how often a target ran.
func executions(output []byte) string {
	all := regexp.MustCompile(`execs: (\d+)`).FindAllSubmatch(output, -1)
	if len(all) == 0 {
		return "seeds only"
	}
	return string(all[len(all)-1][1]) + " executions"
}

// sum adds the closing lines of logs.
func sum(files []string) (tally, error) {
	var t tally
	closing := regexp.MustCompile(`^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$`)
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the caller's own logs
		if err != nil {
			return t, err
		}
		found := false
		for line := range bytes.Lines(text) {
			if m := closing.FindSubmatch(bytes.TrimSpace(line)); m != nil {
				found = true
				t.passed += number(m[1])
				t.failed += number(m[2])
				for range number(m[3]) {
					t.skips = append(t.skips, "see "+file)
				}
			}
		}
		if !found {
			return t, fmt.Errorf("%s: no closing line", file)
		}
	}
	return t, nil
}

func number(text []byte) int {
	n, _ := strconv.Atoi(string(text)) // absent is 0
	return n
}
