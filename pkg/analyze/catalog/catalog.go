// Package catalog lists all rules of package analyze and documents each.
package catalog

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/analyze/authentication"
	"github.com/meshctl/meshctl/pkg/analyze/authorization"
	"github.com/meshctl/meshctl/pkg/analyze/exposure"
	"github.com/meshctl/meshctl/pkg/analyze/hygiene"
	"github.com/meshctl/meshctl/pkg/analyze/platform"
	"github.com/meshctl/meshctl/pkg/analyze/routing"
)

//go:embed pages
var pages embed.FS

// Rules are all rules, sorted by code.
func Rules() []analyze.Rule {
	all := slices.Concat(authentication.Rules(), authorization.Rules(), exposure.Rules(), hygiene.Rules(), platform.Rules(), routing.Rules())
	slices.SortFunc(all, func(a, b analyze.Rule) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// Page is what there is to read about a code.
type Page struct {
	Title string // what is wrong, in one line
	Text  string // Markdown: why it matters, what to do
	Bad   []Example
	Good  []Example
}

// Example is a file that is shown, and tested.
type Example struct {
	// Name is the file's; "mesh.yaml" is the mesh config and "networks.yaml" the
	// mesh networks.
	Name string `json:"name"`
	Text string `json:"text"`
}

// ReadPage reads the page of a code. It fails if there is none.
//
// A page is Markdown: a heading with the code and the title, text, and the
// sections "Bad" and "Good" with one fenced block of YAML for each file. The
// word after "yaml" names a file; without one it is "app.yaml".
func ReadPage(code string) (*Page, error) {
	text, err := pages.ReadFile("pages/" + code + ".md")
	if err != nil {
		return nil, fmt.Errorf("no page about %s", code)
	}
	p := &Page{}
	var section *[]Example // nil before the first
	fenced := false
	for line := range strings.Lines(string(text)) {
		fence, opens := strings.CutPrefix(line, "```")
		switch {
		case fenced && opens:
			fenced = false
		case fenced:
			last := &(*section)[len(*section)-1]
			last.Text += line
		case section != nil && opens:
			fenced = true
			*section = append(*section, Example{Name: exampleName(fence)})
		case strings.HasPrefix(line, "# "):
			_, p.Title, _ = strings.Cut(strings.TrimSpace(line), ": ")
		case strings.HasPrefix(line, "## Bad"):
			section = &p.Bad
		case strings.HasPrefix(line, "## Good"):
			section = &p.Good
		case section == nil:
			p.Text += line
		}
	}
	p.Text = strings.TrimSpace(p.Text)
	return p, nil
}

// exampleName is the file that the information string of a fence names.
func exampleName(info string) string {
	if _, name, ok := strings.Cut(strings.TrimSpace(info), " "); ok {
		return name
	}
	return "app.yaml"
}
