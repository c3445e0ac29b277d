package inspect

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
)

// View says as of when things are looked at.
type View struct {
	At time.Time
	// For is how long certificates are to last; 0 warns where little of a life is
	// left.
	For time.Duration
}

// Item is what there is to tell of a thing (CA-69).
type Item struct {
	Group string `json:"group"`
	At    string `json:"at"`
	Form  Form   `json:"form"`
	// Role is root, intermediate, leaf, request, key, public key or encrypted key.
	Role    string   `json:"role"`
	ID      string   `json:"id,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Issuer  string   `json:"issuer,omitempty"`
	Serial  string   `json:"serial,omitempty"`
	Names   []string `json:"names,omitempty"` // other than the identity
	// IssuedBy is the place of the certificate that signed this one; "itself", or
	// empty if it is not there.
	IssuedBy string `json:"issuedBy,omitempty"`
	Key      string `json:"key,omitempty"` // its kind
	KeyHash  string `json:"keyHash,omitempty"`
	// Belongs is the place of the certificate that a key is for, or of the key of a
	// certificate.
	Belongs     string     `json:"belongsTo,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	NotBefore   *time.Time `json:"notBefore,omitempty"`
	NotAfter    *time.Time `json:"notAfter,omitempty"`
	Remaining   string     `json:"remaining,omitempty"`
	UsedPercent *int       `json:"usedPercent,omitempty"`
}

