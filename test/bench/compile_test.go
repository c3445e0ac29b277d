package main

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/policy"
)

// BenchmarkCompile compiles the 1,000 workloads of a mesh with 2,000 policies.
func BenchmarkCompile(b *testing.B) {
	for _, l := range layouts() {
		b.Run(l.name, func(b *testing.B) {
			s, err := l.snapshot(1000, 2000)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				simulator := policy.NewSimulator(s)
				for _, w := range s.Workloads {
					simulator.Model(w)
				}
			}
		})
	}
}
