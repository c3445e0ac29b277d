package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type envoyEvalOptions struct {
	streams  genericiooptions.IOStreams
	question questionFlags
	port     portFlag
	alpn     []string
	custom   string
	workload string
	output   formatFlag[evaluated]
	dump     string
	now      func() time.Time
}

// evaluated is the answer of a configuration, as it is printed.
type evaluated struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	From       string `json:"from"`
	To         string `json:"to"`
	Request    string `json:"request"`
	envoy.Answer
}

func newEnvoyEvalCmd(streams genericiooptions.IOStreams, runF func(context.Context, *envoyEvalOptions) error) *cobra.Command {
	o := &envoyEvalOptions{streams: streams, now: time.Now}
	o.output.formats = []format[evaluated]{
		{"text", printEvaluated},
		{"json", func(w io.Writer, e evaluated) error { return printer.JSON(w, e) }},
		{"yaml", func(w io.Writer, e evaluated) error { return printer.YAML(w, e) }},
	}
	cmd := &cobra.Command{
		Use:   "eval DUMP --port PORT --principal SPIFFE-ID|--plaintext",
		Short: "Decide a request by the configuration of a running Envoy",
		Long: `Decide what becomes of a request by the listeners of a configuration: a config
dump of any Envoy with RBAC and JWT filters (/config_dump, or istioctl
proxy-config all -o json), or what "meshctl envoy config" printed. "-" reads
standard input.

The port is the workload's own. What is not understood makes the verdict unknown:
other filters, matchers of other extensions, filters of single routes.

Exit status: 0 allow; 1 any other verdict; 2 the input cannot be read; 3 unknown.`,
		Example: `  meshctl envoy eval config_dump.json --port 9080 --principal spiffe://cluster.local/ns/prod/sa/web --path /reviews/1
  kubectl exec deploy/reviews -c istio-proxy -- pilot-agent request GET config_dump | meshctl envoy eval - --port 9080 --plaintext`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run()
		},
	}
	o.register(cmd)
	return cmd
}

func (o *envoyEvalOptions) register(cmd *cobra.Command) {
	flags, q := cmd.Flags(), &o.question
	flags.Var(&o.port, "port", "port of the workload that is called")
	flags.StringVar(&o.workload, "workload", "", "whose configuration, if there are several: NAMESPACE/NAME")
	flags.StringVar(&q.principal, "principal", "", "who calls, by mTLS: a SPIFFE ID")
	flags.BoolVar(&q.plaintext, "plaintext", false, "the caller has no sidecar and speaks no TLS")
	flags.StringSliceVar(&o.alpn, "alpn", nil, "application protocols that the caller offers (default: those of a client's sidecar)")
	flags.StringVar(&q.method, "method", "", "HTTP method (default GET, with --grpc POST)")
	flags.StringVar(&q.path, "path", "", "path as the client sends it, query included (default /)")
	flags.StringVar(&q.host, "host", "", "authority as the client sends it, port included (default localhost)")
	flags.StringArrayVar(&q.headers, "header", nil, "header line NAME: VALUE; repeatable")
	flags.StringVar(&q.xff, "xff", "", "header X-Forwarded-For")
	flags.BoolVar(&q.http2, "http2", false, "speak HTTP/2")
	flags.BoolVar(&q.grpc, "grpc", false, "make a gRPC call; --path is /PACKAGE.SERVICE/METHOD")
	flags.BoolVar(&q.tcp, "tcp", false, "send bytes that are no HTTP")
	flags.StringVar(&q.claimsFile, "jwt", "", "file with the claims of a token, as JSON, which is taken to be valid; or with a token")
	flags.StringArrayVar(&q.claims, "claim", nil, "claim of a valid token: NAME=VALUE, VALUE text or JSON; repeatable")
	flags.StringVar(&q.token, "token", "", "token to send, which is verified")
	flags.StringVar(&q.sourceIP, "source-ip", "", "address of the caller")
	flags.StringVar(&q.destinationIP, "destination-ip", "", "address of the called workload")
	flags.StringVar(&q.sni, "sni", "", "server name of the TLS connection")
	flags.StringVar(&o.custom, "custom", "", "what external authorizers answer: allow, deny or error")
	o.output.register(flags)
}

func (o *envoyEvalOptions) complete(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) != 1:
		return usagef(cmd, "expected one configuration, got %d", len(args))
	case o.port == 0:
		return usagef(cmd, "no port: give --port, the workload's own")
	case o.question.principal == "" && !o.question.plaintext:
		return usagef(cmd, "no caller: give --principal SPIFFE-ID or --plaintext")
	case o.question.principal != "" && o.question.plaintext:
		return usagef(cmd, "--principal and --plaintext exclude each other")
	case !slices.Contains([]string{"", "allow", "deny", "error"}, o.custom):
		return usagef(cmd, "custom %q: expected allow, deny or error", o.custom)
	}
	o.dump = args[0]
	o.question.to = fmt.Sprintf("port %d", o.port)
	if o.question.host == "" {
		o.question.host = "localhost"
	}
	if err := o.question.complete(cmd); err != nil {
		return err
	}
	return o.output.validate(cmd)
}

