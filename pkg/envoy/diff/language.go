package diff

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
)

// maxLanguageSteps bounds the work for two regular expressions: beyond it, neither
// is known to be within the other.
const maxLanguageSteps = 1 << 16

// language are the texts that a regular expression fits as a whole.
type language struct{ prog *syntax.Prog }

// readLanguage is false for an expression that is not understood: one with
// anchors or word boundaries.
func readLanguage(pattern string) (language, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return language{}, false
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || slices.ContainsFunc(prog.Inst, func(i syntax.Inst) bool { return i.Op == syntax.InstEmptyWidth }) {
		return language{}, false
	}
	return language{prog}, true
}

// within tells whether every text of a language is one of another: there is no
// way through the first that the second does not follow to its end. It is false
// too where that takes too long. Without lines, texts have no line ends.
func (l language) within(other language, lines bool) bool {
	type place struct {
		at     uint32
		others string // states of the other
	}
	letters := alphabet(l.prog, other.prog)
	if !lines {
		letters = slices.DeleteFunc(letters, func(r rune) bool { return r == '\n' })
	}
	start := other.closure([]uint32{uint32(other.prog.Start)}) //nolint:gosec // an index
	states := map[string][]uint32{key(start): start}
	var open []place
	seen := map[place]bool{}
	visit := func(at uint32, others string) {
		if p := (place{at, others}); !seen[p] {
			seen[p] = true
			open = append(open, p)
		}
	}
	for _, at := range l.closure([]uint32{uint32(l.prog.Start)}) { //nolint:gosec // an index
		visit(at, key(start))
	}
	for steps := 0; len(open) > 0; {
		p := open[len(open)-1]
		open = open[:len(open)-1]
		inst := &l.prog.Inst[p.at]
		if inst.Op == syntax.InstMatch {
			if !other.ends(states[p.others]) {
				return false
			}
			continue
		}
		for _, r := range letters {
			if !inst.MatchRune(r) {
				continue
			}
			if steps += len(states[p.others]) + 1; steps > maxLanguageSteps {
				return false
			}
			next := other.step(states[p.others], r)
			states[key(next)] = next
			for _, at := range l.closure([]uint32{inst.Out}) {
				visit(at, key(next))
			}
		}
	}
	return true
}

func key(states []uint32) string { return fmt.Sprint(states) }

// closure are the instructions that take a letter, or end, that others lead to
// without one. They are in order.
func (l language) closure(from []uint32) []uint32 {
	seen := map[uint32]bool{}
	var found []uint32
	for open := slices.Clone(from); len(open) > 0; {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		switch inst := &l.prog.Inst[at]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			open = append(open, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			open = append(open, inst.Out)
		case syntax.InstFail, syntax.InstEmptyWidth:
		default:
			found = append(found, at)
		}
	}
	slices.Sort(found)
	return found
}

func (l language) ends(states []uint32) bool {
	return slices.ContainsFunc(states, func(at uint32) bool { return l.prog.Inst[at].Op == syntax.InstMatch })
}

func (l language) step(states []uint32, r rune) []uint32 {
	var next []uint32
	for _, at := range states {
		if inst := &l.prog.Inst[at]; inst.Op != syntax.InstMatch && inst.MatchRune(r) {
			next = append(next, inst.Out)
		}
	}
	return l.closure(next)
}

// alphabet has a letter of each kind that programs tell apart.
func alphabet(all ...*syntax.Prog) []rune {
	bounds := []rune{0, '\n', '\n' + 1}
	for _, p := range all {
		for i := range p.Inst {
			runes := p.Inst[i].Rune
			for j, r := range runes {
				bounds = append(bounds, r, r+1)
				if j == 0 && len(runes) == 1 { // one letter, perhaps in any case
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						bounds = append(bounds, f, f+1)
					}
				}
			}
		}
	}
	slices.Sort(bounds)
	return slices.DeleteFunc(slices.Compact(bounds), func(r rune) bool { return r > unicode.MaxRune })
}
