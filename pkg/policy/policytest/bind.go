package policytest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// question is a request of a case, and what shall become of it.
type question struct {
	file *File
	row  *row
	want *expectation
	ask  policy.Question

	simulator *policy.Simulator
}

// binder finds what the names of one document mean in a mesh.
type binder struct {
	Suite
	callers  map[string]policy.Caller
	callees  map[string]policy.Callee
	problems []error
}

// bind makes the questions of a document. It fails with all names that the mesh
// does not have.
func bind(s Suite) ([]question, error) {
	b := &binder{Suite: s, callers: map[string]policy.Caller{}, callees: map[string]policy.Callee{}}
	for _, name := range slices.Sorted(maps.Keys(s.File.identities)) {
		b.identity(name) // also those that no case uses
	}
	var all []question
	for i := range s.File.cases {
		c := &s.File.cases[i]
		if c.want.by.given() {
			b.note(c.want.by.at, c.want.by.value.check(s.Mesh))
		}
		for j := range c.rows {
			all = append(all, question{file: s.File, row: &c.rows[j], want: &c.want, ask: b.question(&c.rows[j])})
		}
	}
	return all, inOrder(b.problems)
}

func (b *binder) note(at node, err error) {
	if err != nil {
		b.problems = append(b.problems, b.File.decoder.fault(at, "", err))
	}
}

func (b *binder) question(r *row) policy.Question {
	q := policy.Question{
		From: b.caller(r), To: b.callee(r), DestinationIP: r.destinationIP.value,
		SourceIP: r.sourceIP.value, SNI: r.sni.value, Subset: r.subset.value, Custom: r.custom.value,
	}
	if r.mtls.value == "plaintext" {
		q.From = policy.Caller{}
	}
	if !r.tcp.value && !b.carriesBytes(r, q.To) {
		q.HTTP = b.request(r, q.To)
	}
	return q
}

// carriesBytes tells whether a port is declared as one of bytes, where the case
// says nothing that would make a request.
func (b *binder) carriesBytes(r *row, to policy.Callee) bool {
	return r.mute && !r.tcp.given() && len(b.problems) == 0 && to.Traffic(b.Mesh) == mesh.TCPTraffic
}

// identity finds who a short name means.
func (b *binder) identity(name string) {
	i := b.File.identities[name]
	c, at, err := i.caller(b.Mesh, b.Namespace)
	b.note(at.at, err)
	b.callers[name] = c
}

// caller finds who calls, once for each name.
func (b *binder) caller(r *row) policy.Caller {
	text := r.from.value
	if c, known := b.callers[text]; known || text == plaintextName {
		return c
	}
	var c policy.Caller
	var err error
	if strings.HasPrefix(text, "spiffe://") {
		c, err = policy.ParsePrincipal(text)
	} else {
		c, err = policy.ParseCaller(b.Mesh, text, b.Namespace)
	}
	b.note(r.from.at, err)
	b.callers[text] = c
	return c
}

// callee finds what is called, once for each name.
func (b *binder) callee(r *row) policy.Callee {
	text, at := r.to.value, r.to
	if r.port.given() {
		text, at = text+":"+r.port.value, r.port
	}
	if c, known := b.callees[text]; known {
		return c
	}
	c, err := policy.ParseCallee(b.Mesh, text, b.Namespace)
	b.note(at.at, err)
	b.callees[text] = c
	return c
}

// request is the HTTP request of a row.
func (b *binder) request(r *row, to policy.Callee) *policy.HTTP {
	h := &policy.HTTP{Method: r.method.value, Path: r.path.value, Authority: r.host.value, Headers: r.headers.value}
	if r.http2.value || r.grpc.value {
		h.Version = "2"
	}
	if h.Method == "" {
		h.Method = http.MethodGet
		if r.grpc.value {
			h.Method = http.MethodPost
		}
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Authority == "" && len(b.problems) == 0 {
		h.Authority = to.Authority()
	}
	if r.grpc.value {
		h.Headers = append(h.Headers[:len(h.Headers):len(h.Headers)],
			policy.Line{Name: "content-type", Value: "application/grpc"}, policy.Line{Name: "te", Value: "trailers"})
	}
	if t, named := b.File.tokens[r.token.value]; named {
		h.Tokens = []policy.Token{t.Token}
	}
	return h
}
