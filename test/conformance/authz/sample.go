package authz

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// regexText is a full match of a regular expression.
func regexText(pattern string) (text, error) {
	full, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return text{}, err
	}
	return text{holds: full.MatchString, samples: samplesOf(pattern)}, nil
}

// samplesOf are a few strings that a regular expression matches.
func samplesOf(pattern string) []string {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	var all []string
	for variant := range 4 {
		if s := sample(tree, variant); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// sample makes one string of a tree; the variant decides on repetitions and
// alternatives.
func sample(t *syntax.Regexp, variant int) string {
	times := 0
	switch t.Op {
	case syntax.OpLiteral:
		return string(t.Rune)
	case syntax.OpCharClass:
		return classSample(t.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "y"
	case syntax.OpAlternate:
		return sample(t.Sub[variant%len(t.Sub)], variant)
	case syntax.OpConcat:
		var out strings.Builder
		for _, sub := range t.Sub {
			out.WriteString(sample(sub, variant))
		}
		return out.String()
	case syntax.OpCapture:
		times = 1
	case syntax.OpStar:
		times = variant
	case syntax.OpPlus:
		times = variant + 1
	case syntax.OpQuest:
		times = variant / 2 % 2
	case syntax.OpRepeat:
		times = t.Min
	default:
		return "" // places in the text
	}
	return strings.Repeat(sample(t.Sub[0], variant), times)
}

// classSample is a character of a class, an everyday one if there is one.
func classSample(ranges []rune) string {
	for _, c := range "y1-" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				return string(c)
			}
		}
	}
	if len(ranges) == 0 {
		return ""
	}
	return string(ranges[0])
}

// templateText is a full match of a path with the operators * (part of a
// segment) and ** (any part of a path), as DP-55 measured them.
func templateText(template string) (text, error) {
	const segment = `[a-zA-Z0-9\-._~%!$&'()*+,;:@=]`
	var pattern strings.Builder
	for rest := template; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**"):
			pattern.WriteString("(?:" + segment + "|/)*")
			rest = rest[2:]
		case rest[0] == '*':
			pattern.WriteString(segment + "+")
			rest = rest[1:]
		default:
			literal, _, _ := strings.Cut(rest, "*")
			pattern.WriteString(regexp.QuoteMeta(literal))
			rest = rest[len(literal):]
		}
	}
	m, err := regexText(pattern.String())
	m.samples = append(m.samples, strings.ReplaceAll(strings.ReplaceAll(template, "**", "a/b.c"), "*", "%2F"))
	return m, err
}
