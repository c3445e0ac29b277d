package main

import (
	"io"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/catalog"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// listedRule is a rule in a list of them.
type listedRule struct {
	Code       string              `json:"code"`
	Name       string              `json:"name"`
	Severity   meshreport.Severity `json:"severity"`
	Confidence analyze.Confidence  `json:"confidence"`
	Strict     bool                `json:"strict"` // runs in the profile strict only
	Title      string              `json:"title"`
}

// ruleFormats are the forms of a list of rules.
func ruleFormats() []format[[]listedRule] {
	return []format[[]listedRule]{
		{"table", func(w io.Writer, rules []listedRule) error {
			var rows [][]string
			for _, r := range rules {
				rows = append(rows, []string{r.Code, r.Severity.String(), string(r.Confidence), r.Name, r.Title})
			}
			return printer.Table(w, []string{"CODE", "SEVERITY", "CONFIDENCE", "NAME", "MEANING"}, rows)
		}},
		{"json", func(w io.Writer, rules []listedRule) error { return printer.JSON(w, printer.List("RuleList", rules)) }},
		{"yaml", func(w io.Writer, rules []listedRule) error { return printer.YAML(w, printer.List("RuleList", rules)) }},
	}
}

// listRules lists the rules that would run.
func (o *analyzeOptions) listRules() error {
	chosen, err := analyze.Choose(catalog.Rules(), o.options)
	if err != nil {
		return err
	}
	var rules []listedRule
	for _, r := range chosen {
		a, err := accountOf(r)
		if err != nil {
			return err
		}
		rules = append(rules, listedRule{a.Code, a.Name, a.Severity, a.Confidence, a.Strict, a.Title})
	}
	return o.rules.emit(o.streams.Out, rules)
}
