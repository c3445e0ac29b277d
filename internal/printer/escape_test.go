package printer_test

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/report"
)

// FuzzEscape: whatever a name and a message hold, each format keeps its shape
// and gives them back to those who read it by its rules.
func FuzzEscape(f *testing.F) {
	for _, text := range []string{
		"plain", "", `"double" and 'single'`, "two\nlines", "carriage\r\nreturn\r", "a\x00b\x07\x1b[31mred", "broken \xff\xc3",
		"🛒 👩‍🚀 é", "\u0085 \u007f \u2028 \ufeff \ufffe \uffff", "]]> <b>&amp;</b> &#10;", "ok # SKIP", `back\slash \# \\`, "a|b\\|c `d` ``e",
		"::error file=x,line=1::y", "100%0A%25, a: b", "...\n---\n- x: y", "  leading\n  and trailing  ", "\ttab", "@team org/repo#1 [a](b) *c* _d_", "yes", "~",
	} {
		f.Add(text, text)
		f.Add("name", text)
	}
	f.Fuzz(func(t *testing.T, name, message string) {
		suites := []report.Suite{{Cases: []report.Case{{
			Name: name, Status: report.Failed, Message: message, Detail: message,
			Location: report.Location{File: "a,b:c.yaml", Line: 1},
			Checks:   []report.Check{{Name: "x", Want: name, Got: message}},
		}}}}
		out := map[string]string{}
		for format, write := range formats() {
			var b strings.Builder
			if err := write(&b, suites); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			out[format] = b.String()
		}
		valid := strings.ToValidUTF8
		checkGitHub(t, out["suites.github"], valid(name, "\ufffd"), valid(message, "\ufffd"))
		checkMarkdown(t, out["suites.md"], valid(name, "\ufffd"), valid(message, "\ufffd"))
		name, message = string([]rune(name)), string([]rune(message)) // each broken byte is U+FFFD
		checkTable(t, out["suites.txt"])
		checkJUnit(t, out["suites.xml"], name, message)
		checkTAP(t, out["suites.tap"], message)
		checkDocuments(t, out["suites.json"], out["suites.yaml"], name, message)
	})
}

func checkTable(t *testing.T, text string) {
	t.Helper()
	if strings.Count(text, "\n") != 4 {
		t.Errorf("not a header, a row, a blank line and the counts:\n%s", text)
	}
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%U reaches the terminal", r)
		}
	}
}

// xmlText is the text with what XML 1.0 cannot hold replaced.
func xmlText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return '\ufffd'
		}
		return r
	}, text)
}

func checkJUnit(t *testing.T, text, name, message string) {
	t.Helper()
	var got struct {
		Suites []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if text != xmlText(text) {
		t.Error("a character that XML does not allow")
	}
	c := got.Suites[0].Cases[0]
	if len(got.Suites[0].Cases) != 1 || c.Name != xmlText(name) || message != "" && c.Failure.Message != xmlText(message) || !strings.HasSuffix(c.Failure.Text, xmlText(message)) {
		t.Errorf("%+q from\n%s", got, text)
	}
}

// printable is the text with what prints in no terminal as Go writes it.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if quoted := strconv.QuoteRune(r); r != '\n' && !unicode.IsPrint(r) {
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func checkTAP(t *testing.T, text, message string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	point, block := lines[2], lines[4:len(lines)-1]
	if !regexp.MustCompile(`^not ok 1 - ([^\\#]|\\\\|\\#)*$`).MatchString(point) {
		t.Errorf("a bare # or \\: %q", point)
	}
	var inner strings.Builder
	for _, line := range block {
		if !strings.HasPrefix(line, "  ") || strings.TrimSpace(line) == "..." && !strings.HasPrefix(line, "    ") {
			t.Errorf("%q ends the block", line)
		}
		inner.WriteString(strings.TrimPrefix(line, "  ") + "\n")
	}
	var got struct {
		Message, Detail string
		Unmet           []report.Check
	}
	message = printable(message)
	if err := yaml.Unmarshal([]byte(inner.String()), &got); err != nil || message != "" && got.Message != message || got.Detail != message || got.Unmet[0].Got != message {
		t.Errorf("%+v, %v from\n%s", got, err, text)
	}
}

func checkGitHub(t *testing.T, text, name, message string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if len(lines) != 3 || strings.Contains(text, "\r") {
		t.Fatalf("not one command and the counts:\n%q", text)
	}
	properties, data, _ := strings.Cut(strings.TrimPrefix(lines[0], "::error "), "::")
	unescape := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",").Replace
	parts := strings.Split(properties, ",")
	if len(parts) != 3 || unescape(parts[0]) != "file=a,b:c.yaml" || parts[1] != "line=1" || unescape(parts[2]) != "title="+name {
		t.Errorf("properties %q", parts)
	}
	if data = unescape(data); !strings.HasPrefix(data, message) || !strings.HasSuffix(data, "x: expected "+name+", got "+message) {
		t.Errorf("message %q", data)
	}
}

func checkMarkdown(t *testing.T, text, name, message string) {
	t.Helper()
	_, body, _ := strings.Cut(text, "| --- |\n")
	row, rest, _ := strings.Cut(body, "\n")
	cells := strings.Split(row, " | ")
	if rest != "\n</details>\n" || strings.Count(row, "|") != 7 || len(cells) != 6 {
		t.Fatalf("not one row of six:\n%s", text)
	}
	show := func(cell string) string {
		cell = strings.TrimSuffix(strings.TrimPrefix(cell, "<code>"), "</code>")
		return html.UnescapeString(strings.ReplaceAll(cell, "<br>", "\n"))
	}
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace
	if show(strings.TrimPrefix(cells[0], "| ")) != lines(name) || show(cells[3]) != lines(message) {
		t.Errorf("%q", cells)
	}
}

func checkDocuments(t *testing.T, asJSON, asYAML, name, message string) {
	t.Helper()
	for text, read := range map[string]func(string, any) error{
		asJSON: func(text string, v any) error { return json.Unmarshal([]byte(text), v) },
		asYAML: func(text string, v any) error { return yaml.Unmarshal([]byte(text), v) },
	} {
		var got struct{ Items []report.Suite }
		if err := read(text, &got); err != nil || got.Items[0].Cases[0].Name != name || got.Items[0].Cases[0].Detail != message {
			t.Errorf("%+v, %v from\n%s", got, err, text)
		}
	}
}
