package inspect

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/certs"
)

// pem reads PEM blocks of all kinds that are known here. A block that is cut off
// or damaged fails; what stands between blocks is told.
func (r *reader) pem(text []byte) error {
	blocks, faults := certs.ScanBlocks(text)
	for _, f := range faults {
		if !f.Stray {
			return r.fail(f.Line, r.within(f.Line, f.What), f.Fix())
		}
		r.note(f.Line, certs.SeverityWarning, "stray-text", f.What, "take it out: some software stops reading there")
	}
	for i := range blocks {
		if err := r.block(&blocks[i]); err != nil {
			return err
		}
	}
	if len(r.entries) == 0 && len(r.findings) == 0 {
		return r.fail(0, errors.New("no certificate, request or key"), howToGive)
	}
	return nil
}

// within names a line of a text that is a part of an object.
func (r *reader) within(line int, what string) error {
	if r.at.Subject != "" {
		what = fmt.Sprintf("line %d: %s", line, what)
	}
	return errors.New(what)
}

func (r *reader) block(b *certs.Block) error {
	switch {
	case b.Kind == "CERTIFICATE" || b.Kind == "TRUSTED CERTIFICATE" || b.Kind == "X509 CERTIFICATE":
		r.certificate(b.Line, PEM, b.Data)
	case strings.HasSuffix(b.Kind, "CERTIFICATE REQUEST"):
		return r.request(b.Line, PEM, b.Data)
	case b.IsKey():
		return r.privateKey(b)
	case b.Kind == "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(b.Data)
		if err != nil {
			return r.fail(b.Line, r.within(b.Line, "the public key cannot be decoded"), "copy it anew")
		}
		r.add(b.Line, PEM, Entry{Public: key})
	case b.Kind == "EC PARAMETERS" || b.Kind == "X509 CRL":
		// Parameters are in the key too, and revocation lists have no life to tell of.
	default:
		r.note(b.Line, certs.SeverityWarning, "wrong-block", fmt.Sprintf("block %s is not read", b.Kind), "take it out, or convert what is in it to PEM")
	}
	return nil
}

func (r *reader) privateKey(b *certs.Block) error {
	if isChainPart(r.part) {
		r.note(b.Line, certs.SeverityError, "key-in-chain", "there is a private key among the certificates: whoever gets them gets the key", "take it out, and make a new key if others have seen the file")
	}
	if b.Encrypted() {
		r.add(b.Line, PEM, Entry{Encrypted: true})
		return nil
	}
	key, err := certs.DecodeKey(b.Data)
	if err != nil {
		return r.fail(b.Line, r.within(b.Line, err.Error()), "copy it anew, or make a new one: meshctl cert csr")
	}
	r.add(b.Line, PEM, Entry{Key: key, Public: key.Public()})
	return nil
}

// certificate reads DER. One that cannot be decoded is a finding: the others may
// be well.
func (r *reader) certificate(line int, form Form, der []byte) {
	c, problem := certs.DecodeCertificate(der)
	if problem != nil {
		r.found(line, *problem)
		return
	}
	r.add(line, form, Entry{Certificate: c})
}

func (r *reader) request(line int, form Form, der []byte) error {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return r.fail(line, r.within(line, "the certificate request cannot be decoded"), "make it anew: meshctl cert csr")
	}
	r.add(line, form, Entry{Request: request})
	return nil
}

// note is a finding about how things are written.
func (r *reader) note(line int, severity, code, message, fix string) {
	r.found(line, certs.Problem{Code: code, Severity: severity, Message: message, Fix: fix})
}

func (r *reader) found(line int, p certs.Problem) {
	if r.at.Subject != "" && line > 0 {
		p.Message = fmt.Sprintf("line %d: %s", line, p.Message)
	}
	r.findings = append(r.findings, newFinding(r.place(line), p))
}
