package diff

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

// randomPattern makes a regular expression of few letters.
func randomPattern(r *rand.Rand, depth int) string {
	switch n := r.IntN(9); {
	case depth == 0 || n < 3:
		return []string{"a", "b", "/", ".", "[^/]", "(?s:.)", "(?i:A)"}[r.IntN(7)]
	case n < 6:
		return randomPattern(r, depth-1) + randomPattern(r, depth-1)
	case n < 7:
		return "(?:" + randomPattern(r, depth-1) + "|" + randomPattern(r, depth-1) + ")"
	}
	return "(?:" + randomPattern(r, depth-1) + ")" + []string{"*", "+", "?"}[r.IntN(3)]
}

// texts are all of some length, of the letters that random patterns tell apart.
func texts(length int) []string {
	if length == 0 {
		return []string{""}
	}
	all := []string{""}
	for _, rest := range texts(length - 1) {
		for _, letter := range []string{"a", "b", "/", "\n", "A"} {
			all = append(all, letter+rest)
		}
	}
	return all
}

// TestLanguage: a language that is said to be within another has no text that is
// none of the other's. Few of those whose short texts say so are not found: their
// long ones may say otherwise.
func TestLanguage(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	words := texts(5)
	yes, missed := 0, 0
	for range 1500 {
		small, large := randomPattern(r, 3), randomPattern(r, 3)
		a, read := readLanguage(small)
		b, too := readLanguage(large)
		if !read || !too {
			t.Fatalf("%q, %q are not read", small, large)
		}
		fits, takes := regexp.MustCompile("^(?:"+small+")$"), regexp.MustCompile("^(?:"+large+")$")
		want := true
		for _, w := range words {
			if fits.MatchString(w) && !takes.MatchString(w) {
				want = false
				break
			}
		}
		got := a.within(b, true)
		if got && !want {
			t.Errorf("%q is said to be within %q", small, large)
		}
		if got {
			yes++
		} else if want {
			missed++
		}
		if got && !a.within(b, false) {
			t.Errorf("%q is within %q, and not without line ends", small, large)
		}
	}
	if yes < 50 || missed > 40 {
		t.Errorf("%d are within another, and %d may be: that says little", yes, missed)
	}
	for _, pattern := range []string{"^a", "a\\b", "("} {
		if _, ok := readLanguage(pattern); ok {
			t.Errorf("%q is taken for one that is understood", pattern)
		}
	}
}
