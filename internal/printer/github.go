package printer

import (
	"io"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// GitHub writes GitHub's workflow commands that annotate the lines of the cases
// that did not pass, and the counts below them. A case that is unknown is a
// warning.
func GitHub(w io.Writer, suites []report.Suite) error {
	for _, s := range suites {
		for _, c := range s.Cases {
			if c.Status == report.Passed {
				continue
			}
			if err := Lines(w, githubCommand(title(s, c), c)); err != nil {
				return err
			}
		}
	}
	return Lines(w, report.Summarize(suites).String())
}

func githubCommand(title string, c report.Case) string {
	command := "error"
	if c.Status != report.Failed {
		command = "warning"
	}
	// What ends a command, a property or a line, as actions/toolkit writes it.
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var properties []string
	if c.Location.File != "" {
		properties = append(properties, "file="+property.Replace(c.Location.File))
		if c.Location.Line > 0 {
			properties = append(properties, "line="+strconv.Itoa(c.Location.Line))
		}
		if c.Location.Line > 0 && c.Location.Column > 0 {
			properties = append(properties, "col="+strconv.Itoa(c.Location.Column))
		}
	}
	properties = append(properties, "title="+property.Replace(title))
	text := message.Replace(strings.Join(account(c), "\n"))
	return strings.ToValidUTF8("::"+command+" "+strings.Join(properties, ",")+"::"+text, "\ufffd")
}
