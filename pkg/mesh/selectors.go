package mesh

import (
	"maps"
	"slices"
)

// Selectors finds the things whose selectors select given labels, without
// looking at all of them: each is kept under one of the pairs that it wants, the
// one that the fewest others want.
type Selectors[T any] struct {
	things    []T
	selectors []map[string]string
	everyone  []int // positions of those that want nothing
	byPair    map[pair][]int
}

type pair struct{ key, value string }

// NewSelectors takes things and how to tell what they select.
func NewSelectors[T any](things []T, selector func(T) map[string]string) *Selectors[T] {
	s := &Selectors[T]{things: things, byPair: map[pair][]int{}}
	crowd := map[pair]int{}
	for _, thing := range things {
		wanted := selector(thing)
		s.selectors = append(s.selectors, wanted)
		for key, value := range wanted {
			crowd[pair{key, value}]++
		}
	}
	for i, wanted := range s.selectors {
		if len(wanted) == 0 {
			s.everyone = append(s.everyone, i)
			continue
		}
		keys := slices.Sorted(maps.Keys(wanted))
		rarest := pair{keys[0], wanted[keys[0]]}
		for _, key := range keys[1:] {
			if p := (pair{key, wanted[key]}); crowd[p] < crowd[rarest] {
				rarest = p
			}
		}
		s.byPair[rarest] = append(s.byPair[rarest], i)
	}
	return s
}

// Of are the things that select labels, in their order; nil has none.
func (s *Selectors[T]) Of(labels map[string]string) []T {
	if s == nil {
		return nil
	}
	positions := slices.Clone(s.everyone)
	for key, value := range labels {
		for _, i := range s.byPair[pair{key, value}] {
			if Selects(s.selectors[i], labels) {
				positions = append(positions, i)
			}
		}
	}
	slices.Sort(positions)
	var all []T
	for _, i := range positions {
		all = append(all, s.things[i])
	}
	return all
}
