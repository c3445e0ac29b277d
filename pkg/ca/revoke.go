package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// reasons are those of RFC 5280 that fit, by number.
func reasons() map[string]int {
	return map[string]int{"unspecified": 0, "keyCompromise": 1, "caCompromise": 2, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9}
}

// Reasons are the names of reasons for a revocation, sorted.
func Reasons() []string { return slices.Sorted(maps.Keys(reasons())) }

// Target is what to revoke: one certificate by its serial number in hex, or all
// of an identity that have not expired.
type Target struct {
	Serial string
	ID     string
}

// Revoke records that certificates are not good any more, and gives their
// records. Peers learn of it from the next CRL.
func (a *Authority) Revoke(t Target, reason string) ([]Record, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	if _, ok := reasons()[reason]; !ok {
		return nil, fmt.Errorf("reason %q: expected one of %s", reason, strings.Join(Reasons(), ", "))
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	found, err := a.find(t)
	if err != nil {
		return nil, err
	}
	if err := a.revocable(found); err != nil {
		return nil, err
	}
	var records []Record
	for _, r := range found {
		if _, already := revoked[r.Serial]; already {
			continue
		}
		r.Event, r.Reason, r.By, r.Request = Revoked, reason, "local", ""
		records = append(records, r)
	}
	if len(records) == 0 {
		first := revoked[found[0].Serial]
		return nil, &report.InputError{
			Location: report.Location{File: a.log.file}, Err: fmt.Errorf("%s is revoked already, for the reason %s, since %s", t, first.Reason, stamp(first.Time)),
			Hint: "a revocation stays as it is, its reason too; nothing is to be done",
		}
	}
	if err := a.record(records...); err != nil {
		return nil, err
	}
	return records, nil
}

// revocable refuses authorities that only somebody else can revoke: the one whose
// list they belong into.
func (a *Authority) revocable(found []Record) error {
	for _, r := range found {
		for _, m := range a.state.Members {
			if c := a.certs[m.Name]; m.Issuer == "" && m.Key != "" && hexSerial(c.SerialNumber) == r.Serial {
				return &report.InputError{
					Location: report.Location{File: a.dir}, Err: fmt.Errorf("%s (%s) is a root: who trusts it asks no list about it", m.Name, c.Subject),
					Hint: "have another root trusted in its place: meshctl ca rotate root",
				}
			}
			if r.Event == IssuedAuthority && m.Key == "" && r.Issuer == hex.EncodeToString(a.certs[m.Name].SubjectKeyId) {
				return a.elsewhere(m.Name, fmt.Sprintf("%s cannot be revoked here", r.Subject), "let whoever has the key revoke it, and give the list to meshctl ca crl --with FILE")
			}
		}
	}
	return nil
}

// check wants it to be well-formed, so that a slip is not taken for a certificate
// that is unknown.
func (t Target) check() error {
	if t.ID != "" {
		_, err := certs.ParseID(t.ID)
		return err
	}
	if serial := normalSerial(t.Serial); serial == "" || strings.Trim(serial, "0123456789abcdef") != "" {
		return fmt.Errorf("serial number %q: expected digits in hex, with or without colons", t.Serial)
	}
	return nil
}

// String is what a user named.
func (t Target) String() string {
	if t.ID != "" {
		return t.ID
	}
	return "serial number " + t.Serial
}

// find looks certificates up in the log.
func (a *Authority) find(t Target) ([]Record, error) {
	serial := normalSerial(t.Serial)
	var found []Record
	for r, err := range a.log.records() {
		switch {
		case err != nil:
			return nil, err
		case r.Event != IssuedLeaf && r.Event != IssuedAuthority:
		case t.ID != "" && r.ID == t.ID && a.env.Now().Before(r.NotAfter), t.ID == "" && r.Serial == serial:
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, &report.InputError{
			Location: report.Location{File: a.log.file}, Err: fmt.Errorf("%s: no certificate of this authority that could still be used", t),
			Hint: "meshctl ca log lists them",
		}
	}
	return found, nil
}

// normalSerial is a serial number as the log writes it, of forms that other tools
// print.
func normalSerial(s string) string {
	s = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(strings.ToLower(s), "0x")))
	return strings.TrimLeft(s, "0")
}

// DefaultCRLTTL is how long a CRL counts.
const DefaultCRLTTL = 7 * 24 * time.Hour

