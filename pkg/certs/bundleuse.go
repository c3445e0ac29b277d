package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// permitIstiod is the way out where names shut out istiod.
const permitIstiod = "permit the DNS name " + IstiodName + " too, or leave out the constraint on DNS names"

// istiodFaults asks whether the authorities of a path allow the name that proxies
// call istiod by: its own certificate is of the same authority (CA-23, CA-28).
func istiodFaults(authorities path) []fault {
	var all []fault
	for _, c := range authorities {
		l := &faults{cert: c}
		const so = ": no proxy can connect to an istiod whose certificate it signs"
		if len(c.PermittedDNSDomains) > 0 && !slices.ContainsFunc(c.PermittedDNSDomains, coversHost(IstiodName)) {
			l.warn(codeNameConstraint, fmt.Sprintf("%s allows DNS names in %s only, and istiod's is %s%s", title(c), strings.Join(c.PermittedDNSDomains, ", "), IstiodName, so), permitIstiod)
		}
		if slices.ContainsFunc(c.ExcludedDNSDomains, coversHost(IstiodName)) {
			l.warn(codeNameConstraint, fmt.Sprintf("%s forbids DNS names in %s, and istiod's is %s%s", title(c), strings.Join(c.ExcludedDNSDomains, ", "), IstiodName, so), permitIstiod)
		}
		all = append(all, l.all...)
	}
	return all
}

// coversHost compares as for DNS names, where a constraint covers itself and all
// below it (RFC 5280, 4.2.1.10).
func coversHost(host string) func(string) bool {
	return func(constraint string) bool {
		constraint = strings.ToLower(constraint)
		return constraint == "" || host == constraint || strings.HasSuffix(host, "."+strings.TrimPrefix(constraint, "."))
	}
}

// listFaults: nothing can be revoked below an authority that may have no list, and
// with one list everybody below an authority without one is refused (CA-21, CA-29).
func listFaults(authorities path) []fault {
	var all []fault
	for _, c := range authorities {
		l := &faults{cert: c}
		if lacksUsage(c, x509.KeyUsageCRLSign) && !lacksUsage(c, x509.KeyUsageCertSign) {
			l.warn(codeNoCRLSign, fmt.Sprintf("the key usage of %s lacks cRLSign: nothing below it can be revoked", title(c)), signingUsages)
		}
		all = append(all, l.all...)
	}
	return all
}

// checkSigner wants the identifier by which leaves name the key that signed them
// (CA-12), and a root below which there may be an intermediate (CA-20).
func (k *bundleCheck) checkSigner() {
	if selfIssued(k.cert) && k.cert.IsCA && k.cert.MaxPathLenZero && k.cert.MaxPathLen == 0 {
		k.warn(codePathLength, BundleCert, title(k.cert)+" allows no authorities below it (pathlen:0): it signs leaves itself, and meshctl ca import, which makes an intermediate, refuses it", "issue the root without pathlen")
	}
	if len(k.cert.SubjectKeyId) == 0 && k.cert.IsCA {
		k.warn(codeKeyID, BundleCert, title(k.cert)+" has no subject key identifier: openssl refuses what it signs where it is strict, and meshctl ca import refuses it", "issue it anew, with a subject key identifier")
	}
}

// checkOthers tells of certificates of the chain that lead to no root.
func (k *bundleCheck) checkOthers() {
	if HasErrors(k.all) { // then it is not known what leads where
		return
	}
	known := slices.Concat(k.path, k.roots)
	for _, c := range k.chain {
		if !slices.ContainsFunc(known, c.Equal) && IssuerAmong(c, known) == nil {
			k.warn(codeExtra, BundleChain, title(c)+" leads to no root", "take it out")
		}
	}
}
