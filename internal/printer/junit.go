package printer

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/report"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr,omitempty"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	File     string      `xml:"file,attr,omitempty"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr,omitempty"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string       `xml:"name,attr"`
	ClassName string       `xml:"classname,attr"`
	Time      string       `xml:"time,attr,omitempty"`
	Failure   *junitResult `xml:"failure"`
	Error     *junitResult `xml:"error"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the suites as JUnit's XML, within the schema of Jenkins. A case
// that is unknown is an error: as skipped it would count as good. Characters
// that XML cannot hold become U+FFFD.
func JUnit(w io.Writer, suites []report.Suite) error {
	sum := report.Summarize(suites)
	all := junitSuites{Tests: sum.Total(), Failures: sum.Failed, Errors: sum.Unknown}
	var total time.Duration
	for _, s := range suites {
		suite, elapsed := junitSuiteOf(s)
		all.Suites = append(all.Suites, suite)
		total += elapsed
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	return Lines(w, "")
}

func junitSuiteOf(s report.Suite) (junitSuite, time.Duration) {
	sum := s.Summary()
	suite := junitSuite{Name: s.Name, File: s.File, Tests: sum.Total(), Failures: sum.Failed, Errors: sum.Unknown}
	var elapsed time.Duration
	for _, c := range s.Cases {
		one := junitCase{Name: c.Name, ClassName: s.Name, Time: seconds(c.Duration)}
		switch outcome(c) {
		case report.Failed:
			one.Failure = junitResultOf(c)
		case report.Unknown:
			one.Error = junitResultOf(c)
		}
		suite.Cases = append(suite.Cases, one)
		elapsed += c.Duration
	}
	suite.Time = seconds(elapsed)
	return suite, elapsed
}

// junitResultOf puts the place into the text: the schema has no attribute for it.
func junitResultOf(c report.Case) *junitResult {
	lines := account(c)
	message := lines[0]
	if place := c.Location.String(); place != "" {
		lines = append([]string{place}, lines...)
	}
	if c.Detail != "" {
		lines = append(lines, "", c.Detail)
	}
	return &junitResult{Message: message, Type: string(outcome(c)), Text: strings.Join(lines, "\n")}
}

// seconds is "" for a time that was not measured.
func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 6, 64)
}
