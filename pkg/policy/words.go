package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// most is how many names a sentence lists before it counts the rest.
const most = 8

// either lists alternatives: "a", "a or b", "a, b or c".
func either(words []string) string { return listed(words, "or") }

// both lists what belongs together: "a", "a and b", "a, b and c".
func both(words []string) string { return listed(words, "and") }

func listed(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

// few is both, shortened where there are many.
func few(words []string) string {
	if len(words) > most {
		words = append(words[:most:most], fmt.Sprintf("%d more", len(words)-most))
	}
	return both(words)
}

// alternatives joins clauses of which one is enough, so that it stays clear
// where each of them ends.
func alternatives(clauses []string) string {
	if len(clauses) == 1 {
		return clauses[0]
	}
	between := ", or "
	if strings.ContainsAny(strings.Join(clauses, ""), ",") {
		between = "; or "
	}
	return "either " + strings.Join(clauses, between)
}

// unique keeps the first of equal words.
func unique(words []string) []string {
	var all []string
	for _, w := range words {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

// shown is a value as a sentence has it: in quotes where its end would not be
// clear.
func shown(v string) string {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == ',' || r == ';' || r == '"' || r >= 0x7f && r <= 0xa0 }) {
		return strconv.Quote(v)
	}
	return v
}

func allShown(values []string) []string {
	var all []string
	for _, v := range values {
		all = append(all, shown(v))
	}
	return all
}

// forms are values by how they match (AP-21, AP-22).
type forms struct {
	exact, starts, ends []string
	any                 bool
}

func formsOf(values []string) forms {
	var f forms
	for _, v := range values {
		m := stringForm(v)
		switch m.Form {
		case NonEmpty:
			f.any = true
		case Prefix:
			f.starts = append(f.starts, shown(m.Value))
		case Suffix:
			f.ends = append(f.ends, shown(m.Value))
		default:
			f.exact = append(f.exact, shown(m.Value))
		}
	}
	return f
}

// nouns names the texts: "a, b, paths that start with c".
func (f forms) nouns(plural string) []string {
	all := slices.Clone(f.exact)
	if f.starts != nil {
		all = append(all, plural+" that start with "+either(f.starts))
	}
	if f.ends != nil {
		all = append(all, plural+" that end in "+either(f.ends))
	}
	return all
}

// verbs says of one text what it does: "is", "starts with".
type verbs struct {
	is, isNot       string // before the values themselves
	has, hasNot     string // before "start with"; empty says "starts with"
	there, notThere string // for any value
}

// plainVerbs are those of a text that is there once.
func plainVerbs() verbs {
	return verbs{is: "is", isNot: "is not", there: "is there", notThere: "is not there"}
}

// predicate says what a text does that has some of the values, or none.
func (f forms) predicate(v verbs, negative bool) string {
	if negative {
		return f.none(v)
	}
	var all []string
	if f.exact != nil {
		all = append(all, v.is+" "+either(f.exact))
	}
	if f.starts != nil {
		all = append(all, v.has+"starts with "+either(f.starts))
	}
	if f.ends != nil {
		all = append(all, v.has+"ends in "+either(f.ends))
	}
	if f.any {
		all = append(all, v.there)
	}
	return strings.Join(all, " or ")
}

func (f forms) none(v verbs) string {
	var all []string
	if f.exact != nil {
		all = append(all, v.isNot+" "+either(f.exact))
	}
	start, end := "does not start with ", "does not end in "
	if v.hasNot != "" {
		start, end = v.hasNot+"starts with ", v.hasNot+"ends in "
	}
	if f.starts != nil {
		all = append(all, start+either(f.starts))
	}
	if f.ends != nil {
		all = append(all, end+either(f.ends))
	}
	if f.any {
		all = append(all, v.notThere)
	}
	return strings.Join(all, " and ")
}
