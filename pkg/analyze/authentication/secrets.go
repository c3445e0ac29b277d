package authentication

import (
	"crypto"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// pluggedSecret is the Secret that istiod reads its authority from.
const pluggedSecret = "cacerts"

// secrets looks at the certificates in the files: the authority that istiod
// would load (CA-23), and those of servers and workloads.
func secrets(p *analyze.Pass) {
	for _, o := range p.Kind("", "Secret") {
		var s corev1.Secret
		if o.Decode(&s) != nil {
			continue // told elsewhere
		}
		part := func(name string) []byte {
			if text, ok := s.StringData[name]; ok {
				return []byte(text)
			}
			return s.Data[name]
		}
		where := func(name string) []string {
			if _, ok := s.StringData[name]; ok {
				return []string{"stringData", name}
			}
			return []string{"data", name}
		}
		switch {
		case o.Name == pluggedSecret:
			plugged(p, o, part, where)
			misplaced(p, o)
		case part("tls.crt") != nil && part("tls.key") != nil:
			served(p, o, "tls.crt", "tls.key", part, where)
		case part("cert-chain.pem") != nil && part("key.pem") != nil:
			served(p, o, "cert-chain.pem", "key.pem", part, where)
		}
	}
}

// misplaced finds an authority in a namespace that is nearly the mesh's root:
// istiod reads the Secret of its own namespace.
func misplaced(p *analyze.Pass, o *mesh.Object) {
	if root := p.RootNamespace(); o.Namespace != root && mesh.Nearest(o.Namespace, []string{root}) == root {
		p.Report(o, []string{"metadata", "namespace"}, "istiod reads Secret %s of its own namespace, and nobody reads this one: did you mean namespace %s?", o.Name, root).As(report.Warning)
	}
}

// plugged checks the authority that istiod would load.
func plugged(p *analyze.Pass, o *mesh.Object, part func(string) []byte, where func(string) []string) {
	b := certs.Bundle{Cert: part(certs.BundleCert), Key: part(certs.BundleKey), Root: part(certs.BundleRoot), Chain: part(certs.BundleChain)}
	name := func(file string) string { return file }
	if part("tls.crt") != nil {
		b, name = certs.TLSBundle(part("tls.crt"), part("tls.key"), part("ca.crt")), certs.TLSPart
	}
	for _, problem := range b.CheckFor(p.Config.GetTrustDomain(), p.Now()) {
		r := p.Report(o, where(name(problem.File)), "%s: %s; %s", name(problem.File), problem.Message, problem.Fix)
		if problem.Severity == certs.SeverityWarning {
			r.As(report.Warning)
		}
	}
}

// earlyWarning is how long before its end a certificate is warned of.
const earlyWarning = 30 * 24 * time.Hour

// served checks a certificate with its key.
func served(p *analyze.Pass, o *mesh.Object, crt, key string, part func(string) []byte, where func(string) []string) {
	chain, err := certs.ParseCertificates(part(crt))
	if err != nil || len(chain) == 0 {
		p.ReportCode("MSH0223", o, where(crt), "%s holds no certificate that can be read: whoever serves with it cannot", crt)
		return
	}
	now := p.Now()
	for i, c := range chain {
		which := "the certificate"
		if i > 0 {
			which = fmt.Sprintf("certificate %d of the chain", i+1)
		}
		switch {
		case now.After(c.NotAfter):
			p.ReportCode("MSH0223", o, where(crt), "%s expired at %s: clients refuse it", which, c.NotAfter.Format(time.DateOnly))
		case now.Before(c.NotBefore):
			p.ReportCode("MSH0223", o, where(crt), "%s is not valid before %s: clients refuse it", which, c.NotBefore.Format(time.DateOnly))
		case c.NotAfter.Sub(now) < earlyWarning && c.NotAfter.Sub(c.NotBefore) > 2*earlyWarning:
			p.ReportCode("MSH0223", o, where(crt), "%s expires at %s", which, c.NotAfter.Format(time.DateOnly)).As(report.Warning)
		}
		if i > 0 && slices.Compare(chain[i-1].RawIssuer, c.RawSubject) != 0 {
			p.ReportCode("MSH0223", o, where(crt), "%s did not sign the one before it: clients find no way to a root", which)
		}
	}
	k, err := certs.ParseKey(part(key))
	if err != nil {
		p.ReportCode("MSH0223", o, where(key), "%s holds no key that can be read", key)
		return
	}
	if public, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && !public.Equal(chain[0].PublicKey) {
		p.ReportCode("MSH0223", o, where(key), "the key is not that of the certificate in %s", crt)
	}
}
