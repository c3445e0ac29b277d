package manifest_test

import (
	"sync"
	"testing"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// TestPlaces: places that are found in a text that is read once are those of
// Locate, for every goroutine.
func TestPlaces(t *testing.T) {
	t.Parallel()
	s, err := manifest.Read("a.yaml", []byte("# first\n---\nkind: List\nitems:\n- a: {b: [1, 2]}\n- &x {a: 3}\n- *x\n---\nno: {mapping\n"))
	if err != nil {
		t.Fatal(err)
	}
	paths := [][]string{nil, {"kind"}, {"items"}, {"items", "0", "a", "b", "1"}, {"items", "2", "a"}, {"items", "7"}, {"none"}, {"a"}}
	for i := range s.Documents {
		d := &s.Documents[i]
		places := d.Places()
		var all sync.WaitGroup
		for _, path := range paths {
			all.Go(func() {
				if got, want := places(path...), d.Locate(path...); got != want {
					t.Errorf("document %d, %v: %v, want %v", i, path, got, want)
				}
			})
		}
		all.Wait()
	}
}
