package ca_test

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// BenchmarkIssue makes 1,000 keys and leaves, with their records on the disk
// (CA-71); BenchmarkBare is what the library needs for keys and leaves.
func BenchmarkIssue(b *testing.B) {
	a := initialize(b, newClock(), ca.InitOptions{})
	requests := make([]ca.Request, leaves)
	for i := range requests {
		requests[i] = request(b, "shop", "web")
	}
	for b.Loop() {
		issue(b, a, requests...)
	}
	b.ReportMetric(float64(leaves*b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// leaves is how many a benchmark makes.
const leaves = 1000

func BenchmarkBare(b *testing.B) {
	a := initialize(b, newClock(), ca.InitOptions{})
	template := *issue(b, a, request(b, "shop", "web"))[0].Leaf()
	key, err := certs.GenerateKey(certs.P256)
	must(b, err)
	parent := *a.Signer()
	parent.PublicKey = key.Public()
	for b.Loop() {
		err := workers.Each(b.Context(), leaves, 16, func(i int) error {
			own, err := certs.GenerateKey(certs.P256)
			if err != nil {
				return err
			}
			t := template
			t.SerialNumber, t.NotBefore = big.NewInt(int64(i+1)), time.Now()
			_, err = x509.CreateCertificate(rand.Reader, &t, &parent, own.Public(), key)
			return err
		})
		must(b, err)
	}
	b.ReportMetric(float64(leaves*b.N)/b.Elapsed().Seconds(), "leaves/s")
}
