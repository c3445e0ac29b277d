package main

import (
	"fmt"
	"io"

	"github.com/meshctl/meshctl/test/conformance/authz"
)

// mostMisses is how many misses of a case are told.
const mostMisses = 3

// filterScores hold the model to the RBAC filters that istiod wrote. Two scores
// come of one comparison.
type filterScores struct {
	dir string
	all []authz.Comparison
}

// cases counts those where both sides agree on every request.
func (f *filterScores) cases(out io.Writer, _, dir string) (score, total int, err error) {
	if err := f.compare(dir); err != nil {
		return 0, 0, err
	}
	requests, sent := 0, 0
	for _, c := range f.all {
		requests, sent = requests+c.Requests, sent+c.Sent
		if len(c.Misses) == 0 {
			score++
		}
		tell(out, "MISS authz "+c.ID, c.Misses)
		tell(out, "NOTE authz "+c.ID+" is not put to the test", c.OneSided)
	}
	_, _ = fmt.Fprintf(out, "%-15s %d requests as filters see them, %d of them sent\n", "authz", requests, sent)
	return score, len(f.all), nil
}

// fields counts the parts of the rules that both sides have. A part may be
// wrong where no request shows it, since another part never matches.
func (f *filterScores) fields(out io.Writer, _, dir string) (score, total int, err error) {
	err = f.compare(dir)
	for _, c := range f.all {
		score, total = score+c.Fields-len(c.FieldMisses), total+c.Fields
		tell(out, "MISS authz/fields "+c.ID, c.FieldMisses)
	}
	return score, total, err
}

// compare runs all cases of a folder, once.
func (f *filterScores) compare(dir string) error {
	if f.dir == dir {
		return nil
	}
	cases, err := authz.Load(dir)
	if err != nil {
		return err
	}
	f.dir, f.all = dir, nil
	for i := range cases {
		c, err := cases[i].Compare()
		if err != nil { // a case that cannot be read is a miss, not the end
			c = authz.Comparison{ID: cases[i].ID, Misses: []string{err.Error()}}
		}
		f.all = append(f.all, c)
	}
	return nil
}

func tell(out io.Writer, about string, lines []string) {
	for i, line := range lines {
		if i == mostMisses {
			_, _ = fmt.Fprintf(out, "%s: and %d more\n", about, len(lines)-i)
			return
		}
		_, _ = fmt.Fprintf(out, "%s: %s\n", about, line)
	}
}
