package policy_test

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// evaluations is how many random requests the test below evaluates. make bench
// asks for 10 million.
func evaluations(t *testing.T) int {
	t.Helper()
	text, set := os.LookupEnv("MESHCTL_EVALUATIONS")
	if !set {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("MESHCTL_EVALUATIONS=%s: expected a number of 1000 or more", text)
	}
	return n
}

// TestEvaluationsKeepNothing: however many random requests are evaluated, the
// heap does not grow, nor does what an evaluation allocates. It does not run
// beside other tests, whose memory would count.
func TestEvaluationsKeepNothing(t *testing.T) {
	const parts = 10
	n := evaluations(t) / parts
	var models []*policy.Model
	for seed := range uint64(40) {
		d := roll(seed, 11)
		all := slices.Concat(d.policies("ALLOW", 3), d.policies("DENY", 3), d.policies("AUDIT", 1), d.policies("CUSTOM", 1), d.more())
		models = append(models, model(t, docs(append(all, asDryRun(ap("dry", d.rules())))...), randomConfig))
	}
	outcomes := map[policy.Outcome]int{}
	var heap, allocated [parts]uint64
	for part := range parts {
		d := roll(uint64(part), 12)
		requests := make([]*policy.Request, 2000)
		for i := range requests {
			requests[i] = d.request()
		}
		before := memory()
		for range n {
			v := models[d.IntN(len(models))].Evaluate(requests[d.IntN(len(requests))])
			outcomes[v.Outcome]++
		}
		allocated[part] = (memory().TotalAlloc - before.TotalAlloc) / uint64(n)
		clear(requests)
		heap[part] = memory().HeapAlloc
	}
	t.Logf("%d random evaluations: %v", n*parts, outcomes)
	t.Logf("bytes on the heap after each tenth: %d", heap)
	t.Logf("bytes that an evaluation allocates, by tenths: %d", allocated)
	if len(outcomes) < 6 {
		t.Errorf("outcomes %v, want all six", outcomes)
	}
	const slack = 64 << 10 // of the runtime's own
	if slices.Max(heap[1:]) > heap[0]+slack {
		t.Errorf("the heap grows from %d bytes to %d", heap[0], slices.Max(heap[1:]))
	}
	if most, first := slices.Max(allocated[1:]), allocated[0]; most > first+first/4 {
		t.Errorf("an evaluation allocates %d bytes at most, %d at first", most, first)
	}
}

// memory is what the heap has after a collection.
func memory() runtime.MemStats {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}
