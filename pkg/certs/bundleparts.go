package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// signer reads ca-cert.pem. istiod takes its first certificate.
func (k *bundleCheck) signer(text []byte) *x509.Certificate {
	all := k.certificates(BundleCert, text)
	if len(all) == 0 {
		return nil
	}
	if len(all) > 1 {
		k.warn(codeExtra, BundleCert, fmt.Sprintf("there are %d certificates, and only the first is used", len(all)), "leave the first; the others belong into "+BundleChain)
	}
	return all[0]
}

// chainCertificates reads cert-chain.pem, which has a finding of its own where it
// is empty.
func (k *bundleCheck) chainCertificates(text []byte) []*x509.Certificate {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	return k.certificates(BundleChain, text)
}

func (k *bundleCheck) certificates(file string, text []byte) []*x509.Certificate {
	all, problems := readCertificates(file, text)
	k.all = append(k.all, problems...)
	return all
}

// maxPEM bounds what is read as PEM, in bytes (CA-68).
const maxPEM = 1 << 20

// readCertificates reads the certificates of a part, and says with its line what
// else is there.
func readCertificates(file string, text []byte) ([]*x509.Certificate, []Problem) {
	r := &partReader{file: file}
	if len(bytes.TrimSpace(text)) == 0 {
		r.fail(codeMissing, "it is missing or empty", "give the certificates as PEM")
		return nil, r.all
	}
	if len(text) > maxPEM {
		r.fail(codeBadPEM, fmt.Sprintf("it has %d bytes; at most %d are read", len(text), maxPEM), "leave only the certificates in it that are needed")
		return nil, r.all
	}
	blocks, faults := ScanBlocks(text)
	r.faults(faults)
	var all []*x509.Certificate
	for i := range blocks {
		if c := r.certificate(&blocks[i]); c != nil {
			all = append(all, c)
		}
	}
	if len(all) == 0 && !HasErrors(r.all) {
		r.fail(codeMissing, "it holds no certificate", "give the certificates as PEM")
	}
	if len(all) > maxPath && file != BundleRoot {
		r.fail(codeExtra, fmt.Sprintf("it holds %d certificates; no chain has more than %d", len(all), maxPath), "leave only those in it that lead to the root")
		all = all[:maxPath]
	}
	return all, r.all
}

type partReader struct {
	file string
	all  []Problem
}

func (r *partReader) fail(code, message, fix string) {
	r.all = append(r.all, Problem{code, SeverityError, r.file, message, fix})
}

// faults: what stands before a block is skipped by everybody, and what stands
// after the last is not.
func (r *partReader) faults(all []BlockFault) {
	for _, f := range all {
		p := Problem{codeBadPEM, SeverityError, r.file, f.Error(), f.Fix()}
		if f.Stray {
			p.Code = codeStrayText
			if !f.Last {
				p.Severity = SeverityWarning
			}
		}
		r.all = append(r.all, p)
	}
}

func (r *partReader) certificate(b *Block) *x509.Certificate {
	switch {
	case b.IsKey():
		r.fail(codeKeyInChain, fmt.Sprintf("line %d: there is a private key among the certificates: every workload that gets them gets the key", b.Line), "take it out, and make a new key if others have seen the file")
		return nil
	case b.Kind != certificateBlock:
		r.fail(codeWrongBlock, fmt.Sprintf("line %d: block %s: expected %s", b.Line, b.Kind, certificateBlock), "take it out")
		return nil
	}
	c, err := x509.ParseCertificate(b.Data)
	if err != nil {
		r.all = append(r.all, malformed(r.file, b.Line, b.Data, err))
		return nil
	}
	return c
}

// malformed explains a certificate that cannot be decoded. Often its name is no
// URI: then that is said.
func malformed(file string, line int, der []byte, err error) Problem {
	p := Problem{codeMalformed, SeverityError, file, "", "issue the certificate anew"}
	place := ""
	if line > 0 {
		place = fmt.Sprintf("line %d: ", line)
	}
	p.Message = place + "the certificate cannot be decoded: " + trimmedError(err)
	for _, uri := range urisOf(der) {
		if _, wrong := ParseID(uri); wrong != nil {
			p.Code, p.Message = codeBadID, place+wrong.Error()+": Go and Java cannot even decode the certificate"
		}
	}
	return p
}

// trimmedError leaves out the library's name, twice if need be.
func trimmedError(err error) string {
	text := []byte(err.Error())
	for _, prefix := range []string{"x509: ", "asn1: "} {
		text = bytes.TrimPrefix(text, []byte(prefix))
	}
	return string(text)
}

// urisOf finds the URIs in the DER of a certificate that may be damaged.
func urisOf(der []byte) []string {
	oid := []byte{0x06, 0x03, 0x55, 0x1d, oidAlternativeNames}
	at := bytes.Index(der, oid)
	if at < 0 {
		return nil
	}
	rest := bytes.TrimPrefix(der[at+len(oid):], []byte{0x01, 0x01, 0xff}) // critical
	const octets = 0x04
	if len(rest) == 0 || rest[0] != octets {
		return nil
	}
	return uriNames(octetString(rest))
}

// privateKey reads ca-key.pem. istiod takes its first block, whatever follows.
func (k *bundleCheck) privateKey(text []byte) crypto.Signer {
	key, problem := readKey(BundleKey, text)
	if problem != nil {
		k.all = append(k.all, *problem)
	}
	return key
}

func readKey(file string, text []byte) (crypto.Signer, *Problem) {
	const unencrypt = "write it in the clear, readable by its owner only: openssl pkcs8 -topk8 -nocrypt"
	problem := func(code, message, fix string) (crypto.Signer, *Problem) {
		return nil, &Problem{code, SeverityError, file, message, fix}
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return problem(codeMissing, "it is missing or empty", "give the private key as PEM")
	case len(text) > maxPEM:
		return problem(codeBadKey, fmt.Sprintf("it has %d bytes, too many for a private key", len(text)), "give the private key as PEM")
	}
	key, err := ParseKey(text)
	var cut BlockFault
	switch {
	case errors.Is(err, ErrEncrypted):
		return problem(codeEncryptedKey, err.Error()+": istiod and Envoy read none that is", unencrypt)
	case errors.As(err, &cut) && cut.Stray:
		return problem(codeStrayText, err.Error(), cut.Fix())
	case errors.As(err, &cut):
		return problem(codeBadPEM, err.Error(), cut.Fix())
	case err != nil:
		return problem(codeBadKey, err.Error(), unencrypt)
	}
	return key, nil
}

// firstBlock is the text up to the end of the first PEM block.
func firstBlock(text []byte) []byte {
	end := []byte("-----END ")
	at := bytes.Index(text, end)
	if at < 0 {
		return text
	}
	line := bytes.IndexByte(text[at:], '\n')
	if line < 0 {
		return text
	}
	return slices.Clone(text[:at+line+1])
}

// DecodeCertificate reads the DER of a certificate. What is wrong with one that
// cannot be read is a problem like others; often it is its URI.
func DecodeCertificate(der []byte) (*x509.Certificate, *Problem) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		p := malformed("", 0, der, err)
		return nil, &p
	}
	return c, nil
}
