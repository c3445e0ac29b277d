package ca

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/pkg/report"
)

// logName is the file of the log, one JSON object a line.
const logName = "log.jsonl"

// Event is what a record is about.
type Event string

// The events.
const (
	IssuedLeaf      Event = "leaf"
	IssuedAuthority Event = "authority"
	Revoked         Event = "revoked"
	IssuedCRL       Event = "crl"
)

// undone says in words that an event did not come to pass.
func (e Event) undone() string {
	switch e {
	case Revoked:
		return "nothing was revoked"
	case IssuedCRL:
		return "no list was made"
	case IssuedAuthority:
		return "nothing was changed"
	default:
		return "nothing was issued"
	}
}

// Record is a line of the log (CA-60).
type Record struct {
	Seq    uint64    `json:"seq"` // from 1
	Time   time.Time `json:"time"`
	Event  Event     `json:"event"`
	Serial string    `json:"serial,omitempty"` // in hex
	// ID is a leaf's identity; Subject is an authority's name.
	ID        string    `json:"id,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Names     []string  `json:"names,omitempty"` // beside the identity
	Key       string    `json:"key,omitempty"`   // SHA-256 of the public key, in hex
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Issuer    string    `json:"issuer,omitempty"` // its key identifier, in hex
	// By is how whoever asked was known: "local" has the files, "csr" a request;
	// "import" was issued or revoked elsewhere.
	By      string `json:"by,omitempty"`
	Caller  string `json:"caller,omitempty"`
	Request string `json:"request,omitempty"` // SHA-256 of the CSR, in hex
	Reason  string `json:"reason,omitempty"`
	Number  int64  `json:"number,omitempty"` // a CRL's
	// Previous is the SHA-256 of the line before, in hex; "" for the first.
	Previous string `json:"previous,omitempty"`
}

// certificateRecord is that of a certificate.
func certificateRecord(c *x509.Certificate, event Event) Record {
	r := Record{
		Event: event, Serial: hexSerial(c.SerialNumber), Key: KeyHash(c), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Issuer: hex.EncodeToString(c.AuthorityKeyId), Subject: c.Subject.String(), Names: c.DNSNames,
	}
	if len(c.AuthorityKeyId) == 0 { // it signs itself
		r.Issuer = hex.EncodeToString(c.SubjectKeyId)
	}
	for _, ip := range c.IPAddresses {
		r.Names = append(r.Names, ip.String())
	}
	if event == IssuedLeaf {
		r.ID = c.URIs[0].String()
	}
	return r
}

func hexSerial(n *big.Int) string { return fmt.Sprintf("%x", n) }

// KeyHash names a certificate's key: the SHA-256 of the public key, in hex.
func KeyHash(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// anchor is a place in the log that the state vouches for, so that a log which
// was cut off is found out.
type anchor struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// issuance is the log: its text, and what its last line says.
type issuance struct {
	file string
	text []byte
	last Record
	hash string // of the last line

	known map[string]bool // serials, when they were asked for
}

// readLog reads the log of a directory. A last line that has no end was never
// said to be written: whoever wrote it was stopped, and nothing left.
func readLog(dir string) (*issuance, error) {
	l := &issuance{file: filepath.Join(dir, logName)}
	text, err := os.ReadFile(l.file)
	if err != nil {
		return nil, err
	}
	l.text = text[:bytes.LastIndexByte(text, '\n')+1]
	if len(l.text) == 0 {
		return l, nil
	}
	line := l.text[bytes.LastIndexByte(l.text[:len(l.text)-1], '\n')+1:]
	if err := json.Unmarshal(line, &l.last); err != nil {
		return nil, l.fault(bytes.Count(l.text, []byte("\n")), err)
	}
	l.hash = hashLine(line)
	return l, nil
}

func (l *issuance) fault(line int, err error) error {
	return &report.InputError{
		Location: report.Location{File: l.file, Line: line}, Err: fmt.Errorf("the log is damaged: %w", err),
		Hint: "bring back the directory from a backup; nothing should be issued until then",
	}
}

func hashLine(line []byte) string {
	sum := sha256.Sum256(bytes.TrimSuffix(line, []byte("\n")))
	return hex.EncodeToString(sum[:])
}

func (l *issuance) anchor() anchor { return anchor{l.last.Seq, l.hash} }

// serials are the serial numbers of the log, in hex. Finding them takes no look at
// the rest of each line.
func (l *issuance) serials() map[string]bool {
	if l.known != nil {
		return l.known
	}
	l.known = map[string]bool{}
	mark := []byte(`"serial":"`)
	for rest := l.text; ; {
		at := bytes.Index(rest, mark)
		if at < 0 {
			return l.known
		}
		rest = rest[at+len(mark):]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			l.known[string(rest[:end])] = true
		}
	}
}

// records goes through the log, from its beginning.
func (l *issuance) records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		n := 0
		for line := range bytes.Lines(l.text) {
			n++
			var r Record
			err := json.Unmarshal(line, &r)
			if err != nil {
				err = l.fault(n, err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// append adds records in one go. They are on the disk when it returns.
func (l *issuance) append(disk *atomicfile.Disk, now time.Time, caller string, records []Record) error {
	last, hash := l.last, l.hash
	var text []byte
	for _, r := range records {
		r.Seq, r.Time, r.Previous, r.Caller = last.Seq+1, now.UTC(), hash, caller
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		last, hash = r, hashLine(line)
		text = append(append(text, line...), '\n')
	}
	if len(text) == 0 {
		return nil
	}
	f, err := os.OpenFile(l.file, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is synced
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size := int64(len(l.text)); info.Size() != size { // the rest of a line that was never finished
		if err := disk.Truncate(f, size); err != nil {
			return err
		}
	}
	if err := disk.Append(f, text); err != nil {
		return fmt.Errorf("issuance log: %s: %w", last.Event.undone(), err)
	}
	for _, r := range records {
		if l.known != nil && r.Serial != "" {
			l.known[r.Serial] = true
		}
	}
	l.text, l.last, l.hash = append(l.text, text...), last, hash
	return nil
}
