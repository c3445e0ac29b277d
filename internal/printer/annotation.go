package printer

import (
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// Annotation is one of GitHub's workflow commands: level is error, warning or
// notice.
func Annotation(level string, at report.Location, title, text string) string {
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var properties []string
	if at.File != "" {
		properties = append(properties, "file="+property.Replace(at.File))
		if at.Line > 0 {
			properties = append(properties, "line="+strconv.Itoa(at.Line))
		}
		if at.Line > 0 && at.Column > 0 {
			properties = append(properties, "col="+strconv.Itoa(at.Column))
		}
	}
	properties = append(properties, "title="+property.Replace(title))
	return strings.ToValidUTF8("::"+level+" "+strings.Join(properties, ",")+"::"+message.Replace(text), "\ufffd")
}

// MarkdownCode is a text as it is, in a cell of a table.
func MarkdownCode(text string) string { return markdownCell(text) }
