package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// questionFlags describe one request.
type questionFlags struct {
	from, principal string
	plaintext       bool
	to, subset      string

	method, path, host string
	headers            []string
	xff                string
	http2, grpc, tcp   bool

	claimsFile string
	claims     []string
	token      string

	sourceIP, destinationIP, sni string
}

func (f *questionFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "who calls: NAMESPACE/SERVICEACCOUNT, or a workload such as deploy/web.shop")
	flags.StringVar(&f.principal, "principal", "", "who calls, from outside of the manifests: a SPIFFE ID")
	flags.BoolVar(&f.plaintext, "plaintext", false, "the caller has no sidecar and speaks no TLS")
	flags.StringVar(&f.to, "to", "", "what is called: svc/NAME.NAMESPACE:PORT, or a workload's own port such as deploy/web.shop:8080")
	flags.StringVar(&f.subset, "subset", "", "subset of the DestinationRule that applies to the call")
	flags.StringVar(&f.method, "method", "", "HTTP method (default GET, with --grpc POST)")
	flags.StringVar(&f.path, "path", "", "path as the client sends it, query included (default /)")
	flags.StringVar(&f.host, "host", "", "authority as the client sends it, port included (default: the name of what is called)")
	flags.StringArrayVar(&f.headers, "header", nil, "header line NAME: VALUE; repeatable")
	flags.StringVar(&f.xff, "xff", "", "header X-Forwarded-For")
	flags.BoolVar(&f.http2, "http2", false, "speak HTTP/2")
	flags.BoolVar(&f.grpc, "grpc", false, "make a gRPC call; --path is /PACKAGE.SERVICE/METHOD")
	flags.BoolVar(&f.tcp, "tcp", false, "send bytes that are no HTTP (default for ports that are declared as such)")
	flags.StringVar(&f.claimsFile, "jwt", "", "file with the claims of a token, as JSON, which is taken to be valid; or with a token")
	flags.StringArrayVar(&f.claims, "claim", nil, "claim of a valid token: NAME=VALUE, VALUE text or JSON; repeatable")
	flags.StringVar(&f.token, "token", "", "token to send, which is verified")
	flags.StringVar(&f.sourceIP, "source-ip", "", "address of the caller")
	flags.StringVar(&f.destinationIP, "destination-ip", "", "address of the called workload")
	flags.StringVar(&f.sni, "sni", "", "server name of the TLS connection (default: what the caller's sidecar sends)")
}

// names are the flags that only make sense for one request.
func (f *questionFlags) names() []string {
	return []string{
		"from", "principal", "plaintext", "to", "subset", "method", "path", "host", "header", "xff", "http2", "grpc", "tcp",
		"jwt", "claim", "token", "source-ip", "destination-ip", "sni",
	}
}

// complete refuses flags that cannot be meant.
func (f *questionFlags) complete(cmd *cobra.Command) error {
	callers := 0
	for _, given := range []bool{f.from != "", f.principal != "", f.plaintext} {
		if given {
			callers++
		}
	}
	tokens := 0
	for _, given := range []bool{f.claimsFile != "", f.claims != nil, f.token != ""} {
		if given {
			tokens++
		}
	}
	isHTTP := slices.ContainsFunc([]string{"method", "path", "host", "header", "xff", "http2", "grpc", "jwt", "claim", "token"}, func(name string) bool { return typed(cmd, name) })
	switch {
	case f.to == "":
		return usagef(cmd, "no destination: give --to svc/NAME.NAMESPACE:PORT or --to deploy/NAME.NAMESPACE:PORT")
	case callers == 0:
		return usagef(cmd, "no caller: give --from NAMESPACE/SERVICEACCOUNT, --from deploy/NAME.NAMESPACE, --principal SPIFFE-ID or --plaintext")
	case callers > 1:
		return usagef(cmd, "--from, --principal and --plaintext exclude each other")
	case tokens > 1:
		return usagef(cmd, "--jwt, --claim and --token exclude each other")
	case f.tcp && isHTTP:
		return usagef(cmd, "--tcp sends bytes that are no HTTP: leave out the flags of HTTP requests")
	case typed(cmd, "method") && f.method == "":
		return usagef(cmd, "--method is empty: leave it out for the default")
	case typed(cmd, "path") && f.path == "":
		return usagef(cmd, "--path is empty: leave it out for /")
	case f.path != "" && f.path[0] != '/' && f.path != "*" && !strings.Contains(f.path, "://"):
		return usagef(cmd, "path %q: expected a path that starts with /", f.path)
	}
	for _, name := range []string{"source-ip", "destination-ip"} {
		text := cmd.Flags().Lookup(name).Value.String()
		if _, err := netip.ParseAddr(text); text != "" && err != nil {
			return usagef(cmd, "--%s %q: expected an address such as 10.1.2.3", name, text)
		}
	}
	for _, line := range f.headers {
		if _, err := parseHeader(line); err != nil {
			return usageError{err, cmd.CommandPath()}
		}
	}
	if _, err := f.claimed(); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	return nil
}

