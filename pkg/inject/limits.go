package inject

import (
	"bytes"
	"fmt"
	"text/template"
)

// Templates come from outside: what they make is bounded, so that a hostile
// one fails instead of taking the machine's memory.
const (
	maxRendered = 16 << 20 // bytes that one template may write
	maxCount    = 1 << 20  // repetitions, list items, columns of indent
)

// boundedBuffer fails once more than maxRendered bytes are written.
type boundedBuffer struct{ bytes.Buffer }

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, fmt.Errorf("renders more than %d MiB", maxRendered>>20)
	}
	return b.Buffer.Write(p)
}

// bound wraps the functions that make as much as they are asked for.
func bound(f template.FuncMap) {
	check := func(name string, counts ...int) error {
		for _, n := range counts {
			if n > maxCount || n < -maxCount {
				return fmt.Errorf("%s: %d is more than %d", name, n, maxCount)
			}
		}
		return nil
	}
	repeat := f["repeat"].(func(int, string) string)
	f["repeat"] = func(n int, s string) (string, error) {
		if err := check("repeat", n, n/16*len(s)); err != nil {
			return "", err
		}
		return repeat(n, s), nil
	}
	until := f["until"].(func(int) []int)
	f["until"] = func(n int) ([]int, error) {
		if err := check("until", n); err != nil {
			return nil, err
		}
		return until(n), nil
	}
	untilStep := f["untilStep"].(func(int, int, int) []int)
	f["untilStep"] = func(start, stop, step int) ([]int, error) {
		if err := check("untilStep", start, stop); err != nil {
			return nil, err
		}
		return untilStep(start, stop, step), nil
	}
	for _, name := range []string{"indent", "nindent"} {
		pad := f[name].(func(int, string) string)
		f[name] = func(spaces int, s string) (string, error) {
			if err := check(name, spaces); err != nil {
				return "", err
			}
			return pad(spaces, s), nil
		}
	}
}
