// Package workers does pieces of work on all processors.
package workers

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// Each does n pieces of work, chunk of them at a time on every processor, and
// joins their errors in order. It stops early when ctx ends, and then fails
// with the context's error.
func Each(ctx context.Context, n, chunk int, do func(i int) error) error {
	problems := make([]error, n)
	var next atomic.Int64
	claim := func() int { return int(next.Add(int64(chunk))) - chunk }
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+chunk-1)/chunk) {
		workers.Go(func() {
			for start := claim(); start < n && ctx.Err() == nil; start = claim() {
				for i := start; i < min(start+chunk, n); i++ {
					problems[i] = do(i)
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(problems...)
}