// question resolves the names in the flags.
func (f *questionFlags) question(s *mesh.Snapshot, namespace string) (*policy.Question, error) {
	q := &policy.Question{SourceIP: f.sourceIP, DestinationIP: f.destinationIP, SNI: f.sni, Subset: f.subset}
	var err error
	switch {
	case f.from != "":
		q.From, err = policy.ParseCaller(s, f.from, namespace)
	case f.principal != "":
		q.From, err = policy.ParsePrincipal(f.principal)
	}
	if err != nil {
		return nil, err
	}
	if q.To, err = policy.ParseCallee(s, f.to, namespace); err != nil {
		return nil, err
	}
	if f.tcp || !f.speaksHTTP() && q.To.Traffic(s) == mesh.TCPTraffic {
		return q, nil
	}
	q.HTTP, err = f.request(q.To)
	return q, err
}

// speaksHTTP tells whether a flag says something of an HTTP request.
func (f *questionFlags) speaksHTTP() bool {
	return f.method != "" || f.path != "" || f.host != "" || f.headers != nil || f.xff != "" || f.http2 || f.grpc ||
		f.claimsFile != "" || f.claims != nil || f.token != ""
}

func (f *questionFlags) request(to policy.Callee) (*policy.HTTP, error) {
	h := &policy.HTTP{Method: f.method, Path: f.path, Authority: f.host}
	for _, line := range f.headers {
		l, err := parseHeader(line)
		if err != nil {
			return nil, err
		}
		h.Headers = append(h.Headers, l)
	}
	if f.xff != "" {
		h.Headers = append(h.Headers, policy.Line{Name: "x-forwarded-for", Value: f.xff})
	}
	if f.http2 || f.grpc {
		h.Version = "2"
	}
	if f.grpc {
		h.Headers = append(h.Headers, policy.Line{Name: "content-type", Value: "application/grpc"}, policy.Line{Name: "te", Value: "trailers"})
	}
	if h.Method == "" {
		h.Method = "GET"
		if f.grpc {
			h.Method = "POST"
		}
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Authority == "" {
		h.Authority = to.Authority()
	}
	return h, f.addToken(h)
}

func parseHeader(line string) (policy.Line, error) {
	name, value, ok := strings.Cut(line, ":")
	if ok && (name == "" || strings.EqualFold(name, "host")) { // a pseudo-header, or what is one
		return policy.Line{}, fmt.Errorf("header %q: --method, --path and --host say what is called", line)
	}
	if !ok {
		name, value, ok = strings.Cut(line, "=")
	}
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return policy.Line{}, fmt.Errorf("header %q: expected NAME: VALUE", line)
	}
	return policy.Line{Name: name, Value: strings.TrimSpace(value)}, nil
}

// addToken puts the token where clients put theirs.
func (f *questionFlags) addToken(h *policy.HTTP) error {
	token := policy.Token{Valid: true}
	var err error
	switch {
	case f.claims != nil:
		token.Claims, err = f.claimed()
	case f.token != "":
		// Whatever it is goes out as it is: a bad one shows what becomes of it.
		token = policy.Token{JWT: strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(f.token), "Bearer "))}
	case f.claimsFile != "":
		var text []byte
		if text, err = os.ReadFile(f.claimsFile); err == nil {
			if token, err = policy.ParseToken(text); err != nil {
				err = fmt.Errorf("%s: %w", f.claimsFile, err)
			}
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	token.In, token.Name, token.Prefix = "header", "authorization", "Bearer "
	h.Tokens = append(h.Tokens, token)
	return nil
}

// claimed are the claims of --claim. A value that is JSON is taken as such, and
// a name that comes again makes a list.
func (f *questionFlags) claimed() (map[string]any, error) {
	claims := map[string]any{}
	for _, text := range f.claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("claim %q: expected NAME=VALUE, such as iss=https://issuer.example or groups=[\"admin\"]", text)
		}
		var v any = value
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		switch old := claims[name].(type) {
		case nil:
			claims[name] = v
		case []any:
			claims[name] = append(old, v)
		default:
			claims[name] = []any{old, v}
		}
	}
	return claims, nil
}
