package printer

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshctl/meshctl/pkg/report"
)

// Markdown writes the counts and, folded below them, a table of what was
// expected against what was found, for summaries and comments of pull requests.
func Markdown(w io.Writer, suites []report.Suite) error {
	sum := report.Summarize(suites)
	if err := Lines(w, "**"+sum.String()+"**"); err != nil || sum.Passed == sum.Total() {
		return err
	}
	lines := []string{
		"",
		"<details>",
		fmt.Sprintf("<summary>Not passed: %d</summary>", sum.Failed+sum.Unknown),
		"",
		"| " + strings.Join(failureHeaders(), " | ") + " |",
		strings.Repeat("| --- ", len(failureHeaders())) + "|",
	}
	for _, row := range failures(suites) {
		for i := range row {
			row[i] = markdownCell(row[i])
		}
		lines = append(lines, "| "+strings.Join(row, " | ")+" |")
	}
	return Lines(w, append(lines, "", "</details>")...)
}

// markdownCell shows a text as it is. It is code, because in plain text GitHub
// would take the likes of prod/viewer#2 or @admin for a link; and code in HTML,
// because between backticks not every text can be written. Addresses are taken
// for links even there, and swallow what is escaped behind them.
func markdownCell(text string) string {
	if text == "" {
		return ""
	}
	escape := strings.NewReplacer(
		"\r\n", "<br>", "\n", "<br>", "\r", "<br>", "://", "&#58;//", "www.", "www&#46;",
		"|", "&#124;", "`", "&#96;", "\\", "&#92;", "*", "&#42;", "_", "&#95;", "~", "&#126;",
		"[", "&#91;", "]", "&#93;", "<", "&#60;", ">", "&#62;", "&", "&#38;", "$", "&#36;",
	)
	return "<code>" + strings.ToValidUTF8(escape.Replace(text), "\ufffd") + "</code>"
}
