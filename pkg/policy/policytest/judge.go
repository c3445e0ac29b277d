package policytest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/report"
)

// judge holds an answer to what the case wants. What is unknown though it was
// to be known is neither passed nor failed.
func (q *question) judge(a *policy.Answer) report.Case {
	c := report.Case{Name: q.row.name, Location: q.file.decoder.location(q.row.at), Status: report.Passed}
	c.Checks = append(c.Checks, check("verdict", q.want.verdict.value, string(a.Outcome)))
	if q.want.by.given() {
		c.Checks = append(c.Checks, q.want.by.value.judge(a))
	}
	if q.want.status.given() {
		c.Checks = append(c.Checks, check("httpStatus", strconv.Itoa(q.want.status.value), statuses(a)))
	}
	switch {
	case a.Outcome == policy.Unknown && q.want.verdict.value != string(policy.Unknown):
		c.Status = report.Unknown
	case len(c.Unmet()) > 0:
		c.Status = report.Failed
	default:
		return c
	}
	c.Message = inFile(why(a))
	c.Detail = q.String() + "\n" + inFile(detail(a))
	return c
}

// inFile names the fields of test files in place of the command line's flags,
// with which answers say what would tell more.
func inFile(text string) string {
	return strings.NewReplacer(
		"--source-ip, from.ip", "sourceIP", "--xff or --source-ip", "header x-forwarded-for or sourceIP",
		"--destination-ip, to.ip", "destinationIP", "; --custom says", "; custom says", "with --jwks FILE", "as jwks",
	).Replace(text)
}

func check(name, want, got string) report.Check {
	return report.Check{Name: name, Want: want, Got: got, Met: want == got}
}

// judge compares what decided, at each of the endpoints.
func (r *reference) judge(a *policy.Answer) report.Check {
	c := report.Check{Name: "by", Want: r.text, Met: len(a.Endpoints) > 0}
	var got []string
	for i := range a.Endpoints {
		e := &a.Endpoints[i]
		met := r.names(e)
		c.Met = c.Met && met
		text := r.spell(e)
		if met {
			text = r.text
		}
		if !slices.Contains(got, text) {
			got = append(got, text)
		}
	}
	c.Got = strings.Join(got, " and ")
	if c.Got == "" {
		c.Got = "no rule"
	}
	return c
}

// names tells whether the reference is what decided.
func (r *reference) names(e *policy.EndpointAnswer) bool {
	switch {
	case r.envoy || r.text == none:
		return e.By == r.text
	case e.Rule == nil:
		return false
	}
	p := e.Rule.Policy
	return p.Namespace == r.namespace && p.Name == r.policy && (r.rule < 0 || r.rule == e.Rule.Index)
}

// spell is what decided, in the form in which the reference is written.
func (r *reference) spell(e *policy.EndpointAnswer) string {
	switch {
	case e.By == "":
		return "no rule"
	case r.envoy || e.Rule == nil:
		return e.By
	}
	return ruleText(e.Rule)
}

func ruleText(r *policy.Rule) string {
	return fmt.Sprintf("%s/%s#%d", r.Policy.Namespace, r.Policy.Name, r.Index)
}

// statuses are the HTTP statuses at the endpoints.
func statuses(a *policy.Answer) string {
	var all []string
	for i := range a.Endpoints {
		text := "none"
		if status := a.Endpoints[i].HTTPStatus; status != 0 {
			text = strconv.Itoa(status)
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, " and ")
}

// why is the reason of an answer in one line.
func why(a *policy.Answer) string {
	if a.Outcome == policy.Unknown {
		return a.Reason
	}
	e := &a.Endpoints[0] // those of an answer that is known agree
	stage := e.Stage.Title() + ": "
	switch {
	case e.Reason != "":
		return stage + e.Reason
	case e.Outcome == policy.Allow && e.By == "":
		return "no ALLOW policy applies, so all is allowed that no other policy denies"
	case len(e.Trace) == 0:
		return string(e.Outcome)
	}
	step := e.Trace[len(e.Trace)-1]
	switch {
	case e.Rule != nil:
		return fmt.Sprintf("%s%s %s", stage, e.Rule.Cause(), step.Finding)
	case step.Nearest != nil:
		return fmt.Sprintf("%s%s; %s", stage, step.Finding, nearest(step.Nearest))
	case len(step.By) > 0:
		return fmt.Sprintf("%s%s: %s", stage, step.Finding, step.By[0])
	}
	return stage + step.Finding
}

func nearest(n *policy.NearMiss) string {
	var misses []string
	for _, m := range n.Misses {
		misses = append(misses, m.String())
	}
	return fmt.Sprintf("nearest is %s: %s", n.Rule, strings.Join(misses, ", "))
}

// detail is how it came to an answer, line by line.
func detail(a *policy.Answer) string {
	var lines []string
	for i := range a.Endpoints {
		e := &a.Endpoints[i]
		lines = append(lines, fmt.Sprintf("at %s port %d: %s", e.Name, e.Port, e.Outcome))
		for _, step := range e.Trace {
			lines = append(lines, fmt.Sprintf("  %s: %s", step.Stage.Title(), step.Finding))
			for _, cause := range step.By {
				lines = append(lines, "    "+cause.String())
			}
			if step.Nearest != nil {
				lines = append(lines, "    "+nearest(step.Nearest))
			}
		}
		if e.Reason != "" {
			lines = append(lines, "  "+e.Reason)
		}
	}
	return strings.Join(lines, "\n")
}
