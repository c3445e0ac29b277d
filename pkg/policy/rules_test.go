package policy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryRuleIsCited: each rule of the policy reference that can be observed
// has a test that cites it, and testdata/rules.txt says of each other why it has
// none. Rules are numbered statements about real Istio; a range of them cites
// none.
func TestEveryRuleIsCited(t *testing.T) {
	t.Parallel()
	excused, listed := readRules(t)
	cited := citations(t)
	base := regexp.MustCompile(`[a-z]$`)
	known := func(id string) bool { _, ok := excused[id]; return ok }
	for id, file := range cited {
		if whole := base.ReplaceAllString(id, ""); !known(id) && known(whole) {
			cited[whole] = file // a part of a rule
		} else if !known(id) {
			t.Errorf("%s cites %s, which testdata/rules.txt does not have", file, id)
		}
	}
	var missing []string
	for _, id := range listed {
		file, tested := cited[id]
		switch {
		case tested && excused[id] != "":
			t.Errorf("%s has a test in %s: take its excuse out of testdata/rules.txt", id, file)
		case !tested && excused[id] == "":
			missing = append(missing, id)
		}
	}
	if missing != nil {
		t.Errorf("%d of %d rules have neither a test nor an excuse in testdata/rules.txt: %s", len(missing), len(listed), strings.Join(missing, " "))
	}
}

// readRules reads a rule a line, and after a colon why no test cites it.
func readRules(t *testing.T) (excused map[string]string, listed []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rules.txt"))
	if err != nil {
		t.Fatal(err)
	}
	excused = map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, why, hasExcuse := strings.Cut(line, ": ")
		if _, twice := excused[id]; twice || ruleID.FindString(id) != id || hasExcuse && len(strings.Fields(why)) < 5 {
			t.Errorf("testdata/rules.txt: %q: expected a rule that was not there before, and a sentence if it is excused", line)
		}
		excused[id] = why
		listed = append(listed, id)
	}
	if len(listed) == 0 {
		t.Fatal("testdata/rules.txt is empty")
	}
	return excused, listed
}

var (
	ruleID    = regexp.MustCompile(`\b(?:EV|AP|PA|RA|DR|RUN)-\d+[a-z]?\b`)
	ruleRange = regexp.MustCompile(`\b[A-Z]+-\d+[a-z]?\.\.[A-Z]*-?\d+[a-z]?\b`)
)

// citations are the rules that tests and scripts cite, and one of the files
// that does.
func citations(t *testing.T) map[string]string {
	t.Helper()
	cited := map[string]string{}
	root := filepath.Join("..", "..")
	for _, folder := range []string{"pkg/policy", "pkg/mesh", "cmd/meshctl", "test"} {
		read := 0
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			isTest := strings.HasSuffix(path, "_test.go") || slices.Contains([]string{".txtar", ".yaml"}, filepath.Ext(path))
			if err != nil || entry.IsDir() || !isTest || entry.Name() == "rules_test.go" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			read++
			for _, id := range ruleID.FindAllString(ruleRange.ReplaceAllString(string(text), ""), -1) {
				cited[id] = filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
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
