package ca

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// verify goes along the chain of hashes, past what the state vouches for. Every
// command does it first, and so lines are taken apart only if they are not as
// append writes them.
func (l *issuance) verify(held anchor) error {
	before, n := "", uint64(0)
	for line := range bytes.Lines(l.text) {
		n++
		if !follows(line, n, before) {
			if err := l.verifyLine(line, n, before); err != nil {
				return err
			}
		}
		before = hashLine(line)
		if n == held.Seq && before != held.Hash {
			return l.fault(int(n), errors.New("it is not the line that the state knows")) //nolint:gosec // lines of a file
		}
	}
	if n < held.Seq {
		return l.fault(int(n), fmt.Errorf("it ends before record %d, which the state knows", held.Seq))
	}
	return nil
}

// follows tells whether a line begins and ends as append writes the n-th.
func follows(line []byte, n uint64, before string) bool {
	begin := append(strconv.AppendUint([]byte(`{"seq":`), n, 10), ',')
	if !bytes.HasPrefix(line, begin) {
		return false
	}
	if before == "" {
		return !bytes.Contains(line, []byte(`"previous":`))
	}
	return bytes.HasSuffix(line, []byte(`,"previous":"`+before+"\"}\n"))
}

// verifyLine says what is wrong with a line.
func (l *issuance) verifyLine(line []byte, n uint64, before string) error {
	var r Record
	at := int(n) //nolint:gosec // lines of a file
	switch err := json.Unmarshal(line, &r); {
	case err != nil:
		return l.fault(at, err)
	case r.Seq != n:
		return l.fault(at, fmt.Errorf("record %d stands where %d belongs", r.Seq, n))
	case r.Previous != before:
		return l.fault(at, errors.New("the line before was changed"))
	}
	return nil
}

// check wants the log to be whole, and to have all certificates of the directory.
func (a *Authority) check() error {
	if err := a.log.verify(a.state.Log); err != nil {
		return err
	}
	known := a.log.serials()
	for name, c := range a.certs {
		if !known[hexSerial(c.SerialNumber)] {
			return a.log.fault(0, fmt.Errorf("it lacks the authority %s", name))
		}
	}
	return nil
}

// Damage is what is wrong with the log of an authority that Look opened.
func (a *Authority) Damage() error { return a.damage }

// VerifyLog follows the hashes of the log, and tells how many records it has.
func (a *Authority) VerifyLog() (uint64, error) {
	if err := a.check(); err != nil {
		return 0, err
	}
	for _, err := range a.log.records() {
		if err != nil {
			return 0, err
		}
	}
	return a.log.last.Seq, nil
}
