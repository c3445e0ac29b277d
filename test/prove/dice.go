package main

import "math/rand/v2"

// dice is a source of random choices that a seed determines.
type dice struct{ *rand.Rand }

func newDice(seed, n uint64) dice { return dice{rand.New(rand.NewPCG(seed, n))} }

// one is one of several texts.
func (d dice) one(all ...string) string { return all[d.IntN(len(all))] }

// percent is true in so many cases of a hundred.
func (d dice) percent(n int) bool { return d.IntN(100) < n }

// some are one to three of several texts, as a JSON list.
func (d dice) some(all ...string) []any {
	var list []any
	for range 1 + d.IntN(3)*d.IntN(2) {
		list = append(list, d.one(all...))
	}
	return list
}
