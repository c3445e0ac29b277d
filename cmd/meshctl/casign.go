package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// deliveryTable lists what became of requests.
func deliveryTable(w io.Writer, done []ca.Delivery) error {
	var rows [][]string
	for _, d := range done {
		until := ""
		if !d.NotAfter.IsZero() {
			until = d.NotAfter.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{d.ID, string(d.Result), d.Serial, until, d.Place})
	}
	if err := printer.Table(w, []string{"IDENTITY", "RESULT", "SERIAL", "UNTIL", "PLACE"}, rows); err != nil {
		return err
	}
	for _, d := range done {
		if d.Why == "" {
			continue
		}
		if err := printer.Lines(w, "note: "+d.Place+": "+d.Why); err != nil {
			return err
		}
	}
	return nil
}

func newCASignCmd(f *caFlags) *cobra.Command {
	var leaf leafFlags
	var namespace, account, id, output string
	cmd := &cobra.Command{
		Use:   "sign CSR",
		Short: "Sign the key of a certificate request",
		Long: `Sign the key of a certificate request, a file or - for standard input, after
checking that whoever made it has the key. Nothing else is taken from it: the
identity is that of --ns and --sa or of --id, and what the request asks for beyond
that is told and left out. The chain goes to standard output, or to -o FILE.`,
		Example: `  meshctl ca sign csr.pem --ns shop --sa web -o cert-chain.pem`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "expected one certificate request, and got %d", len(args))
			}
			if (id == "") == (account == "") {
				return usagef(cmd, "for whom? give --ns and --sa, or --id")
			}
			if err := errors.Join(positive(cmd, "ttl"), checkFresh(output)); err != nil {
				return err
			}
			options, err := leaf.options()
			if err != nil {
				return err
			}
			text, err := readInput(f.streams.In, args[0])
			if err != nil {
				return err
			}
			csr, err := ca.ParseCSR(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return f.edit(cmd, func(ctx context.Context, a *ca.Authority) error {
				who, err := identityOf(a.TrustDomain(), id, namespace, account)
				if err != nil {
					return err
				}
				issued, left, err := a.Sign(ctx, csr, who, options)
				if err != nil {
					return err
				}
				for _, what := range left {
					if err := printer.Lines(f.streams.ErrOut, "left out: "+what); err != nil {
						return err
					}
				}
				return f.writeText(output, certs.EncodeCertificates(issued.Chain...))
			})
		},
	}
	flags := cmd.Flags()
	leaf.register(cmd)
	flags.StringVar(&namespace, "ns", "default", "namespace of --sa")
	flags.StringVar(&account, "sa", "", "service account")
	flags.StringVar(&id, "id", "", "SPIFFE ID")
	flags.StringVarP(&output, "output", "o", "", "file to write; it must not exist (default standard output)")
	return cmd
}

func identityOf(domain, id, namespace, account string) (certs.ID, error) {
	if id != "" {
		return certs.ParseID(id)
	}
	return certs.WorkloadID(domain, namespace, account)
}

// readInput reads a file, or standard input for "-".
func readInput(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name) //nolint:gosec // the user names the file
}

// writeText prints, or writes a file that must not exist.
func (f *caFlags) writeText(file string, text []byte) error {
	if file == "" {
		_, err := f.streams.Out.Write(text)
		return err
	}
	const private = 0o600
	return (&atomicfile.Disk{}).Create(atomicfile.File{Name: file, Data: text, Mode: private})
}
