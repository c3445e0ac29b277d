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
	"strings"

	"sigs.k8s.io/yaml"
)

// analyzeCase is a row of analyze/cases.json.
type analyzeCase struct {
	Name             string   `json:"name"`
	InputFiles       []string `json:"inputFiles"`
	MeshConfigFile   string   `json:"meshConfigFile"`
	MeshNetworksFile string   `json:"meshNetworksFile"`
	Want             []struct {
		Code   string `json:"code"`
		Origin string `json:"origin"`
	} `json:"want"`
}

// finding is what the scorers read of one.
type finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Origin   string `json:"origin"`
	File     string `json:"file"`
}

// findings runs the analyzer over files.
func findings(binary string, args ...string) ([]finding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, append([]string{"analyze", "-o", "json", "--fail-on", "none"}, args...)...)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	var document struct {
		Findings []finding `json:"findings"`
	}
	err = json.Unmarshal(text, &document)
	return document.Findings, err
}

// scoreAnalyze counts, as score_analyze.py does, the findings of the peer's grid
// that are found, and the cases without any that stay silent.
func scoreAnalyze(out io.Writer, binary, dir string) (score, total int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		return 0, 0, err
	}
	var cases []analyzeCase
	if err := json.Unmarshal(text, &cases); err != nil {
		return 0, 0, err
	}
	for _, c := range cases {
		var args []string
		if c.MeshConfigFile != "" {
			args = append(args, "--mesh-config", filepath.Join(dir, c.MeshConfigFile))
		}
		if c.MeshNetworksFile != "" {
			args = append(args, "--mesh-networks", filepath.Join(dir, c.MeshNetworksFile))
		}
		for _, f := range c.InputFiles {
			args = append(args, filepath.Join(dir, f))
		}
		got, err := findings(binary, args...)
		if err != nil {
			_, _ = fmt.Fprintf(out, "FAIL analyze %s: %v\n", c.Name, err)
		}
		hits, wanted := c.score(out, got, err)
		score, total = score+hits, total+wanted
	}
	return score, total, nil
}

func (c analyzeCase) score(out io.Writer, got []finding, err error) (hits, wanted int) {
	type key struct{ code, origin string }
	counts := map[key]int{}
	noisy := err != nil
	for _, f := range got {
		counts[key{f.Code, f.Origin}]++
		noisy = noisy || strings.HasPrefix(f.Code, "IST") && f.Severity != "info"
	}
	if len(c.Want) == 0 {
		if noisy {
			_, _ = fmt.Fprintf(out, "NOISE analyze %s: %v\n", c.Name, got)
			return 0, 1
		}
		return 1, 1
	}
	for _, w := range c.Want {
		if counts[key{w.Code, w.Origin}] > 0 {
			counts[key{w.Code, w.Origin}]--
			hits++
		} else {
			_, _ = fmt.Fprintf(out, "MISS analyze %s: %s of %s\n", c.Name, w.Code, w.Origin)
		}
	}
	return hits, len(c.Want)
}

// validateCase is a line of validate/cases.jsonl.
type validateCase struct {
	ID       string          `json:"id"`
	Doc      json.RawMessage `json:"doc"`
	Accepted bool            `json:"accepted"`
	Warning  bool            `json:"warning"`
	Messages []string        `json:"messages"`
}

// scoreValidate counts, as score_validate.py does, the objects that are
// accepted, rejected and warned about as the peer does.
func scoreValidate(out io.Writer, binary, dir string) (score, total int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.jsonl"))
	if err != nil {
		return 0, 0, err
	}
	folder, err := os.MkdirTemp("", "validate")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(folder)
	var cases []validateCase
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text))
	for lines.Scan() {
		var c validateCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return 0, 0, err
		}
		document, err := yaml.JSONToYAML(c.Doc)
		if err != nil {
			return 0, 0, err
		}
		if err := os.WriteFile(filepath.Join(folder, c.ID+".yaml"), document, 0o600); err != nil {
			return 0, 0, err
		}
		cases = append(cases, c)
	}
	got, err := findings(binary, folder)
	if err != nil {
		return 0, len(cases), err
	}
	rejected, warned := map[string]bool{}, map[string]bool{}
	for _, f := range got {
		id := strings.TrimSuffix(filepath.Base(f.File), ".yaml")
		rejected[id] = rejected[id] || f.Severity == "error" && (f.Code == "IST0106" || strings.HasPrefix(f.Code, "MSH03"))
		warned[id] = warned[id] || f.Code == "IST0133"
	}
	for _, c := range cases {
		if rejected[c.ID] != c.Accepted && (!c.Accepted || warned[c.ID] == c.Warning) {
			score++
		} else {
			_, _ = fmt.Fprintf(out, "MISS validate %s: want accepted %v, warning %v: %.3v\n", c.ID, c.Accepted, c.Warning, c.Messages)
		}
	}
	return score, len(cases), nil
}
