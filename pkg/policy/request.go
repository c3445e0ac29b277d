package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Request is one request to a workload, or raw bytes if HTTP is nil.
type Request struct {
	ID   string      `json:"id,omitempty"`
	To   Destination `json:"to"`
	From Client      `json:"from"`
	HTTP *HTTP       `json:"http,omitempty"`
	// Custom is what external authorizers answer: allow, deny, error; empty
	// leaves the verdict unknown where one is asked.
	Custom string `json:"custom,omitempty"`
}

// Destination is the workload that is called.
type Destination struct {
	Namespace string `json:"namespace"`
	Workload  string `json:"workload"`
	Port      uint32 `json:"port"`         // the workload's own
	IP        string `json:"ip,omitempty"` // its address (RUN-10)
}

// Client is who calls.
type Client struct {
	// Identity is the SPIFFE ID of the client's certificate; nil is plaintext.
	Identity *string `json:"identity"`
	// TLS says that a client without an Identity speaks TLS all the same, with
	// another certificate or none.
	TLS  bool     `json:"tls,omitempty"`
	IP   string   `json:"ip,omitempty"`
	SNI  string   `json:"sni,omitempty"`
	ALPN []string `json:"alpn,omitempty"` // in the client's order
}

// HTTP is an HTTP request as the client sends it.
type HTTP struct {
	Method    string  `json:"method"`
	Path      string  `json:"path"` // before normalization, query included
	Authority string  `json:"authority"`
	Headers   Lines   `json:"headers,omitempty"`
	Tokens    []Token `json:"tokens,omitempty"`
	Version   string  `json:"version,omitempty"` // "2"; else HTTP/1.1
	// Scheme is what the caller's own sidecar says in HTTP/2; empty is that of the
	// connection.
	Scheme string `json:"-"`
}

// isGRPC tells whether an application that speaks gRPC takes the request for its
// own.
func (h *HTTP) isGRPC() bool {
	for _, l := range h.Headers {
		if strings.EqualFold(l.Name, "content-type") && isGRPC(l.Value) {
			return true
		}
	}
	return false
}

// Line is one header line.
type Line struct{ Name, Value string }

// Lines are header lines in the order in which they are sent. In JSON they are
// an object whose values are texts, or lists of texts for repeated lines.
type Lines []Line

// UnmarshalJSON keeps the order of the object's keys.
func (l *Lines) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("headers: expected an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		var one string
		var many []string
		switch {
		case json.Unmarshal(value, &one) == nil:
			*l = append(*l, Line{name, one})
		case json.Unmarshal(value, &many) == nil:
			for _, v := range many {
				*l = append(*l, Line{name, v})
			}
		default:
			return fmt.Errorf("header %q: expected a text or a list of texts", name)
		}
	}
	return nil
}

// Token is a JSON web token of a request: a real one, or one that is described.
type Token struct {
	In     string         `json:"in"` // header, param or cookie
	Name   string         `json:"name"`
	Prefix string         `json:"prefix,omitempty"`
	JWT    string         `json:"jwt,omitempty"` // in its compact serialization; the rest is for described ones
	Valid  bool           `json:"valid"`
	Why    string         `json:"invalid,omitempty"` // signature, expired or malformed
	Claims map[string]any `json:"claims,omitempty"`
}

// Outcome is what becomes of a request.
type Outcome string

// The outcomes.
const (
	Allow           Outcome = "allow"
	Deny            Outcome = "deny"            // 403, or a connection closed by a rule
	Unauthenticated Outcome = "unauthenticated" // 401
	Refused         Outcome = "refused"         // no chain, TLS failure, bytes that make no sense
	Rejected        Outcome = "rejected"        // 400 and the like, before any policy
	Unknown         Outcome = "unknown"         // something outside of the model decides
)

// StageName is the step that decided.
type StageName string

// The steps, in their order (EV-1).
const (
	ClientTLS      StageName = "client-tls" // the caller's sidecar; only where the caller is known
	Transport      StageName = "transport"
	Codec          StageName = "http"
	CustomAction   StageName = "custom"
	Authentication StageName = "authentication"
	AuditAction    StageName = "audit" // notes, never decides
	DenyAction     StageName = "deny"
	AllowAction    StageName = "allow"
)

// Verdict is the answer for a request.
type Verdict struct {
	ID         string    `json:"id,omitempty"`
	Outcome    Outcome   `json:"verdict"`
	HTTPStatus int       `json:"httpStatus,omitempty"`
	GRPCStatus *int      `json:"grpcStatus,omitempty"`
	By         string    `json:"by,omitempty"`     // the rule, as Envoy names it; none if an ALLOW stage found none
	Custom     string    `json:"custom,omitempty"` // the CUSTOM rule that matched, whoever decided
	DryRun     *DryRun   `json:"dryRun,omitempty"`
	Stage      StageName `json:"stage"`
	Reason     string    `json:"reason,omitempty"`
	// Rule is the rule that By names; nil for none.
	Rule *Rule `json:"-"`
}

// DryRun is what dry-run policies would have done, as far as the request got.
type DryRun struct {
	Allow *Shadow `json:"allow,omitempty"`
	Deny  *Shadow `json:"deny,omitempty"`
}

// Shadow is the result of one action's dry-run policies (AP-69).
type Shadow struct {
	Result string `json:"result"` // allowed or denied
	By     string `json:"by,omitempty"`
}
