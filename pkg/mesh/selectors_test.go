package mesh_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// TestSelectors: what is found is what looking at all of them finds, in order
// (AP-3).
func TestSelectors(t *testing.T) {
	t.Parallel()
	selected := 0
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		labels := func(most int) map[string]string {
			all := map[string]string{}
			for range r.IntN(most + 1) {
				all[string(rune('a'+r.IntN(3)))] = fmt.Sprint(r.IntN(3))
			}
			return all
		}
		var things []map[string]string
		for range r.IntN(30) {
			things = append(things, labels(2))
		}
		selectors := mesh.NewSelectors(things, func(m map[string]string) map[string]string { return m })
		for range 20 {
			of := labels(4)
			var want []map[string]string
			for _, thing := range things {
				if mesh.Selects(thing, of) {
					want = append(want, thing)
				}
			}
			if got := selectors.Of(of); !slices.EqualFunc(got, want, func(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Fatalf("seed %d: %v selects %v, want %v", seed, of, got, want)
			}
			selected += len(want)
		}
	}
	if selected < 10_000 {
		t.Errorf("%d selected: that says little", selected)
	}
}
