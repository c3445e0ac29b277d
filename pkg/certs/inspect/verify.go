package inspect

import (
	"crypto/x509"
	"errors"
	"slices"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// Verdict is what verification says of one chain.
type Verdict struct {
	At       string    `json:"at"` // the leaf's place
	Group    string    `json:"group"`
	ID       string    `json:"id,omitempty"`
	Valid    bool      `json:"valid"`
	Findings []Finding `json:"findings"`
}

// Verification says how to verify.
type Verification struct {
	certs.VerifyOptions
	// Roots hold the certificates to trust; with none each group has its own.
	Roots []Group
	// Refuse is the least severity with which a chain is not valid.
	Refuse string
}

// Verify verifies the chains of groups: each leaf with what is beside it. It fails
// where there is nothing to verify, or nothing to verify against.
func Verify(groups []Group, v Verification) ([]Verdict, error) {
	var all []Verdict
	for i := range groups {
		found, err := v.group(&groups[i])
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (v *Verification) group(g *Group) ([]Verdict, error) {
	place := Place{Location: report.Location{File: g.Name}}
	if len(g.Entries) > 0 {
		place = g.Entries[0].Place
	}
	leaves, others := split(g.Certificates())
	if len(leaves) == 0 {
		if Worst(g.Findings, certs.SeverityError) {
			return []Verdict{{At: g.faults()[0].At, Group: g.Name, Findings: g.faults()}}, nil
		}
		return nil, &report.InputError{Location: place.Location, Subject: place.Subject, Err: errors.New("no certificate to verify"), Hint: "give the chain of a workload: its certificate, then those above it"}
	}
	trusted := Merge(g.Name, v.Roots...)
	roots := trusted.All()
	if len(v.Roots) == 0 {
		trusted, roots = Group{}, g.Roots()
	}
	if len(roots) == 0 {
		return nil, &report.InputError{Location: place.Location, Subject: place.Subject, Err: errors.New("there are no roots to verify against"), Hint: "give them with --roots, such as --roots root-cert.pem"}
	}
	both := Merge(g.Name, *g, trusted)
	d, places := &describer{group: g}, &describer{group: &both}
	verifier := certs.NewVerifier(roots, v.VerifyOptions)
	var all []Verdict
	for _, leaf := range leaves {
		at := d.placeOfCertificate(leaf)
		one := Verdict{At: at.String(), Group: g.Name, ID: certs.IdentityOf(leaf).String(), Findings: append([]Finding{}, g.faults()...)}
		for _, x := range verifier.Examine(append([]*x509.Certificate{leaf}, others...)) {
			where := places.placeOfCertificate(x.Certificate)
			if where == (Place{}) {
				where = at
			}
			one.Findings = append(one.Findings, newFinding(where, x.Problem))
		}
		one.Findings = append(one.Findings, d.foreignKeys()...)
		one.Valid = !Worst(one.Findings, v.Refuse)
		all = append(all, one)
	}
	return all, nil
}

// faults are what is wrong with how things are written that concerns a chain:
// who may read a file, and what stands between blocks, does not.
func (g *Group) faults() []Finding {
	return slices.DeleteFunc(slices.Clone(g.Findings), func(f Finding) bool { return f.Severity != certs.SeverityError })
}

// split finds the leaves of a group. Where all claim to be authorities the first
// is meant to be one: that is its fault.
func split(all []*x509.Certificate) (leaves, others []*x509.Certificate) {
	for _, c := range unique(all) {
		if certs.RoleOf(c) == certs.LeafRole {
			leaves = append(leaves, c)
		} else {
			others = append(others, c)
		}
	}
	if len(leaves) == 0 && len(others) > 0 {
		return others[:1], others[1:]
	}
	return leaves, others
}
