package policytest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// row is one request of a case: a choice for each of its fields.
type row struct {
	from, to, port, mtls, token  located[string]
	method, path, host           located[string]
	sourceIP, destinationIP, sni located[string]
	subset, custom               located[string]
	headers                      located[policy.Lines]
	http2, grpc, tcp             located[bool]
	name                         string
	mute                         bool // the case itself says nothing of HTTP
	at                           node
}

// dimension is a field of requests. A case that gives a list for it asks for a
// request with each of them.
type dimension struct {
	name, doc string
	http      bool // only of HTTP requests
	schema    schema
	read      func(*decoder, node) (choices, bool)
}

// choices are the values of one dimension.
type choices struct {
	all  []choice
	list bool // written as one, so that names tell the choice
	at   node
}

type choice struct {
	label string
	set   func(*row)
}

// call is what a case or the defaults say about requests, by dimension.
type call map[string]choices

// along makes a dimension of a field of row.
func along[V any](name, doc string, k kind[V], into func(*row) *located[V]) dimension {
	values := oneOrMany(place(k))
	return dimension{name: name, doc: doc, schema: values.schema, read: func(d *decoder, n node) (choices, bool) {
		all, ok := values.read(d, n)
		c := choices{list: n.Kind == yaml.SequenceNode, at: n}
		for _, v := range all {
			c.all = append(c.all, choice{label(v.value), func(r *row) { *into(r) = v }})
		}
		return c, ok
	}}
}

func (d dimension) ofHTTP() dimension {
	d.http = true
	return d
}

func label(v any) string {
	switch v := v.(type) {
	case policy.Lines:
		var all []string
		for _, l := range v {
			switch strings.ToLower(l.Name) {
			case "authorization", "proxy-authorization", "cookie": // secrets are not for names
				all = append(all, l.Name)
			default:
				all = append(all, l.Name+": "+l.Value)
			}
		}
		if all == nil {
			return "no headers"
		}
		return strings.Join(all, ", ")
	}
	return fmt.Sprint(v)
}

// dimensions are those of requests, in the order in which lists multiply: the
// last one given changes first.
func dimensions() []dimension {
	const withRequest = "HTTP only. "
	return []dimension{
		along("from", "The caller: a name of identities, a workload such as deploy/web.shop, NAMESPACE/SERVICEACCOUNT, a SPIFFE ID with spiffe://, or plaintext.", concrete(text(), false), func(r *row) *located[string] { return &r.from }),
		along("to", "What is called: svc/NAME.NAMESPACE:PORT, or a workload such as deploy/web.shop:8080. The port may be left out where there is one only.", concrete(text(), false), func(r *row) *located[string] { return &r.to }),
		along("port", "The port of what is called, if to does not have it: a number or a name.", port(), func(r *row) *located[string] { return &r.port }),
		along("mtls", "auto is what the caller's sidecar and DestinationRules make of it, plaintext is no mTLS whoever calls. Default: auto.", word("mtls", "auto", "plaintext"), func(r *row) *located[string] { return &r.mtls }),
		along("token", withRequest+"A name of tokens, or none. Default: none.", text(), func(r *row) *located[string] { return &r.token }).ofHTTP(),
		along("method", withRequest+"Default: GET, with grpc POST.", concrete(checked(text(), method), false), func(r *row) *located[string] { return &r.method }).ofHTTP(),
		along("path", withRequest+"As it is sent, before normalization, with the query. Default: /.", concrete(checked(text(), oneLine), true), func(r *row) *located[string] { return &r.path }).ofHTTP(),
		along("host", withRequest+"The Host or :authority header. Default: the Service's host name, and its port unless that is 80.", concrete(checked(text(), oneLine), false), func(r *row) *located[string] { return &r.host }).ofHTTP(),
		along("headers", withRequest+"Further header lines; a list of texts is a repeated line.", headers(), func(r *row) *located[policy.Lines] { return &r.headers }).ofHTTP(),
		along("http2", withRequest+"Speak HTTP/2 where the port does not decide.", boolean(), func(r *row) *located[bool] { return &r.http2 }).ofHTTP(),
		along("grpc", withRequest+"Make it a gRPC request: HTTP/2, POST, content-type application/grpc, te trailers.", boolean(), func(r *row) *located[bool] { return &r.grpc }).ofHTTP(),
		along("tcp", "Send bytes that are no HTTP request. Default: true for a port that is declared as one of bytes, if the case itself says nothing of HTTP.", boolean(), func(r *row) *located[bool] { return &r.tcp }),
		along("sourceIP", "The caller's address. Default: the identity's ip.", address(), func(r *row) *located[string] { return &r.sourceIP }),
		along("destinationIP", "The called workload's address.", address(), func(r *row) *located[string] { return &r.destinationIP }),
		along("sni", "The TLS server name, in place of the one that the caller's sidecar sends.", text(), func(r *row) *located[string] { return &r.sni }),
		along("subset", "The subset of the DestinationRule that applies.", text(), func(r *row) *located[string] { return &r.subset }),
		along("custom", "What external authorizers answer. Without it, what they decide is unknown.", word("answer", "allow", "deny", "error"), func(r *row) *located[string] { return &r.custom }),
	}
}

// callFields are the dimensions as fields of what holds a call.
func callFields[T any](of func(*T) *call) []field[T] {
	var all []field[T]
	for _, dim := range dimensions() {
		all = append(all, field[T]{name: dim.name, doc: dim.doc, schema: schema{"$ref": "#/$defs/" + dim.name}, read: func(d *decoder, n node, t *T) {
			if c, ok := dim.read(d, n); ok {
				if *of(t) == nil {
					*of(t) = call{}
				}
				(*of(t))[dim.name] = c
			}
		}})
	}
	return all
}

func ofCall(c *call) *call { return c }

func method(v string) error {
	if strings.ContainsAny(v, " \t\r\n\x00") {
		return fmt.Errorf("%q: expected one word", v)
	}
	return nil
}

// oneLine refuses what no client can send in its place.
func oneLine(v string) error {
	if strings.ContainsAny(v, "\r\n\x00") {
		return fmt.Errorf("%q: it would end the line in which it is sent", v)
	}
	return nil
}

// headers are lines in the order of the document.
func headers() kind[policy.Lines] {
	values := oneOrMany(emptyOr(checked(text(), oneLine)))
	return kind[policy.Lines]{schema{"type": "object", "additionalProperties": values.schema}, func(d *decoder, n node) (policy.Lines, bool) {
		entries, good := d.entries(n)
		var lines policy.Lines
		for _, e := range entries {
			name := e.key.Value
			switch {
			case strings.HasPrefix(name, ":"), strings.EqualFold(name, "host"):
				d.fail(e.key, "the fields method, path and host say it", "%q is not for headers", name)
				good = false
			case name == "" || strings.ContainsAny(name, " \t\r\n\x00:"):
				d.fail(e.key, "", "%q is no name of a header", name)
				good = false
			}
			all, ok := values.read(d, e.value)
			good = good && ok
			for _, v := range all {
				lines = append(lines, policy.Line{Name: name, Value: v})
			}
		}
		return lines, good
	}}
}
