package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
	"github.com/meshctl/meshctl/pkg/mesh"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type certVerifyOptions struct {
	certFlags
	roots        []string
	peers        []string
	service      string
	trustDomains []string
	at           string
	failOn       string
	snapshot     snapshotFlags
	output       formatFlag[verification]

	expected []certs.ID
	time     time.Time
}

// verification is what there is to say about chains, as it is printed.
type verification struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	AsOf       time.Time         `json:"asOf"`
	Expected   []string          `json:"expected,omitempty"`
	Items      []inspect.Verdict `json:"items"`
}

func newCertVerifyCmd(streams genericiooptions.IOStreams, runF func(context.Context, *certVerifyOptions) error) *cobra.Command {
	o := &certVerifyOptions{certFlags: certFlags{streams: streams}}
	o.output.formats = []format[verification]{
		{"table", printVerification},
		{"json", func(w io.Writer, v verification) error { return printer.JSON(w, v) }},
		{"yaml", func(w io.Writer, v verification) error { return printer.YAML(w, v) }},
	}
	cmd := &cobra.Command{
		Use:   "verify CHAIN|DIRECTORY|-...",
		Short: "Verify the certificates of workloads, as strictly as their strictest peer",
		Long: `Verify the chains of workloads against roots, for servers and clients both, and hold
them to the profile of SPIFFE and Istio. That is stricter than any one library:
what Go, OpenSSL, Java or Envoy refuses is refused, and so is what all of them
take and nobody should, such as a leaf that outlives its issuer.

With --peer, or with --service and manifests, the identity must be one of those
that may answer there (secure naming). A folder or a Secret that holds roots
needs no --roots. Warnings refuse too, unless --fail-on error lets them pass.

Exit status: 0 all are valid, 1 one is not, 2 nothing could be verified.`,
		Example: `  meshctl cert verify cert-chain.pem --roots root-cert.pem
  meshctl cert verify certs/shop/web --peer spiffe://cluster.local/ns/shop/sa/web
  meshctl cert verify config_dump.json --service shop/web -f manifests/`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	o.registerPassword(cmd)
	o.registerConnect(cmd)
	o.snapshot.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.roots, "roots", nil, "what to trust: a file of any form, or a directory; repeatable (default the roots beside the chain)")
	flags.StringArrayVar(&o.peers, "peer", nil, "identity that is expected, a SPIFFE ID; repeatable: one of them")
	flags.StringVar(&o.service, "service", "", "service that must be run by the identity: NAMESPACE/NAME or NAME.NAMESPACE, in the manifests of -f")
	flags.StringArrayVar(&o.trustDomains, "trust-domain", nil, "trust domain that the identity must be in; repeatable: one of them")
	flags.StringVar(&o.at, "at", "", "verify as of this time, such as 2027-01-01 or 2027-01-01T12:00:00Z (default now)")
	flags.StringVar(&o.failOn, "fail-on", "warning", "least severity that makes a chain not valid: warning or error")
	o.output.register(flags)
	return cmd
}

func (o *certVerifyOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.certFlags.complete(cmd, args); err != nil {
		return err
	}
	for _, text := range o.peers {
		id, err := certs.ParseID(text)
		if err != nil {
			return usagef(cmd, "--peer: %v", err)
		}
		o.expected = append(o.expected, id)
	}
	for _, domain := range o.trustDomains {
		if err := certs.CheckTrustDomain(domain); err != nil {
			return usagef(cmd, "--trust-domain: %v", err)
		}
	}
	switch {
	case o.failOn != certs.SeverityError && o.failOn != certs.SeverityWarning:
		return usagef(cmd, "--fail-on %q: expected warning or error", o.failOn)
	case o.service != "" && !o.snapshot.given():
		return usagef(cmd, "--service needs manifests: give -f FILE or DIRECTORY, -k DIRECTORY, or --from-cluster")
	case o.service == "" && o.snapshot.given():
		return usagef(cmd, "manifests are for --service: name the service whose identities they tell")
	}
	if err := o.snapshot.validate(cmd); err != nil {
		return err
	}
	at, err := instant(o.at)
	if err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	o.time = at
	return o.output.validate(cmd)
}

func (o *certVerifyOptions) run(ctx context.Context) error {
	groups, err := o.load(ctx)
	if err != nil {
		return err
	}
	roots, err := o.trusted()
	if err != nil {
		return err
	}
	if err := o.expectService(ctx); err != nil {
		return err
	}
	v := verification{APIVersion: apiVersion, Kind: "CertificateVerification", AsOf: o.time.UTC()}
	for _, id := range o.expected {
		v.Expected = append(v.Expected, id.String())
	}
	v.Items, err = inspect.Verify(groups, inspect.Verification{
		VerifyOptions: certs.VerifyOptions{At: o.time, Peers: o.expected, TrustDomains: o.trustDomains}, Roots: roots, Refuse: o.failOn,
	})
	if err != nil {
		return err
	}
	if err := o.output.emit(o.streams.Out, v); err != nil {
		return err
	}
	bad := 0
	for _, item := range v.Items {
		if !item.Valid {
			bad++
		}
	}
	if bad > 0 {
		return negative{fmt.Sprintf("%d of %s not valid", bad, counted(len(v.Items), "chain"))}
	}
	return nil
}

// trusted hold the certificates of --roots.
func (o *certVerifyOptions) trusted() ([]inspect.Group, error) {
	if len(o.roots) == 0 {
		return nil, nil
	}
	groups, err := o.loader().Load(o.roots)
	if err != nil {
		return nil, err
	}
	if all := inspect.Merge("", groups...); len(all.All()) == 0 {
		return nil, &meshreport.InputError{Location: meshreport.Location{File: strings.Join(o.roots, ", ")}, Err: fmt.Errorf("no certificate to trust"), Hint: "give the roots as PEM, or a ConfigMap or Secret that holds them"}
	}
	return groups, nil
}

// expectService adds the identities that may run the service.
func (o *certVerifyOptions) expectService(ctx context.Context) error {
	if o.service == "" {
		return nil
	}
	s, err := o.snapshot.load(ctx, o.streams)
	if err != nil {
		return err
	}
	service, err := findService(s, o.service, o.snapshot.defaultNamespace())
	if err != nil {
		return err
	}
	ids := s.Identities(service)
	if len(ids) == 0 {
		return fmt.Errorf("service %s: the manifests have no workload behind it, so nothing tells who may answer", o.service)
	}
	for _, text := range ids {
		id, err := certs.ParseID(text)
		if err != nil {
			return fmt.Errorf("service %s: %w", o.service, err)
		}
		o.expected = append(o.expected, id)
	}
	return nil
}

// findService takes NAMESPACE/NAME beside what others take.
func findService(s *mesh.Snapshot, name, namespace string) (*mesh.Service, error) {
	if of, short, ok := strings.Cut(name, "/"); ok {
		return s.FindService(short+"."+of, of)
	}
	return s.FindService(name, namespace)
}

func printVerification(w io.Writer, v verification) error {
	for _, item := range v.Items {
		verdict := "valid"
		if !item.Valid {
			verdict = "not valid"
		}
		line := clean(item.At) + ": " + verdict
		if item.ID != "" {
			line += ", " + item.ID
		}
		if err := printer.Lines(w, line); err != nil {
			return err
		}
		if len(item.Findings) == 0 {
			continue
		}
		headers, rows := findingRows(item.Findings)
		if err := printer.Table(w, headers, rows); err != nil {
			return err
		}
	}
	return nil
}
