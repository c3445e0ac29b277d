package printer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/internal/printer"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printer.Table(&out, []string{"OBJECT", "WHY"}, [][]string{{"Pod a", "a reason that is longer than a terminal is wide, which must not be folded, as scripts read lines"}, {"Deployment shop/web", ""}}); err != nil {
		t.Fatal(err)
	}
	want := "OBJECT                WHY\n" +
		"Pod a                 a reason that is longer than a terminal is wide, which must not be folded, as scripts read lines\n" +
		"Deployment shop/web\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printer.JSON(&out, map[string]string{"a": "<b> & c"}); err != nil || out.String() != "{\n  \"a\": \"<b> & c\"\n}\n" {
		t.Errorf("%s, %v", out.String(), err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestFailingWriter: what cannot be written is an error, not silence.
func TestFailingWriter(t *testing.T) {
	t.Parallel()
	if printer.Lines(full{}, "a") == nil || printer.JSON(full{}, 1) == nil || printer.Table(full{}, []string{"A"}, [][]string{{"b"}}) == nil {
		t.Error("a failed write goes unnoticed")
	}
}
