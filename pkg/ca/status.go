package ca

import (
	"slices"
	"time"

	"github.com/meshctl/meshctl/pkg/report"
)

// Status is an authority at a glance.
type Status struct {
	TrustDomain string         `json:"trustDomain"`
	Stage       Stage          `json:"stage"`
	Sequence    uint64         `json:"bundleSequence"`
	Authorities []MemberStatus `json:"authorities"`
	Live        int            `json:"liveLeaves"`
	Revoked     int            `json:"revokedLeaves"` // that have not expired
	Records     uint64         `json:"records"`
}

// MemberStatus is one of its certificates.
type MemberStatus struct {
	Name     string    `json:"name"`
	Subject  string    `json:"subject"`
	Serial   string    `json:"serial"`
	Key      string    `json:"key"` // SHA-256 of the public key, in hex
	NotAfter time.Time `json:"notAfter"`
	Roles    []string  `json:"roles"`
	// State is whether it can be used.
	State State `json:"state"`
	// Secret is where its key is: encrypted, clear or elsewhere.
	Secret string `json:"secret"`
}

// State is whether an authority can be used.
type State string

// The states. Revocation counts before time.
const (
	Good          State = "good"
	EndsSoon      State = "ends soon" // in less than 30 days
	Expired       State = "expired"   // it, or one above it
	RevokedState  State = "revoked"
	IssuerRevoked State = "issuer revoked"
)

// stateOf is that of a member, given all revocations.
func (a *Authority) stateOf(name string, revoked map[string]Record) State {
	const early = 30 * 24 * time.Hour
	chain := a.above(name)
	for i, c := range chain {
		switch _, gone := revoked[hexSerial(c.SerialNumber)]; {
		case gone && i == 0:
			return RevokedState
		case gone:
			return IssuerRevoked
		}
	}
	for _, c := range chain {
		if a.env.Now().After(c.NotAfter) {
			return Expired
		}
	}
	if chain[0].NotAfter.Sub(a.env.Now()) < early {
		return EndsSoon
	}
	return Good
}

// Status reads it from the state and the log.
func (a *Authority) Status() (*Status, error) {
	broken, err := a.Breaks()
	if err != nil {
		return nil, err
	}
	live, err := a.live(func(*Record) bool { return true })
	if err != nil {
		return nil, err
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	s := &Status{
		TrustDomain: a.state.TrustDomain, Stage: a.Stage(), Sequence: a.state.Sequence,
		Live: len(live), Revoked: len(broken), Records: a.log.last.Seq,
	}
	for i := range a.state.Members {
		m := &a.state.Members[i]
		c := a.certs[m.Name]
		s.Authorities = append(s.Authorities, MemberStatus{
			Name: m.Name, Subject: c.Subject.String(), Serial: hexSerial(c.SerialNumber), Key: KeyHash(c),
			NotAfter: c.NotAfter, Roles: a.roles(m), State: a.stateOf(m.Name, revoked), Secret: m.secret(),
		})
	}
	return s, nil
}

func (a *Authority) roles(m *member) []string {
	roles := []string{}
	if slices.Contains(a.state.Roots, m.Name) {
		roles = append(roles, "trusted")
	}
	if m.Name == a.state.Signer {
		roles = append(roles, "signs")
	}
	if slices.Contains(a.state.Cross, m.Name) {
		roles = append(roles, "cross-signed")
	}
	if m.Retired {
		roles = append(roles, "retired")
	}
	return roles
}

func (m *member) secret() string {
	switch {
	case m.Key == "":
		return "elsewhere"
	case m.encrypted():
		return "encrypted"
	}
	return "clear"
}

// NeedsPassphrase tells whether the root's key is encrypted.
func (a *Authority) NeedsPassphrase() bool {
	return slices.ContainsFunc(a.state.Members, func(m member) bool { return !m.Retired && m.encrypted() })
}

// Warnings tell of authorities that end soon or cannot be used any more.
func (a *Authority) Warnings() ([]string, error) {
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	say := map[State]string{
		EndsSoon: "it ends soon, and so do all leaves below it", Expired: "it has expired, and peers refuse all below it",
		RevokedState: "it is revoked, and peers that know of it refuse all below it", IssuerRevoked: "what is above it is revoked, and peers that know of it refuse all below it",
	}
	var all []string
	for i := range a.state.Members {
		m := &a.state.Members[i]
		if text := say[a.stateOf(m.Name, revoked)]; !m.Retired && text != "" {
			place := report.Location{File: a.dir}
			all = append(all, place.String()+": "+a.describe(m.Name)+": "+text)
		}
	}
	return all, nil
}
