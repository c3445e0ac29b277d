package certs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// trial signs leaves with the key and throws them away: one of a workload, and one
// for the name that proxies call istiod by. They tell something new only where
// nothing is known to be wrong.
func (k *bundleCheck) trial() {
	if HasErrors(k.all) || k.key == nil {
		return
	}
	if err := k.trialLeaf(LeafOptions{TTL: time.Hour}); err != nil {
		k.fail(codeTrialLeaf, BundleCert, fmt.Sprintf("a leaf for trial does not verify: %v", err), "make the authority anew; do not use this one")
		return
	}
	if slices.ContainsFunc(k.all, func(p Problem) bool { return p.Code == codeNameConstraint }) {
		return
	}
	if err := k.trialLeaf(LeafOptions{TTL: time.Hour, DNSNames: []string{IstiodName}}); err != nil {
		k.warn(codeTrialLeaf, BundleCert, fmt.Sprintf("a leaf for trial with the name %s, as istiod's own has it, does not verify: %v", IstiodName, err), permitIstiod)
	}
}

func (k *bundleCheck) trialLeaf(o LeafOptions) error {
	id, err := WorkloadID(k.domain, "istio-system", "trial")
	if err != nil {
		return err
	}
	key, err := GenerateKey(P256)
	if err != nil {
		return err
	}
	mint := &Mint{Now: func() time.Time { return k.at }, Random: rand.Reader}
	leaf, err := mint.Leaf(&Issuer{Chain: path{k.cert}, Key: k.key}, key.Public(), id, o)
	if err != nil {
		return err
	}
	verifier := NewVerifier(k.roots, VerifyOptions{At: k.at, TrustDomains: []string{k.domain}})
	for _, p := range verifier.Verify(append(path{leaf}, k.chain...)) {
		if p.Severity == SeverityError {
			return errors.New(p.Message)
		}
	}
	return nil
}
