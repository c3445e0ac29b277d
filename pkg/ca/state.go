package ca

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/report"
)

// stateName is the file that says what counts in the directory.
const stateName = "state.json"

// stateVersion is that of the format.
const stateVersion = 1

// state says which files of the directory count. It is replaced as a whole.
type state struct {
	Version     int       `json:"version"`
	TrustDomain string    `json:"trustDomain"`
	Created     time.Time `json:"created"`
	Members     []member  `json:"authorities"`
	// Signer is the intermediate that signs leaves.
	Signer string `json:"signer"`
	// Roots are the trust bundle, as published.
	Roots []string `json:"roots"`
	// Cross are roots as other roots certify them; they go with the chain.
	Cross    []string  `json:"crossSigned,omitempty"`
	Rotation *rotation `json:"rotation,omitempty"`
	// Pending names the intermediate that a request is open for: its key is here,
	// and its certificate is still to come.
	Pending string `json:"pending,omitempty"`
	// Sequence counts changes of the trust bundle.
	Sequence uint64 `json:"sequence"`
	Log      anchor `json:"log"`
}

// member is an authority: its certificate is NAME.pem.
type member struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer,omitempty"` // the name of the member above; "" for a root
	// Key is the file of its key; "" if it is elsewhere. One that is encrypted ends
	// in .age.
	Key string `json:"key,omitempty"`
	// Retired tells that nothing of it is published any more.
	Retired bool `json:"retired,omitempty"`
}

func (m *member) encrypted() bool { return encrypted(m.Key) }

// encrypted tells keys by the names of their files.
func encrypted(file string) bool { return strings.HasSuffix(file, ".age") }

// rotation is a change of the root that is under way (CA-25).
type rotation struct {
	Stage int       `json:"stage"` // 2 or 3; 1 and 4 are rest
	From  string    `json:"from"`  // the old root
	To    string    `json:"to"`
	Next  string    `json:"next"` // the intermediate under the new root
	Since time.Time `json:"since"`
}

func (s *state) member(name string) *member {
	i := slices.IndexFunc(s.Members, func(m member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Members[i]
}

// clone is a copy to change.
func (s *state) clone() *state {
	c := *s
	c.Members, c.Roots, c.Cross = slices.Clone(s.Members), slices.Clone(s.Roots), slices.Clone(s.Cross)
	if s.Rotation != nil {
		r := *s.Rotation
		c.Rotation = &r
	}
	return &c
}

// readState reads and checks the state of a directory.
func readState(dir string) (*state, error) {
	file := filepath.Join(dir, stateName)
	text, err := os.ReadFile(file) //nolint:gosec // the user names the directory
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &report.InputError{
			Location: report.Location{File: dir}, Err: errors.New("there is no certificate authority here"),
			Hint: "make one with meshctl ca init, or name its directory with --dir or MESHCTL_CA_DIR",
		}
	}
	if err != nil {
		return nil, err
	}
	s, err := parseState(text)
	if err != nil {
		return nil, &report.InputError{Location: report.Location{File: file}, Err: err, Hint: "bring back the directory from a backup"}
	}
	return s, nil
}

func parseState(text []byte) (*state, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	s := &state{}
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("the state is damaged: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("the state is of version %d; this meshctl knows %d", s.Version, stateVersion)
	}
	return s, s.check()
}

// check wants all names to be of members, and files to be in the directory.
func (s *state) check() error {
	if err := certs.CheckTrustDomain(s.TrustDomain); err != nil {
		return fmt.Errorf("the state is damaged: %w", err)
	}
	names := slices.Concat([]string{s.Signer}, s.Roots, s.Cross)
	if s.Rotation != nil {
		names = append(names, s.Rotation.From, s.Rotation.To, s.Rotation.Next)
	}
	if filepath.Base(s.Pending) != s.Pending && s.Pending != "" {
		return fmt.Errorf("the state is damaged: pending %q: expected the name of a file here", s.Pending)
	}
	for i, m := range s.Members {
		if m.Name == "" || filepath.Base(m.Name) != m.Name || (m.Key != "" && filepath.Base(m.Key) != m.Key) {
			return fmt.Errorf("the state is damaged: authority %q, key %q: expected names of files here", m.Name, m.Key)
		}
		if m.Issuer != "" && slices.IndexFunc(s.Members[:i], func(above member) bool { return above.Name == m.Issuer }) < 0 {
			return fmt.Errorf("the state is damaged: issuer %q does not come before %q", m.Issuer, m.Name)
		}
	}
	for _, name := range names {
		if s.member(name) == nil {
			return fmt.Errorf("the state is damaged: there is no authority %q", name)
		}
	}
	if len(s.Roots) == 0 {
		return errors.New("the state is damaged: no root is published")
	}
	return nil
}

func (s *state) encode() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}
