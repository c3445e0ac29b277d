package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshctl/meshctl/internal/workers"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// manyLeaves is how many certificates are made and verified at a time (CA-71).
const manyLeaves = 1000

// certificateBudgets are those of the authority and of verification (CA-71). The
// root and its intermediate are made here, with keys in the clear.
func certificateBudgets(dir string) (all []budget, err error) {
	place := filepath.Join(dir, "ca")
	a, err := ca.Init(place, ca.InitOptions{TrustDomain: "cluster.local"}, benchEnv())
	if err != nil {
		return nil, err
	}
	leaves := filepath.Join(dir, "leaves")
	_, err = a.Deliver(context.Background(), manyRequests(), ca.DeliverOptions{Dir: leaves, Layout: ca.Files})
	if err = errors.Join(err, a.Close()); err != nil {
		return nil, err
	}
	accounts := filepath.Join(dir, "accounts.yaml")
	if err := os.WriteFile(accounts, []byte(manyAccounts()), 0o600); err != nil {
		return nil, err
	}
	issue := func(more ...string) []string {
		return append([]string{"ca", "issue", "--dir", place, "--renew"}, more...)
	}
	return []budget{
		{"issue one certificate", issue("--ns", "shop", "--sa", "one", "-o", "files="+filepath.Join(dir, "one")), 20, 30 * time.Millisecond, 80},
		{"issue 1,000, as files", issue("-f", accounts, "-o", "files="+filepath.Join(dir, "files")), 3, 1500 * time.Millisecond, 200},
		{"issue 1,000, as Secrets", issue("-f", accounts, "-o", "istio-secret="+filepath.Join(dir, "secrets.yaml")), 3, 1500 * time.Millisecond, 200},
		{"verify 1,000 chains", []string{"cert", "verify", leaves}, 5, 500 * time.Millisecond, 200},
	}, nil
}

func benchEnv() ca.Env { return ca.Env{Now: time.Now, Random: rand.Reader} }

func manyRequests() []ca.Request {
	all := make([]ca.Request, manyLeaves)
	for i := range all {
		id, err := certs.WorkloadID("cluster.local", "shop", fmt.Sprintf("web-%d", i))
		if err != nil {
			panic(err) // the name is one
		}
		all[i].ID = id
	}
	return all
}

func manyAccounts() string {
	var out strings.Builder
	for i := range manyLeaves {
		fmt.Fprintf(&out, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web-%d, namespace: shop}\n---\n", i)
	}
	return out.String()
}

// issueAll compares the rate of issuing, with records in the log, with that of
// the library alone: keys and signatures and nothing else (CA-71).
func issueAll(dir string, judge func(ok bool, format string, args ...any)) error {
	const least, rounds = 0.8, 9
	a, err := ca.Init(filepath.Join(dir, "rate"), ca.InitOptions{TrustDomain: "cluster.local"}, benchEnv())
	if err != nil {
		return err
	}
	requests := manyRequests()
	first, err := a.Issue(context.Background(), requests[:1])
	if err != nil {
		return errors.Join(err, a.Close())
	}
	ours, bare := time.Hour, time.Hour
	for range rounds { // in turns, so that both have the same machine
		begin := processorTime()
		if _, err := a.Issue(context.Background(), requests); err != nil {
			return errors.Join(err, a.Close())
		}
		middle := processorTime()
		if err := issueBare(first[0].Leaf(), a.Signer()); err != nil {
			return errors.Join(err, a.Close())
		}
		ours, bare = min(ours, middle-begin), min(bare, processorTime()-middle)
	}
	rate := float64(bare) / float64(ours)
	judge(rate >= least, "issue 1,000 in memory: %.2f of the rate of keys and signatures alone (at least %.1f), %s CPU", rate, least, ours.Round(time.Millisecond))
	return a.Close()
}

// issueBare makes keys and signs certificates for them.
func issueBare(leaf, signer *x509.Certificate) error {
	key, err := certs.GenerateKey(certs.P256)
	if err != nil {
		return err
	}
	parent := *signer
	parent.PublicKey = key.Public()
	const batch = 16
	return workers.Each(context.Background(), manyLeaves, batch, func(i int) error {
		own, err := certs.GenerateKey(certs.P256)
		if err != nil {
			return err
		}
		t := *leaf
		t.SerialNumber = big.NewInt(int64(i + 1))
		_, err = x509.CreateCertificate(rand.Reader, &t, &parent, own.Public(), key)
		return err
	})
}
