// Package citation holds tests to numbered rules: each rule has a test that cites
// it, or an excuse. It is for tests only.
package citation

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Rules are some numbered rules, and where tests cite them.
type Rules struct {
	List    string         // a file: a rule a line, and after a colon why no test cites it
	ID      *regexp.Regexp // what a rule is named
	Root    string         // of the folders
	Folders []string       // with tests and their data
}

// ranges of rules cite none.
var ranges = regexp.MustCompile(`\b[A-Z]+-\d+[a-z]?\.\.[A-Z]*-?\d+[a-z]?\b`)

// part is what a letter after a rule's number says.
var part = regexp.MustCompile(`[a-z]$`)

// Check fails for rules without a test and an excuse, excuses of rules that have a
// test, and tests that cite what is no rule.
func (r *Rules) Check(t *testing.T) {
	t.Helper()
	excused, listed := r.read(t)
	cited := r.citations(t)
	known := func(id string) bool { _, ok := excused[id]; return ok }
	for id, file := range cited {
		if whole := part.ReplaceAllString(id, ""); !known(id) && known(whole) {
			cited[whole] = file
		} else if !known(id) {
			t.Errorf("%s cites %s, which %s does not have", file, id, r.List)
		}
	}
	var missing []string
	for _, id := range listed {
		file, tested := cited[id]
		switch {
		case tested && excused[id] != "":
			t.Errorf("%s has a test in %s: take its excuse out of %s", id, file, r.List)
		case !tested && excused[id] == "":
			missing = append(missing, id)
		}
	}
	if missing != nil {
		t.Errorf("%d of %d rules have neither a test nor an excuse in %s: %s", len(missing), len(listed), r.List, strings.Join(missing, " "))
	}
}

// read reads the list.
func (r *Rules) read(t *testing.T) (excused map[string]string, listed []string) {
	t.Helper()
	text, err := os.ReadFile(r.List)
	if err != nil {
		t.Fatal(err)
	}
	excused = map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		const sentence = 5 // words
		id, why, hasExcuse := strings.Cut(line, ": ")
		if _, twice := excused[id]; twice || r.ID.FindString(id) != id || hasExcuse && len(strings.Fields(why)) < sentence {
			t.Errorf("%s: %q: expected a rule that was not there before, and a sentence if it is excused", r.List, line)
		}
		excused[id] = why
		listed = append(listed, id)
	}
	if len(listed) == 0 {
		t.Fatalf("%s is empty", r.List)
	}
	return excused, listed
}

// citations are the rules that tests and scripts cite, and one of the files that
// does.
func (r *Rules) citations(t *testing.T) map[string]string {
	t.Helper()
	cited := map[string]string{}
	for _, folder := range r.Folders {
		read := 0
		err := filepath.WalkDir(filepath.Join(r.Root, folder), func(path string, entry fs.DirEntry, err error) error {
			isTest := strings.HasSuffix(path, "_test.go") || slices.Contains([]string{".txtar", ".yaml"}, filepath.Ext(path))
			if err != nil || entry.IsDir() || !isTest || entry.Name() == "rules_test.go" {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // a file of the checkout
			if err != nil {
				return err
			}
			read++
			for _, id := range r.ID.FindAllString(ranges.ReplaceAllString(string(text), ""), -1) {
				cited[id] = filepath.ToSlash(strings.TrimPrefix(path, r.Root+string(filepath.Separator)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if read == 0 {
			t.Errorf("%s has no tests", folder)
		}
	}
	return cited
}
