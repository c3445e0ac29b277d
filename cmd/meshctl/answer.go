package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/policy"
)

// simulation is the answer to one question, as it is printed.
type simulation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	From       string `json:"from"`
	To         string `json:"to"`
	Request    string `json:"request"`
	policy.Answer
}

func newSimulation(q *policy.Question, a policy.Answer) simulation {
	s := simulation{printer.APIVersion, "Simulation", q.From.String(), q.To.String(), "bytes that are no HTTP", a}
	if h := q.HTTP; h != nil {
		version := "HTTP/1.1"
		if h.Version == "2" {
			version = "HTTP/2"
		}
		s.Request = fmt.Sprintf("%s %s %s, host %s", h.Method, h.Path, version, h.Authority)
	}
	return s
}

// printSimulation draws the answer for people: what was asked, the stages of
// each workload, and the verdict last.
func printSimulation(w io.Writer, s simulation) error {
	lines := []string{s.Request, "  from  " + s.From, "  to    " + s.To}
	for _, group := range alike(s.Endpoints) {
		lines = append(lines, "", group.names)
		lines = append(lines, group.lines...)
	}
	if len(s.Endpoints) != 1 {
		text := string(s.Outcome)
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		lines = append(lines, "", "verdict: "+text)
	}
	return printer.Lines(w, lines...)
}

// endpointGroup are endpoints at which the same happens.
type endpointGroup struct {
	names string
	lines []string
}

// alike puts endpoints together that the request passes in the same way.
func alike(endpoints []policy.EndpointAnswer) []endpointGroup {
	var all []endpointGroup
	for i := range endpoints {
		e := &endpoints[i]
		name := fmt.Sprintf("%s, port %d", e.Name, e.Port)
		var lines []string
		for _, step := range e.Trace {
			lines = append(lines, stepLines(step)...)
		}
		lines = append(lines, stageLine("verdict", verdictText(&e.Verdict)))
		same := slices.IndexFunc(all, func(g endpointGroup) bool { return slices.Equal(g.lines, lines) })
		if same < 0 {
			all = append(all, endpointGroup{name, lines})
			continue
		}
		all[same].names += "\n" + name
	}
	return all
}

func stageLine(name, text string) string { return fmt.Sprintf("  %-16s%s", name, text) }

func stepLines(s policy.Step) []string {
	lines := []string{stageLine(s.Stage.Title(), s.Finding)}
	for _, cause := range s.By {
		lines = append(lines, stageLine("", "  "+cause.String()))
	}
	if s.Nearest != nil {
		lines = append(lines, stageLine("", "nearest: "+s.Nearest.Rule.String()))
		for _, miss := range s.Nearest.Misses {
			lines = append(lines, stageLine("", "  "+miss.String()))
		}
	}
	return lines
}

// verdictText is the verdict in one line: outcome, what the client sees, which
// rule decided, and why.
func verdictText(v *policy.Verdict) string {
	text := string(v.Outcome)
	var seen []string
	if v.HTTPStatus != 0 {
		seen = append(seen, fmt.Sprintf("HTTP %d", v.HTTPStatus))
	}
	if v.GRPCStatus != nil {
		seen = append(seen, fmt.Sprintf("grpc-status %d", *v.GRPCStatus))
	}
	if seen != nil {
		text += " (" + strings.Join(seen, ", ") + ")"
	} else if v.Outcome == policy.Deny {
		text += " (the connection is closed)"
	}
	switch {
	case v.By == "none":
		text += ", no ALLOW rule matches"
	case v.By != "":
		text += ", by " + v.By
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	return text
}
