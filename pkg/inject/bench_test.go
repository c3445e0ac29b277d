package inject_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// many repeats the examples to n documents and more.
func many(b *testing.B, n int) *manifest.Stream {
	b.Helper()
	text, err := os.ReadFile("../../testdata/examples/shop.yaml")
	if err != nil {
		b.Fatal(err)
	}
	s, err := manifest.Read("app.yaml", bytes.Repeat(append(text, "---\n"...), n/4+1))
	if err != nil {
		b.Fatal(err)
	}
	s.Documents = s.Documents[:n]
	return s
}

func BenchmarkInject(b *testing.B) {
	i := defaults(b)
	encoder := &manifest.Encoder{}
	for _, n := range []int{1, 200, 2000} {
		s := many(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				outputs, err := inject.Run(context.Background(), []*manifest.Stream{s}, i.Document)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := outputs[0].Canonical(context.Background(), encoder); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/document")
		})
	}
}

func BenchmarkPreserve(b *testing.B) {
	i := defaults(b, clean)
	s := many(b, 200)
	for b.Loop() {
		outputs, err := inject.Run(context.Background(), []*manifest.Stream{s}, i.Document)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := outputs[0].Preserved(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*200), "µs/document")
}

func BenchmarkUninject(b *testing.B) {
	outputs, err := inject.Run(context.Background(), []*manifest.Stream{many(b, 200)}, defaults(b).Document)
	if err != nil {
		b.Fatal(err)
	}
	text, err := outputs[0].Canonical(context.Background(), &manifest.Encoder{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := manifest.Read("app.yaml", text)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := inject.Run(context.Background(), []*manifest.Stream{s}, uninject); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*200), "µs/document")
}