// leastTTL is that of a CRL: its times are whole seconds.
const leastTTL = time.Second

// CRLOptions say what lists to write.
type CRLOptions struct {
	Passphrase []byte        // of the root's key; nil if it is not encrypted
	TTL        time.Duration // 0 is DefaultCRLTTL; none counts longer than its issuer
	// Given are the lists of authorities whose keys are elsewhere.
	Given []*x509.RevocationList
}

// CRLs are those of every authority that peers meet: Envoy refuses everybody if
// one is missing (CA-29).
func (a *Authority) CRLs(o CRLOptions) ([]*x509.RevocationList, error) {
	if err := a.writable(); err != nil {
		return nil, err
	}
	if o.TTL == 0 {
		o.TTL = DefaultCRLTTL
	}
	if o.TTL < leastTTL {
		return nil, fmt.Errorf("a revocation list that counts for %s: at least %s are needed", o.TTL, leastTTL)
	}
	if err := a.checkGiven(o.Given); err != nil {
		return nil, err
	}
	entries, number, err := a.entries()
	if err != nil {
		return nil, err
	}
	told, err := a.told(o.Given)
	if err != nil {
		return nil, err
	}
	number++
	mint, now := a.mint(), a.env.Now()
	var lists []*x509.RevocationList
	for i := range a.state.Members {
		m := &a.state.Members[i]
		c := a.certs[m.Name]
		if m.Retired || now.After(c.NotAfter) || slices.Contains(a.state.Cross, m.Name) {
			continue // a root that another certifies has its own list already
		}
		if m.Key == "" {
			given, err := a.givenList(m, o.Given)
			if err != nil {
				return nil, err
			}
			lists = append(lists, given...)
			continue
		}
		issuer, err := a.issuer(m.Name, o.Passphrase)
		if err != nil {
			return nil, err
		}
		if c.KeyUsage&x509.KeyUsageCRLSign == 0 {
			return nil, a.noCRLSign(m)
		}
		list, err := mint.CRL(issuer, big.NewInt(number), entries[hex.EncodeToString(c.SubjectKeyId)], earlier(now.Add(o.TTL), c.NotAfter))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		lists = append(lists, list)
	}
	record := Record{Event: IssuedCRL, Number: number, NotBefore: now, NotAfter: now.Add(o.TTL), By: "local"}
	if err := a.record(append(told, record)...); err != nil {
		return nil, err
	}
	return lists, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// noCRLSign is an authority that was made without the right to have a list
// (CA-21).
func (a *Authority) noCRLSign(m *member) error {
	hint := "let whoever signed it issue it again with the key usage cRLSign, and import that"
	if m.Issuer == "" {
		hint = "meshctl ca rotate root --same-key gives it the right, and leaves all certificates as they are"
	}
	return &report.InputError{
		Location: report.Location{File: a.dir}, Err: fmt.Errorf("%s (%s) may not sign revocation lists: its key usage lacks cRLSign", m.Name, a.certs[m.Name].Subject), Hint: hint,
	}
}

// checkGiven wants lists to be of authorities that are known, and to count. Those
// of authorities whose keys are here are made anew.
func (a *Authority) checkGiven(given []*x509.RevocationList) error {
	for _, list := range given {
		at := slices.IndexFunc(a.state.Members, func(m member) bool { return signedBy(list, a.certs[m.Name]) })
		switch {
		case at < 0:
			return fmt.Errorf("the revocation list of %s is not signed by an authority that is known here", list.Issuer)
		case a.state.Members[at].Key == "" && a.env.Now().After(list.NextUpdate):
			return fmt.Errorf("the revocation list of %s was to be renewed by %s: peers would refuse everybody", list.Issuer, stamp(list.NextUpdate))
		}
	}
	return nil
}

func signedBy(list *x509.RevocationList, c *x509.Certificate) bool {
	return bytes.Equal(list.RawIssuer, c.RawSubject) && list.CheckSignatureFrom(c) == nil
}

// givenList is the list of an authority whose key is elsewhere. Roots that nothing
// here is below may have none.
func (a *Authority) givenList(m *member, given []*x509.RevocationList) ([]*x509.RevocationList, error) {
	for _, list := range given {
		if signedBy(list, a.certs[m.Name]) {
			return []*x509.RevocationList{list}, nil
		}
	}
	if !slices.Contains(a.above(a.state.Signer), a.certs[m.Name]) {
		return nil, nil
	}
	return nil, a.elsewhere(m.Name, "its revocation list cannot be written here, and peers want one of every authority", "let whoever has the key issue the list, and give it with --with FILE")
}

// entries are what has been revoked and has not expired, by issuer, and the last
// CRL's number.
func (a *Authority) entries() (map[string][]x509.RevocationListEntry, int64, error) {
	all, number := map[string][]x509.RevocationListEntry{}, int64(0)
	for r, err := range a.log.records() {
		switch {
		case err != nil:
			return nil, 0, err
		case r.Event == IssuedCRL:
			number = r.Number
		case r.Event == Revoked && a.env.Now().Before(r.NotAfter):
			serial, ok := new(big.Int).SetString(r.Serial, 16)
			if !ok {
				return nil, 0, a.log.fault(int(r.Seq), fmt.Errorf("serial number %q", r.Serial)) //nolint:gosec // lines of a file
			}
			all[r.Issuer] = append(all[r.Issuer], x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.Time, ReasonCode: reasons()[r.Reason]})
		}
	}
	return all, number, nil
}

