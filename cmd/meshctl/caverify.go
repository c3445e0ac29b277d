package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
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

// instant reads a day or a time; "" is now.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: expected 2027-01-01 or 2027-01-01T12:00:00Z", text)
}

func (f *caFlags) verify(args []string, domain string, at time.Time, format *formatFlag[bundleVerdict]) error {
	v := bundleVerdict{APIVersion: apiVersion, Kind: "AuthorityVerification"}
	bad := 0
	for _, arg := range args {
		found, err := f.bundles(arg)
		if err != nil {
			return err
		}
		for _, b := range found {
			problems := append([]certs.Problem{}, b.bundle.CheckFor(domain, at)...)
			if b.crl != nil {
				problems = append(problems, certs.CheckBundleCRL(b.bundle, b.crl, at)...)
			}
			layout := "pem"
			if b.tls {
				layout = "tls"
				for i := range problems {
					problems[i].File = certs.TLSPart(problems[i].File)
				}
			}
			valid := !certs.HasErrors(problems)
			if !valid {
				bad++
			}
			v.Items = append(v.Items, verifiedBundle{b.name, layout, valid, problems})
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

// namedBundle is an authority, where it was found.
type namedBundle struct {
	name   string
	bundle certs.Bundle
	tls    bool   // the layout of tls.crt
	crl    []byte // which is not read in that layout
}

// bundles are those of a directory, or of the Secrets of a manifest.
func (f *caFlags) bundles(path string) ([]namedBundle, error) {
	if path != "-" {
		if info, err := os.Stat(path); err != nil {
			return nil, err
		} else if info.IsDir() {
			return directoryBundle(path)
		}
	}
	text, err := readInput(f.streams.In, path)
	if err != nil {
		return nil, err
	}
	stream, err := manifest.Read(path, text)
	if err != nil {
		return nil, err
	}
	inventory := mesh.Survey([]*manifest.Stream{stream}, mesh.Options{})
	if err := errors.Join(inventory.Problems...); err != nil {
		return nil, err
	}
	var all []namedBundle
	for _, o := range inventory.Objects {
		var secret corev1.Secret
		if o.Kind != "Secret" || o.APIVersion != "v1" {
			continue
		}
		if err := o.Decode(&secret); err != nil {
			return nil, fmt.Errorf("%s: %w", o, err)
		}
		if b, ok := bundleOf(o.String(), func(name string) []byte {
			if text, ok := secret.StringData[name]; ok {
				return []byte(text)
			}
			return secret.Data[name]
		}); ok {
			all = append(all, b)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("%s: no Secret with ca-cert.pem or tls.crt: expected one as istiod reads cacerts", path)
	}
	return all, nil
}

func directoryBundle(dir string) ([]namedBundle, error) {
	var problems []error
	b, ok := bundleOf(dir, func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the user names the directory
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		return text
	})
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: neither ca-cert.pem nor tls.crt is there: expected the files of an authority as istiod reads them", dir)
	}
	return []namedBundle{b}, nil
}

// bundleOf reads the parts by their names; tls.crt wins, as with istiod, which reads
// no revocation lists then (CA-24).
func bundleOf(name string, part func(string) []byte) (namedBundle, bool) {
	if crt := part("tls.crt"); crt != nil {
		return namedBundle{name, certs.TLSBundle(crt, part("tls.key"), part("ca.crt")), true, nil}, true
	}
	b := certs.Bundle{Cert: part(certs.BundleCert), Key: part(certs.BundleKey), Root: part(certs.BundleRoot), Chain: part(certs.BundleChain)}
	return namedBundle{name, b, false, part(certs.BundleCRL)}, b.Cert != nil || b.Key != nil && b.Root != nil
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

// asText is a list of problems in one line each.
func asText(problems []certs.Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.File+": "+p.Message+": "+p.Fix)
	}
	return strings.Join(lines, "\n")
}
