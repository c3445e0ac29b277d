package report_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/meshctl/meshctl/pkg/report"
)

func TestStrings(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]fmt.Stringer{
		"a.yaml:3:4":   report.Location{File: "a.yaml", Line: 3, Column: 4},
		"a.yaml:3":     report.Location{File: "a.yaml", Line: 3},
		"a.yaml":       report.Location{File: "a.yaml", Column: 4},
		"Pod shop/web": report.Object{Kind: "Pod", Namespace: "shop", Name: "web"},
		"Pod web":      report.Object{Kind: "Pod", Name: "web"},
		"Pod":          report.Object{Kind: "Pod"},
		"web":          report.Object{Name: "web"},
		"document":     report.Object{},
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func ExampleInputError() {
	err := error(&report.InputError{
		Location: report.Location{File: "app.yaml", Line: 7, Column: 13},
		Subject:  "Deployment web",
		Err:      errors.New("replicas: expected a whole number"),
		Hint:     "write 2, not two",
	})
	fmt.Println(err)
	var input *report.InputError
	if errors.As(err, &input) {
		fmt.Println("hint:", input.Hint)
	}
	// Output:
	// app.yaml:7:13: Deployment web: replicas: expected a whole number
	// hint: write 2, not two
}