// told are records of what the lists of others revoke of this authority's own
// certificates, and the log does not have yet.
func (a *Authority) told(given []*x509.RevocationList) ([]Record, error) {
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, list := range given {
		for _, m := range a.state.Members {
			c := a.certs[m.Name]
			serial := hexSerial(c.SerialNumber)
			issuer := c
			if m.Issuer != "" {
				issuer = a.certs[m.Issuer]
			}
			entry := entryOf(list, c)
			if _, already := revoked[serial]; already || entry == nil || !signedBy(list, issuer) {
				continue
			}
			r := certificateRecord(c, Revoked)
			r.Issuer, r.Reason, r.By = hex.EncodeToString(issuer.SubjectKeyId), reasonName(entry.ReasonCode), "crl"
			records = append(records, r)
			revoked[serial] = r
		}
	}
	return records, nil
}

func entryOf(list *x509.RevocationList, c *x509.Certificate) *x509.RevocationListEntry {
	at := slices.IndexFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
	if at < 0 {
		return nil
	}
	return &list.RevokedCertificateEntries[at]
}

// Breaks lists the leaves that have not expired and that peers with today's CRLs
// refuse: those that are revoked, and those of authorities that are (CA-29), be it
// by the given lists of others.
func (a *Authority) Breaks(given ...*x509.RevocationList) ([]Record, error) {
	if err := a.checkGiven(given); err != nil {
		return nil, err
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	told, err := a.told(given)
	if err != nil {
		return nil, err
	}
	for _, r := range told {
		revoked[r.Serial] = r
	}
	gone := map[string]string{} // reasons, by key identifier
	for _, m := range a.state.Members {
		for _, c := range a.above(m.Name) {
			if r, ok := revoked[hexSerial(c.SerialNumber)]; ok {
				gone[hex.EncodeToString(a.certs[m.Name].SubjectKeyId)] = "issuer revoked: " + r.Reason
			}
		}
	}
	return a.live(func(r *Record) bool {
		if mark, ok := revoked[r.Serial]; ok {
			r.Reason = mark.Reason
			return true
		}
		r.Reason = gone[r.Issuer]
		return r.Reason != ""
	})
}

// live are the leaves that have not expired and that pick wants.
func (a *Authority) live(pick func(*Record) bool) ([]Record, error) {
	var all []Record
	for r, err := range a.log.records() {
		if err != nil {
			return nil, err
		}
		if r.Event == IssuedLeaf && a.env.Now().Before(r.NotAfter) && pick(&r) {
			all = append(all, r)
		}
	}
	return all, nil
}

// Records are all of the log, or those from a time on if it is not zero.
func (a *Authority) Records(since time.Time) ([]Record, error) {
	all := []Record{}
	for r, err := range a.log.records() {
		if err != nil {
			return nil, err
		}
		if !r.Time.Before(since) {
			all = append(all, r)
		}
	}
	return all, nil
}

// LeafID is the identity of a certificate, for whoever wants to revoke it.
func LeafID(c *x509.Certificate) (certs.ID, error) {
	if len(c.URIs) != 1 {
		return certs.ID{}, errors.New("the certificate names no SPIFFE ID")
	}
	return certs.ParseID(c.URIs[0].String())
}
