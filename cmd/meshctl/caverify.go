package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs"
)

// bundleVerdict is what there is to say about plugged-in authorities.
type bundleVerdict struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Items      []verifiedBundle `json:"items"`
}

type verifiedBundle struct {
	Name     string          `json:"name"` // of the directory, or "Secret namespace/name"
	Layout   string          `json:"layout"`
	Valid    bool            `json:"valid"`
	Problems []certs.Problem `json:"problems"`
}

func newCAVerifyCmd(f *caFlags) *cobra.Command {
	format := formatFlag[bundleVerdict]{formats: []format[bundleVerdict]{
		{"table", verdictTable},
		{"json", func(w io.Writer, v bundleVerdict) error { return printer.JSON(w, v) }},
		{"yaml", func(w io.Writer, v bundleVerdict) error { return printer.YAML(w, v) }},
	}}
	var domain, at string
	cmd := &cobra.Command{
		Use:   "verify DIRECTORY|FILE|-...",
		Short: "Check an authority before istiod gets it",
		Long: `Check authorities that are to be plugged into istiod: directories with ca-cert.pem,
ca-key.pem, root-cert.pem and cert-chain.pem, or with tls.crt, tls.key and ca.crt,
and Secrets with such keys in manifests. Everything that istiod refuses is told,
and what it takes and then signs leaves with that no peer can verify: a leaf is
signed for trial and verified through what would be published.

Exit status: 0 all are good, 1 one is not, 2 nothing could be checked.`,
		Example: `  meshctl ca verify cacerts/
  kubectl get secret cacerts -n istio-system -o yaml | meshctl ca verify -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd, "expected a directory, a manifest or -")
			}
			if err := format.validate(cmd); err != nil {
				return err
			}
			if err := checkDomainFlag(cmd, domain); err != nil {
				return err
			}
			now, err := instant(at)
			if err != nil {
				return usageError{err, cmd.CommandPath()}
			}
			return f.verify(args, domain, now, &format)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&domain, "trust-domain", "", "trust domain that leaves are to be of (default the one that the authority names, else cluster.local)")
	flags.StringVar(&at, "at", "", "check as of this time, such as 2027-01-01 or 2027-01-01T12:00:00Z (default now)")
	format.register(flags)
	return cmd
}

// checkDomainFlag is for --trust-domain, which may be left out.
func checkDomainFlag(cmd *cobra.Command, domain string) error {
	if domain == "" {
		return nil
	}
	if err := certs.CheckTrustDomain(domain); err != nil {
		return usagef(cmd, "--trust-domain: %v", err)
	}
	return nil
}

func (f *caFlags) verify(args []string, domain string, at time.Time, format *formatFlag[bundleVerdict]) error {
	v := bundleVerdict{APIVersion: apiVersion, Kind: "AuthorityVerification"}
	bad := 0
	for _, arg := range args {
		found, err := bundleReader{f.streams.In, os.ReadFile}.read(arg)
		if err != nil {
			return err
		}
		for _, b := range found {
			one := b.verdict(b.check(domain, at))
			if !one.Valid {
				bad++
			}
			v.Items = append(v.Items, one)
		}
	}
	if err := format.emit(f.streams.Out, v); err != nil {
		return err
	}
	if bad > 0 {
		return negative{fmt.Sprintf("%d of %d cannot be used", bad, len(v.Items))}
	}
	return nil
}

func verdictTable(w io.Writer, v bundleVerdict) error {
	for _, item := range v.Items {
		verdict := "good"
		if !item.Valid {
			verdict = "cannot be used"
		}
		if err := printer.Lines(w, item.Name+": "+verdict); err != nil {
			return err
		}
		var rows [][]string
		for _, p := range item.Problems {
			rows = append(rows, []string{"  " + p.Severity, p.Code, p.File, p.Message, p.Fix})
		}
		if rows == nil {
			continue
		}
		if err := printer.Table(w, []string{"  SEVERITY", "CODE", "PART", "WHAT", "WAY OUT"}, rows); err != nil {
			return err
		}
	}
	return nil
}
