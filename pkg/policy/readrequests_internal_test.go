package policy

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// plainLines are requests in the form that programs write.
func plainLines() []string {
	return []string{
		`{"id": "a-1", "to": {"namespace": "s", "workload": "app", "port": 8080, "ip": "127.0.0.5"}, "from": {"identity": "spiffe://cluster.local/ns/a/sa/b", "ip": "127.0.1.5", "sni": "", "alpn": ["istio", "http/1.1"]}, "http": {"method": "GET", "path": "/api?x=1&y=2", "authority": "a.b", "headers": {"x": "1", "y": ["1", "2"], "x": "3"}, "version": "2", "tokens": [{"in": "header", "name": "authorization", "prefix": "Bearer ", "valid": true, "claims": {"iss": "i", "aud": ["a", "b"], "n": {"a": [1, -2.5, true, null, {}]}, "exp": 1893456000}}]}}`,
		`{"to":{"namespace":"s","workload":"app","port":1},"from":{"identity":null,"tls":true,"alpn":[]},"custom":"deny"}`,
		`{"http":{"tokens":[{"in":"param","name":"t","jwt":"a.b.c"},{"in":"cookie","name":"u","invalid":"expired","valid":false,"claims":{"k":1,"k":"last"}}],"headers":{"e":[]}},"from":{},"to":{}}`,
		`{"id":"\u00e4\"\\ \u2028 \ud83d\ude00","http":{"path":"/a\u0026b","method":"é","headers":{}}}`,
		`{"http":{"method":"GET","tokens":[{"in":"header"}]},"from":{"alpn":["a"]},"to":{"port":65536}}`,
		`{}`,
	}
}

// TestPlainRequests: requests in the form that programs write are read without
// encoding/json, which reads the same.
func TestPlainRequests(t *testing.T) {
	t.Parallel()
	for _, text := range plainLines() {
		var quick, want Request
		if err := parseAny(text, &want); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if !parsePlain(text, &quick) || !reflect.DeepEqual(quick, want) {
			t.Errorf("%s\nis read as %+v\nwant       %+v", text, quick, want)
		}
	}
}

// TestDeepClaims: what is nested deeper than claims are is left to encoding/json,
// which limits its depth.
func TestDeepClaims(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		return `{"http":{"tokens":[{"claims":{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}}]}}`
	}
	for depth, want := range map[int]bool{10: true, 100: false, 1_000_000: false} {
		var r Request
		if got := parsePlain(nested(depth), &r); got != want {
			t.Errorf("depth %d: read %v, want %v", depth, got, want)
		}
	}
}

// FuzzPlainRequests: what is read without encoding/json it reads the same.
func FuzzPlainRequests(f *testing.F) {
	for _, text := range plainLines() {
		f.Add(text)
	}
	for _, text := range []string{`{"ID":"a"}`, `{"id":"a","id":"b"}`, `{"to":null}`, `{"to":{"port":08}}`, `{"to":{"port":1e1}}`, `{} {}`, `{"http":{"headers":{"a":null}}}`, "{\"id\":\"\t\"}", `{"id":"` + "\xff" + `"}`, `{"http":{"tokens":[{"claims":{"a":- 1}}]}}`, `{"http":{"tokens":[{"claims":{"a":1.}}]}}`, `{"custom":"allow",}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { holdToLibrary(t, text) })
}

// holdToLibrary compares what is read without encoding/json with what that reads.
func holdToLibrary(t *testing.T, text string) (plain bool) {
	t.Helper()
	var quick, want Request
	if !parsePlain(text, &quick) {
		return false
	}
	if err := parseAny(text, &want); err != nil {
		t.Errorf("%q is read, but is wrong: %v", text, err)
	}
	if !reflect.DeepEqual(quick, want) {
		t.Errorf("%q\nis read as %+v\nwant       %+v", text, quick, want)
	}
	return true
}

// TestAlmostPlainRequests: neither are requests misread in which something is
// changed.
func TestAlmostPlainRequests(t *testing.T) {
	t.Parallel()
	plain, odd := 0, 0
	pieces := []string{"", `"`, `{`, `}`, `[`, `]`, `,`, `:`, `null`, `true`, `0`, `-`, `.`, `1e5`, " ", "\t", `\\`, `\u0041`, "é", "\xff", `"id"`, `"ID"`, `"to":{}`, `"a":"b",`, `"http":{},`, `"from":{},`, `"tokens":[],`}
	for seed := range uint64(40_000) {
		r := rand.New(rand.NewPCG(seed, 7))
		lines := plainLines()
		text := lines[r.IntN(len(lines))]
		for range 1 + r.IntN(2) {
			from := r.IntN(len(text) + 1)
			to := min(len(text), from+r.IntN(4))
			text = text[:from] + pieces[r.IntN(len(pieces))] + text[to:]
		}
		if holdToLibrary(t, text) {
			plain++
		} else {
			odd++
		}
	}
	if plain < 2000 || odd < 4000 {
		t.Errorf("%d were read, %d left: that says little", plain, odd)
	}
}

// TestReadBatches: batches end anywhere, and lines may be longer than one.
func TestReadBatches(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	type line struct {
		number int
		text   string
	}
	var want []line
	for i := range 3000 {
		one := strings.Repeat("x", i%700+1)
		if i == 1500 {
			one = strings.Repeat("y", 5*batchSize)
		}
		fmt.Fprintf(&text, " %s\r\n\n", one)
		want = append(want, line{2*i + 1, one})
	}
	all := text.String() + "no end"
	want = append(want, line{6001, "no end"})
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(all), "by halves": iotest.HalfReader(strings.NewReader(all)), "end with data": iotest.DataErrReader(strings.NewReader(all)),
	} {
		var got []line
		batches := 0
		err := readBatches("x", r, func(b batch) {
			batches++
			for number, text := range b.lines {
				got = append(got, line{number, text})
			}
		})
		if err != nil || batches < 2 || !slices.Equal(got, want) {
			t.Errorf("%s: %d lines in %d batches, %v; want %d lines", name, len(got), batches, err, len(want))
		}
	}
	if err := readBatches("x", iotest.ErrReader(errors.New("lost")), func(batch) {}); err == nil || err.Error() != "read x: lost" {
		t.Errorf("error %v, want read x: lost", err)
	}
	if err := readBatches("x", blanks{}, func(batch) {}); err == nil || err.Error() != "x: more than 1024 MiB of requests: split the file" {
		t.Errorf("error %v", err)
	}
}

// blanks has no end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}