// Finding is a problem, and where it is.
type Finding struct {
	At       string `json:"at"`
	Severity string `json:"severity"`
	Rule     string `json:"rule,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Fix      string `json:"fix,omitempty"`
}

func newFinding(at Place, p certs.Problem) Finding {
	return Finding{at.String(), p.Severity, p.Rule(), p.Code, p.Message, p.Fix}
}

// Report is what there is to tell.
type Report struct {
	Items    []Item    `json:"items"`
	Findings []Finding `json:"findings"`
}

// Worst tells whether a finding is at least of a severity.
func Worst(all []Finding, severity string) bool {
	return slices.ContainsFunc(all, func(f Finding) bool {
		return f.Severity == certs.SeverityError || severity == certs.SeverityWarning
	})
}

// Describe tells what was found, and what is wrong with it.
func Describe(groups []Group, v View) Report {
	r := Report{Items: []Item{}, Findings: []Finding{}}
	for i := range groups {
		d := &describer{group: &groups[i], view: v}
		for j := range d.group.Entries {
			r.Items = append(r.Items, d.item(&d.group.Entries[j]))
		}
		r.Findings = append(r.Findings, d.findings()...)
	}
	return r
}

// describer describes one group.
type describer struct {
	group *Group
	view  View
}

func (d *describer) item(e *Entry) Item {
	item := Item{Group: d.group.Name, At: e.Place.String(), Form: e.Form}
	switch {
	case e.Certificate != nil:
		d.certificate(&item, e.Certificate)
	case e.Request != nil:
		item.Role, item.Subject = "request", e.Request.Subject.String()
		item.Key, item.KeyHash = certs.KeyName(e.Request.PublicKey), keyHash(e.Request.PublicKey)
		item.Names = requestNames(e.Request)
	case e.Encrypted:
		item.Role = "encrypted key"
	default:
		item.Role, item.Key, item.KeyHash = "public key", certs.KeyName(e.Public), keyHash(e.Public)
		if e.Key != nil {
			item.Role = "key"
		}
		item.Belongs = d.placeOf(func(other *Entry) bool { return other != e && samePublic(publicOf(other), e.Public) })
	}
	return item
}

func (d *describer) certificate(item *Item, c *x509.Certificate) {
	sum := sha256.Sum256(c.Raw)
	notBefore, notAfter := c.NotBefore.UTC(), c.NotAfter.UTC()
	used := usedPercent(c, d.view.At)
	item.Role, item.ID = string(certs.RoleOf(c)), certs.IdentityOf(c).String()
	item.Subject, item.Issuer, item.Serial = c.Subject.String(), c.Issuer.String(), c.SerialNumber.Text(16)
	item.Key, item.KeyHash, item.Fingerprint = certs.KeyName(c.PublicKey), keyHash(c.PublicKey), hex.EncodeToString(sum[:])
	item.NotBefore, item.NotAfter, item.Remaining, item.UsedPercent = &notBefore, &notAfter, remaining(c, d.view.At), &used
	item.Names = namesOf(c, item.ID)
	switch issuer := certs.IssuerAmong(c, d.group.All()); {
	case issuer == nil:
	case issuer.Equal(c):
		item.IssuedBy = "itself"
	default:
		item.IssuedBy = d.placeOf(func(e *Entry) bool { return e.Certificate != nil && e.Certificate.Equal(issuer) })
	}
	item.Belongs = d.placeOf(func(e *Entry) bool { return e.Key != nil && samePublic(e.Public, c.PublicKey) })
}

func (d *describer) placeOf(wanted func(*Entry) bool) string {
	for i := range d.group.Entries {
		if e := &d.group.Entries[i]; wanted(e) {
			return e.Place.String()
		}
	}
	return ""
}

// findings are those of the texts, of the certificates, and of keys that are
// nobody's.
func (d *describer) findings() []Finding {
	all := slices.Clone(d.group.Findings)
	for _, x := range certs.Examine(unique(d.group.All()), d.view.At, d.view.For) {
		all = append(all, newFinding(d.placeOfCertificate(x.Certificate), x.Problem))
	}
	for i := range d.group.Entries {
		e := &d.group.Entries[i]
		switch {
		case e.Request != nil:
			all = append(all, requestFindings(e)...)
		case e.Key == nil:
		case certs.CheckKey(e.Public) != nil && d.ownerless(e):
			all = append(all, newFinding(e.Place, certs.Problem{Code: "weak-key", Severity: certs.SeverityError, Message: certs.CheckKey(e.Public).Error(), Fix: "make a new key"}))
		}
	}
	return append(all, d.foreignKeys()...)
}

// foreignKeys are private keys that are of none of the certificates beside them.
func (d *describer) foreignKeys() []Finding {
	var all []Finding
	for i := range d.group.Entries {
		if e := &d.group.Entries[i]; e.Key != nil && len(d.group.All()) > 0 && d.ownerless(e) {
			all = append(all, newFinding(e.Place, certs.Problem{
				Code: "key-mismatch", Severity: certs.SeverityError, Message: "the private key is of none of the certificates beside it", Fix: "give the key that the certificate was made for",
			}))
		}
	}
	return all
}

// ownerless tells a key without a certificate or a request.
func (d *describer) ownerless(e *Entry) bool {
	return d.placeOf(func(other *Entry) bool { return other != e && samePublic(publicOf(other), e.Public) }) == ""
}

func (d *describer) placeOfCertificate(c *x509.Certificate) Place {
	for i := range d.group.Entries {
		if e := &d.group.Entries[i]; e.Certificate != nil && e.Certificate.Equal(c) {
			return e.Place
		}
	}
	return Place{}
}

// requestFindings: whoever makes a request has its key, and a good one.
func requestFindings(e *Entry) []Finding {
	var all []Finding
	if e.Request.PublicKey == nil || e.Request.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return append(all, newFinding(e.Place, certs.Problem{Code: "weak-key", Severity: certs.SeverityError, Message: "the kind of key or of signature is not supported: expected a key of RSA (not of RSA-PSS), ECDSA or Ed25519", Fix: "make a new key: meshctl cert csr"}))
	}
	if e.Request.CheckSignature() != nil {
		all = append(all, newFinding(e.Place, certs.Problem{Code: "bad-signature", Severity: certs.SeverityError, Message: "whoever made the request does not have its key", Fix: "make it anew: meshctl cert csr"}))
	}
	if err := certs.CheckKey(e.Request.PublicKey); err != nil {
		all = append(all, newFinding(e.Place, certs.Problem{Code: "weak-key", Severity: certs.SeverityError, Message: err.Error(), Fix: "make a new key: meshctl cert csr"}))
	}
	return all
}

func publicOf(e *Entry) crypto.PublicKey {
	switch {
	case e.Certificate != nil:
		return e.Certificate.PublicKey
	case e.Request != nil:
		return e.Request.PublicKey
	}
	return e.Public
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

func unique(all []*x509.Certificate) []*x509.Certificate {
	var once []*x509.Certificate
	for _, c := range all {
		if !slices.ContainsFunc(once, c.Equal) {
			once = append(once, c)
		}
	}
	return once
}

// keyHash is the SHA-256 of the public key with its kind; equal keys have equal
// ones.
func keyHash(public crypto.PublicKey) string {
	encoded, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

func namesOf(c *x509.Certificate, id string) []string {
	var all []string
	for _, uri := range c.URIs {
		if uri.String() != id {
			all = append(all, uri.String())
		}
	}
	all = append(all, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return append(all, c.EmailAddresses...)
}

func requestNames(r *x509.CertificateRequest) []string {
	return namesOf(&x509.Certificate{URIs: r.URIs, DNSNames: r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses}, "")
}

// remaining is the rest of a life in words.
func remaining(c *x509.Certificate, at time.Time) string {
	switch {
	case at.Before(c.NotBefore):
		return "not yet valid"
	case at.After(c.NotAfter):
		return "expired"
	}
	const day, hoursOfDays = 24 * time.Hour, 48 * time.Hour
	left := c.NotAfter.Sub(at)
	if left >= hoursOfDays {
		return fmt.Sprintf("%dd", left/day)
	}
	return left.Truncate(time.Minute).String()
}

// usedPercent is how much of a life is over: 0 before it, 100 after.
func usedPercent(c *x509.Certificate, at time.Time) int {
	const all = 100
	life := c.NotAfter.Sub(c.NotBefore)
	if life <= 0 {
		return all
	}
	return int(min(max(at.Sub(c.NotBefore).Seconds()/life.Seconds(), 0), 1) * all)
}
