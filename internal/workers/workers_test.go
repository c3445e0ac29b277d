package workers_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/meshctl/meshctl/internal/workers"
)

func TestEach(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 256, 1000} {
		for _, chunk := range []int{1, 256} {
			done := make([]atomic.Int32, n)
			err := workers.Each(context.Background(), n, chunk, func(i int) error {
				done[i].Add(1)
				if i%500 == 6 {
					return fmt.Errorf("piece %d", i)
				}
				return nil
			})
			for i := range done {
				if done[i].Load() != 1 {
					t.Errorf("piece %d of %d is done %d times", i, n, done[i].Load())
				}
			}
			want := map[int]string{7: "piece 6", 256: "piece 6", 1000: "piece 6\npiece 506"}[n]
			if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
				t.Errorf("%d pieces: error %s, want %s", n, got, want)
			}
		}
	}
}

func TestEachStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	var done atomic.Int32
	err := workers.Each(ctx, 1_000_000, 1, func(int) error {
		done.Add(1)
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || done.Load() > 1000 {
		t.Errorf("%v after %d pieces", err, done.Load())
	}
}
