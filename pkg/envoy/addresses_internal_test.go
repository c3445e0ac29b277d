package envoy

import (
	"fmt"
	"strings"
	"testing"
)

// TestPool: names that would share an address get the next one; those that are
// reserved, the first and the last are never given; then there are no more.
func TestPool(t *testing.T) {
	t.Parallel()
	p := newPool("10.0.0.0/28")
	p.reserve("10.0.0.5")
	p.reserve("192.168.0.1")
	p.reserve("name.example")
	given := map[string]bool{"10.0.0.5": true, "10.0.0.0": true, "10.0.0.15": true}
	for i := range 13 {
		a, err := p.take(fmt.Sprint("name", i))
		if err != nil || given[a] || !strings.HasPrefix(a, "10.0.0.") {
			t.Fatalf("%d: %s, %v", i, a, err)
		}
		given[a] = true
	}
	if a, err := p.take("one more"); err == nil {
		t.Errorf("an address beyond the range: %s", a)
	}
}
