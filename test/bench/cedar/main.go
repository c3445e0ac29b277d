// Command cedar times one decision of a compiled workload beside cedar-go's
// Authorize on policies that mean the same, turn by turn in one process. It first
// holds both to the same decisions, by the same rules. The least of many short
// turns counts: the machine may be busy with other things.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/meshctl/meshctl/pkg/policy"
)

const (
	leastRatio = 3                      // how many times faster a decision must be, from 10 rules on
	budget     = 500 * time.Nanosecond  // of a decision over 50 rules
	turns      = 400                    // of each contestant
	turn       = 100 * time.Microsecond // about how long one takes
)

func main() {
	os.Exit(run(os.Stdout))
}

func run(out io.Writer) int {
	passed, failed, err := measure(out)
	if err != nil {
		_, _ = fmt.Fprintln(out, "cedar:", err)
		return 1
	}
	_, _ = fmt.Fprintf(out, "gate cedar: %d cases\n%d passed, %d failed\n", passed+failed, passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}

func measure(out io.Writer) (passed, failed int, err error) {
	judge := func(ok bool, format string, args ...any) {
		verdict := "ok  "
		if ok {
			passed++
		} else {
			failed++
			verdict = "OVER"
		}
		_, _ = fmt.Fprintf(out, verdict+" "+format+"\n", args...)
	}
	_, _ = fmt.Fprintf(out, "one decision: at most %d ns and no allocation; over 10 and 50 rules at least %d times faster than cedar-go's Authorize\n", budget.Nanoseconds(), leastRatio)
	for _, form := range []form{halfNamePeers, allNamePeers, severalNamespaces} {
		for _, n := range []int{1, 10, 50} {
			p, err := newPair(form, n)
			if err != nil {
				return passed, failed, fmt.Errorf("%d rules, %s: %w", n, form, err)
			}
			agreed, err := p.agree()
			if err != nil {
				return passed, failed, fmt.Errorf("%d rules, %s: %w", n, form, err)
			}
			judge(agreed > 0, "%2d rules, %s: the same in %d decisions", n, form, agreed)
			for _, r := range p.timed() {
				t := p.time(r)
				ratio := float64(t.cedar) / float64(t.decision)
				judge(t.decision <= budget && t.allocations == 0 && (n == 1 || ratio >= leastRatio), "   %-16s %4d ns, %.0f allocations; cedar-go %5d ns: %5.1f times; the whole request %5d ns",
					r.name, t.decision.Nanoseconds(), t.allocations, t.cedar.Nanoseconds(), ratio, t.evaluate.Nanoseconds())
			}
		}
	}
	return passed, failed, nil
}

// times are those of one request.
type times struct {
	decision, evaluate, cedar time.Duration
	allocations               float64 // of a decision
}

// time decides a request by turns.
func (p *pair) time(r request) times {
	asked := r.ours()
	prepared, _ := p.model.Prepare(asked)
	cedarRequest := r.theirs()
	least := fastest(
		func() { prepared.Decide() },
		func() { p.model.Evaluate(asked) },
		func() { cedar.Authorize(p.policies, nil, cedarRequest) },
	)
	return times{least[0], least[1], least[2], allocations(func() { prepared.Decide() })}
}

// fastest runs contestants by turns, and keeps the least time of each.
func fastest(contestants ...func()) []time.Duration {
	least := make([]time.Duration, len(contestants))
	rounds := make([]int, len(contestants))
	for i, do := range contestants {
		rounds[i] = 1
		for rounds[i] < 1<<20 && clock(do, rounds[i]) < turn {
			rounds[i] *= 2
		}
		least[i] = time.Hour
	}
	for range turns {
		for i, do := range contestants {
			least[i] = min(least[i], clock(do, rounds[i])/time.Duration(rounds[i]))
		}
	}
	return least
}

func clock(do func(), times int) time.Duration {
	start := time.Now()
	for range times {
		do()
	}
	return time.Since(start)
}

// allocations are those of one call.
func allocations(do func()) float64 {
	const calls = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		do()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / calls)
}

// decisionOf is what cedar-go says, in our words.
func decisionOf(d cedar.Decision) policy.Outcome {
	if d == cedar.Allow {
		return policy.Allow
	}
	return policy.Deny
}
