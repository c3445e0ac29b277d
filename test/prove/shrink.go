package main

import (
	"context"
	"fmt"
)

// shrinker makes a case smaller as long as it still shows what it is about.
type shrinker struct {
	// shows tells of each of some cases whether it does. Nil cases do not.
	shows func(context.Context, []*testCase) ([]bool, error)
}

// batch is how many cases are tried at once.
const batch = 60

// shrink takes away as much as it can, of the mesh and of the request.
func (s *shrinker) shrink(ctx context.Context, c *testCase) (*testCase, error) {
	tree, err := c.tree()
	if err != nil {
		return nil, err
	}
	for {
		possible, err := s.possible(ctx, c.name, tree)
		if err != nil {
			return nil, err
		}
		if len(possible) == 0 {
			return caseOf(c.name, tree)
		}
		if tree, err = s.most(ctx, c.name, tree, possible); err != nil {
			return nil, err
		}
	}
}

// possible are the edits that change something and leave what the case shows.
func (s *shrinker) possible(ctx context.Context, name string, tree any) ([]edit, error) {
	var kept, tried []edit
	var cases []*testCase
	flush := func() error {
		shown, err := s.try(ctx, cases)
		for i := range shown {
			if shown[i] {
				kept = append(kept, tried[i])
			}
		}
		cases, tried = nil, nil
		return err
	}
	before := fmt.Sprint(tree)
	for _, e := range edits(tree) {
		changed := apply(tree, []edit{e})
		if fmt.Sprint(changed) == before {
			continue
		}
		c, _ := caseOf(name, changed) // nil is a case that shows nothing
		cases, tried = append(cases, c), append(tried, e)
		if len(cases) == batch {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return kept, flush()
}

// most applies as many of the edits at once as leave what the case shows: one
// alone does.
func (s *shrinker) most(ctx context.Context, name string, tree any, possible []edit) (any, error) {
	var trees []any
	var cases []*testCase
	for n := len(possible); n > 0; n /= 2 {
		changed := apply(tree, possible[:n])
		c, _ := caseOf(name, changed)
		trees, cases = append(trees, changed), append(cases, c)
	}
	shown, err := s.try(ctx, cases)
	if err != nil {
		return nil, err
	}
	for i := range shown {
		if shown[i] {
			return trees[i], nil
		}
	}
	// Envoy does not always say the same: take the one that it said it of before.
	return apply(tree, possible[:1]), nil
}

// try asks about cases; nil ones are not sent.
func (s *shrinker) try(ctx context.Context, cases []*testCase) ([]bool, error) {
	shown := make([]bool, len(cases))
	var real []*testCase
	var at []int
	for i, c := range cases {
		if c != nil {
			real, at = append(real, c), append(at, i)
		}
	}
	if len(real) == 0 {
		return shown, nil
	}
	answers, err := s.shows(ctx, real)
	for i := range answers {
		shown[at[i]] = answers[i]
	}
	return shown, err
}
