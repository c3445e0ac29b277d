package routing

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	api "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// entryOf finds the first entry of a Secret that has one of the names.
func entryOf(s *corev1.Secret, names ...string) []byte {
	for _, name := range names {
		if text, ok := s.StringData[name]; ok && text != "" {
			return []byte(text)
		}
		if len(s.Data[name]) > 0 {
			return s.Data[name]
		}
	}
	return nil
}

// asksForCertificates tells whether a server checks the certificates of clients
// against a Secret.
func asksForCertificates(t *api.ServerTLSSettings) bool {
	return (t.GetMode() == api.ServerTLSSettings_MUTUAL || t.GetMode() == api.ServerTLSSettings_OPTIONAL_MUTUAL) && t.GetCaCertCredentialName() == ""
}

// withoutAuthority reports a Secret without the authority of clients, where no
// other has it: NAME-cacert is the name that istiod looks for.
func (x *secrets) withoutAuthority(p *analyze.Pass, g *mesh.Gateway, c credential, full string, secret *mesh.Object) {
	other := full + "-cacert"
	var s corev1.Secret
	if !c.clients || x.objects[other] != nil || x.made[other] || secret.Decode(&s) != nil || entryOf(&s, "ca.crt", "cacert") != nil {
		return
	}
	r := p.Report(g.Object, c.path, "Secret %s has no ca.crt, and there is no Secret %s: the gateway cannot verify the certificates of clients, and their TLS handshakes fail", full, other).
		Because(secret, nil, "is the gateway's credential")
	if !p.Complete {
		r.As(report.Warning)
	}
}

// certificateNames are the names that the certificate of a Secret is for, from
// the certificate or from the object that has it made. They are nil if nothing
// tells.
func (x *secrets) certificateNames(full string) ([]string, *mesh.Object) {
	if maker := x.certificates[full]; maker.object != nil {
		return maker.names, maker.object
	}
	o := x.objects[full]
	if o == nil {
		return nil, nil
	}
	var s corev1.Secret
	if o.Decode(&s) != nil {
		return nil, nil
	}
	block, _ := pem.Decode(entryOf(&s, "cert", corev1.TLSCertKey))
	if block == nil {
		return nil, nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil
	}
	return c.DNSNames, o
}

// otherHosts reports a server whose certificates are all known, and none is for
// one of its hosts: clients end the handshake.
func (x *secrets) otherHosts(p *analyze.Pass, g *mesh.Gateway, pod gatewayPods, server *api.Server, credentials []credential) {
	var names []string
	var of *mesh.Object
	var path []string
	for _, c := range credentials {
		if c.ca {
			continue
		}
		found, maker := x.certificateNames(secretName(c.name, pod.namespace))
		if len(found) == 0 {
			return
		}
		if of == nil {
			of, path = maker, c.path
		}
		names = append(names, found...)
	}
	if of == nil {
		return
	}
	var without []string
	for _, host := range server.Hosts {
		if _, name, limited := strings.Cut(host, "/"); limited {
			host = name
		}
		if host != "*" && !slices.ContainsFunc(names, func(name string) bool { return certifies(name, host) }) {
			without = append(without, host)
		}
	}
	if without != nil {
		p.ReportCode("MSH0335", g.Object, path, "the certificate is for %s, and not for %s: clients refuse it there", strings.Join(names, ", "), strings.Join(without, ", ")).
			Because(of, nil, "names %s", strings.Join(names, ", "))
	}
}

// certifies tells whether a name of a certificate is good for a host: a star
// stands for one label.
func certifies(name, host string) bool {
	if strings.EqualFold(name, host) {
		return true
	}
	domain, wild := strings.CutPrefix(name, "*.")
	_, rest, _ := strings.Cut(host, ".")
	return wild && !strings.HasPrefix(host, "*") && strings.EqualFold(domain, rest)
}