func (o *envoyEvalOptions) run() error {
	d, err := readDump(o.streams, o.dump, o.workload)
	if err != nil {
		return err
	}
	r, err := o.request()
	if err != nil {
		return err
	}
	a := envoy.NewEnforcement(d, o.now()).Evaluate(r)
	a.Reason = ofDump(a.Reason)
	caller := "a client without mTLS"
	if r.From.Identity != nil {
		caller = *r.From.Identity
	}
	e := evaluated{apiVersion, "EnvoyEvaluation", caller, fmt.Sprintf("port %d of %s", o.port, orUnnamed(d.Workload)), "bytes that are no HTTP", a}
	if h := r.HTTP; h != nil {
		version := "HTTP/1.1"
		if h.Version == "2" {
			version = "HTTP/2"
		}
		e.Request = fmt.Sprintf("%s %s %s, host %s", h.Method, h.Path, version, h.Authority)
	}
	if err := o.output.emit(o.streams.Out, e); err != nil {
		return err
	}
	return judge(policy.Answer{Outcome: a.Outcome, Reason: a.Reason})
}

// portFlag is a port number; 0 is none.
type portFlag uint16

func (p *portFlag) String() string { return strconv.FormatUint(uint64(*p), 10) }

func (*portFlag) Type() string { return "port" }

func (p *portFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return errors.New("expected 1 to 65535")
	}
	*p = portFlag(n)
	return nil
}

// ofDump is a reason in words for who has a dump, and no flag for more.
func ofDump(reason string) string {
	return strings.NewReplacer("are at jwksUri "+envoy.NotShown, "are not shown in the configuration", ": give them with --jwks FILE", "").Replace(reason)
}

func orUnnamed(workload string) string {
	if workload == "" {
		return "the workload"
	}
	return workload
}

// request is what the flags describe.
func (o *envoyEvalOptions) request() (*policy.Request, error) {
	q := &o.question
	r := &policy.Request{To: policy.Destination{Port: uint32(o.port), IP: q.destinationIP}, Custom: o.custom}
	r.From.IP, r.From.SNI = q.sourceIP, q.sni
	if !q.tcp {
		var err error
		if r.HTTP, err = q.request(policy.Callee{}); err != nil {
			return nil, err
		}
	}
	if q.principal == "" {
		return r, nil
	}
	caller, err := policy.ParsePrincipal(q.principal)
	if err != nil {
		return nil, err
	}
	r.From.Identity, r.From.ALPN = &caller.Principal, o.alpn
	if o.alpn == nil {
		switch {
		case r.HTTP == nil:
			r.From.ALPN = []string{"istio-peer-exchange", "istio"}
		case r.HTTP.Version == "2":
			r.From.ALPN = []string{"istio-h2", "istio", "h2"}
		default:
			r.From.ALPN = []string{"istio-http/1.1", "istio", "http/1.1"}
		}
	}
	return r, nil
}

// readDump reads one configuration, and warns of what was left out.
func readDump(streams genericiooptions.IOStreams, name, workload string) (*envoy.Dump, error) {
	all, err := readDumps(streams, name)
	if err != nil {
		return nil, err
	}
	var names []string
	var picked []*envoy.Dump
	for _, d := range all {
		names = append(names, d.Workload)
		if workload == "" || d.Workload == workload || d.Workload == "" && len(all) == 1 {
			picked = append(picked, d)
		}
	}
	switch {
	case len(picked) == 0:
		return nil, fmt.Errorf("%s: no workload %s; there are %s", name, workload, strings.Join(names, ", "))
	case len(picked) > 1:
		return nil, &meshreport.InputError{
			Location: meshreport.Location{File: name}, Err: fmt.Errorf("the configurations of %d workloads: %s", len(picked), strings.Join(names, ", ")), Hint: "give --workload NAMESPACE/NAME",
		}
	}
	for _, note := range picked[0].Notes {
		if err := printer.Lines(streams.ErrOut, "warning: "+note); err != nil {
			return nil, err
		}
	}
	return picked[0], nil
}

func readDumps(streams genericiooptions.IOStreams, name string) ([]*envoy.Dump, error) {
	if name == "-" {
		return envoy.ReadConfig(name, streams.In)
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return envoy.ReadConfigDir(name, os.DirFS(name))
	}
	file, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	return envoy.ReadConfig(name, file)
}

func printEvaluated(w io.Writer, e evaluated) error {
	lines := []string{clean(e.Request), "  from  " + clean(e.From), "  to    " + clean(e.To), ""}
	for _, part := range []struct{ name, text string }{{"listener", e.Listener}, {"chain", e.Chain}, {"leads to", e.Cluster}, {"verdict", verdictText(&e.Verdict)}} {
		if part.text != "" {
			lines = append(lines, stageLine(part.name, clean(part.text)))
		}
	}
	return printer.Lines(w, lines...)
}
