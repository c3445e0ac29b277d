// Command conformance runs the shared corpora against bin/meshctl by the same
// calls as their scorers, and prints a score for each. A score below the
// committed floor fails. Where the corpora are not there it prints "no data"
// and passes, except under CI=true.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// corpora are the rows of the score table. The profile row holds the embedded
// templates to the wants of the others, under their values and mesh config.
func corpora() []corpus {
	all := []corpus{
		{name: "inject", folders: []string{"inject"}},
		{name: "inject-random", folders: []string{"inject-random"}},
		{name: "profile", folders: []string{"inject", "inject-random"}, embedded: true},
	}
	for _, mesh := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		name := filepath.Join("verdicts", mesh)
		all = append(all, corpus{name: name, folders: []string{name}, scorer: scoreVerdicts})
	}
	filters := &filterScores{}
	return append(all,
		corpus{name: "clients", folders: []string{"clients"}, scorer: scoreClients},
		corpus{name: "envoy", folders: []string{"envoy"}, scorer: scoreEnvoy},
		corpus{name: "analyze", folders: []string{"analyze"}, scorer: scoreAnalyze},
		corpus{name: "validate", folders: []string{"validate"}, scorer: scoreValidate},
		corpus{name: "authz", folders: []string{"authz"}, scorer: filters.cases},
		corpus{name: "authz/fields", folders: []string{"authz"}, scorer: filters.fields})
}

type corpus struct {
	name     string
	folders  []string
	embedded bool   // leave out the templates of the case
	scorer   scorer // nil is injection
}

// scorer runs a folder's cases, with the binary where a command is to be held
// to them.
type scorer func(out io.Writer, binary, dir string) (score, total int, err error)

// floors are the scores that must not be lost again; they only rise.
func floors() map[string]int {
	return map[string]int{
		"inject": 66, "inject-random": 200, "profile": 248,
		"verdicts/a": 3900, "verdicts/b": 3900, "verdicts/c": 3898, "verdicts/d": 3300, "verdicts/e": 3298, "verdicts/f": 2398, "verdicts/g": 2396, "verdicts/h": 800, "clients": 628,
		"envoy": 183, "analyze": 127, "validate": 600, "authz": 10, "authz/fields": 96,
	}
}

// caseTimeout is the scorers' own.
const caseTimeout = 30 * time.Second

func main() {
	os.Exit(run(os.Stdout))
}

func run(out io.Writer) int {
	root := os.Getenv("MESHCTL_CONFORMANCE")
	if root == "" {
		root = filepath.Join("..", "shared", "conformance")
	}
	binary, err := filepath.Abs(filepath.Join("bin", "meshctl"))
	if err != nil {
		return fail(out, err)
	}
	passed, failed := 0, 0
	code := 0
	for _, c := range corpora() {
		score, total := 0, 0
		for _, folder := range c.folders {
			s, n, err := c.score(out, binary, filepath.Join(root, folder))
			if err != nil && !os.IsNotExist(err) {
				return fail(out, err)
			}
			score, total = score+s, total+n
		}
		if total == 0 {
			_, _ = fmt.Fprintf(out, "%-15s no data\n", c.name)
			if os.Getenv("CI") == "true" {
				code = 1
			}
			continue
		}
		_, _ = fmt.Fprintf(out, "%-15s %d of %d (floor %d)\n", c.name, score, total, floors()[c.name])
		passed += score
		failed += total - score
		if score < floors()[c.name] {
			code = 1
		}
	}
	_, _ = fmt.Fprintf(out, "gate conformance: %d cases\n%d passed, %d failed\n", passed+failed, passed, failed)
	return code
}

// score runs the cases of a folder.
func (c corpus) score(out io.Writer, binary, dir string) (score, total int, err error) {
	if c.scorer != nil {
		return c.scorer(out, binary, dir)
	}
	cases, err := load(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, one := range cases {
		if c.embedded {
			if !one.rendersDefaultProfile(dir) {
				continue
			}
			one.InjectConfigFile = ""
		}
		total++
		if why := one.check(binary, dir); why != "" {
			_, _ = fmt.Fprintf(out, "MISS %s %s %s: %s\n", c.name, one.ID, one.Input, why)
			continue
		}
		score++
	}
	return score, total, nil
}

// rendersDefaultProfile tells whether a case uses the default profile's own
// templates, and of them those that are embedded.
func (c injectionCase) rendersDefaultProfile(dir string) bool {
	if c.ExpectedError != "" {
		return false
	}
	config, err := os.ReadFile(filepath.Join(dir, c.InjectConfigFile))
	if err != nil {
		return false
	}
	ours, err := os.ReadFile(filepath.Join(dir, "configs", "default", filepath.Base(c.InjectConfigFile)))
	if err != nil || !bytes.Equal(config, ours) {
		return false
	}
	input, err := os.ReadFile(filepath.Join(dir, c.Input))
	return err == nil && !bytes.Contains(input, []byte("grpc-agent")) && !bytes.Contains(input, []byte("grpc-simple"))
}

func fail(out io.Writer, err error) int {
	_, _ = fmt.Fprintln(out, "conformance:", err)
	return 1
}

// injectionCase is a row of cases.json.
type injectionCase struct {
	ID               string            `json:"id"`
	Input            string            `json:"input"`
	Want             string            `json:"want"`
	InjectConfigFile string            `json:"injectConfigFile"`
	ValuesFile       string            `json:"valuesFile"`
	MeshConfigFile   string            `json:"meshConfigFile"`
	Env              map[string]string `json:"env"`
	ExpectedError    string            `json:"expectedError"`
}

func load(dir string) ([]injectionCase, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		return nil, err
	}
	var cases []injectionCase
	err = json.Unmarshal(text, &cases)
	return cases, err
}

// check runs one case; it returns why the case is missed, "" if it is not.
func (c injectionCase) check(binary, dir string) string {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	args := []string{"inject", "-f", filepath.Join(dir, c.Input)}
	for _, f := range [][2]string{{"--inject-config", c.InjectConfigFile}, {"--values", c.ValuesFile}, {"--mesh-config", c.MeshConfigFile}} {
		if f[1] != "" {
			args = append(args, f[0], filepath.Join(dir, f[1]))
		}
	}
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	for k, v := range c.Env {
		command.Env = append(command.Env, k+"="+v)
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if c.ExpectedError != "" {
		if err == nil || !strings.Contains(strings.ToLower(stderr.String()), strings.ToLower(c.ExpectedError)) {
			return fmt.Sprintf("want an error with %q, got %v: %s", c.ExpectedError, err, stderr.String())
		}
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%v: %s", err, stderr.String())
	}
	want, err := os.ReadFile(filepath.Join(dir, c.Want))
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(want, stdout.Bytes()) {
		return "output differs"
	}
	return ""
}
