package ca

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzState: no text panics, and what is read as a state is written as one that is
// read again.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"trustDomain":"cluster.local","created":"2030-01-01T00:00:00Z","authorities":[{"name":"root-1","key":"root-1.key.age"},{"name":"intermediate-1","issuer":"root-1","key":"intermediate-1.key.pem"}],"signer":"intermediate-1","roots":["root-1"],"sequence":1,"log":{"seq":2,"hash":"00"}}`))
	f.Add([]byte(`{"version":1,"authorities":[{"name":"../x"}],"rotation":{"stage":2}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		if err != nil {
			return
		}
		again, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseState(again); err != nil {
			t.Errorf("%v: %s", err, again)
		}
		for _, m := range s.Members {
			if filepath.Base(m.Name) != m.Name {
				t.Errorf("%q leads out of the directory", m.Name)
			}
		}
	})
}

// FuzzLog: no log panics, and one that verifies has records from 1 on.
func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2030-01-01T00:00:00Z","event":"authority","serial":"a1"}` + "\n"))
	f.Add([]byte(`{"seq":1,"event":"crl","number":1}` + "\n" + `{"seq":2,"previous":"00"`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, logName), text, fileMode); err != nil {
			t.Fatal(err)
		}
		l, err := readLog(dir)
		if err != nil || l.verify(anchor{}) != nil {
			return
		}
		n := uint64(0)
		for r, err := range l.records() {
			if n++; err != nil || r.Seq != n {
				t.Errorf("record %d is %d, %v", n, r.Seq, err)
			}
		}
		if n != l.last.Seq {
			t.Errorf("%d records, the last is %d", n, l.last.Seq)
		}
	})
}
