package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

func newCARotateCmd(f *caFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Change the root or the intermediate, step by step",
		Example: `  meshctl ca rotate root
  meshctl ca rotate intermediate`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	intermediate := newCAIntermediateCmd(f)
	intermediate.Example = "  meshctl ca rotate intermediate"
	cmd.AddCommand(newCARotateRootCmd(f), intermediate)
	return cmd
}

func newCARotateRootCmd(f *caFlags) *cobra.Command {
	var own authorityFlags
	var cross, sameKey bool
	cmd := &cobra.Command{
		Use:   "root",
		Short: "Go one step further to a new root",
		Long: `Go one step further to a new root. Each step is a state to publish before the next:

  1  the old root is trusted, and signs
  2  both are trusted, and the old one signs
  3  both are trusted, and the new one signs
  4  the new root is trusted, and signs

The last step is refused while certificates of the old root can still be used.
--same-key gives the root new dates instead, in one step: everything else stays,
but so does a key that somebody else may have.`,
		Example: `  meshctl ca rotate root
  meshctl ca rotate root --same-key`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sameKey && cross {
				return usagef(cmd, "--same-key and --cross-sign exclude each other")
			}
			if err := positive(cmd, "root-ttl", "intermediate-ttl"); err != nil {
				return err
			}
			step := func(a *ca.Authority, passphrase []byte) error {
				var s *ca.Step
				var err error
				if sameKey {
					s, err = a.RenewRoot(passphrase, own.rootTTL)
				} else {
					s, err = a.RotateRoot(ca.RotateOptions{
						Passphrase: passphrase, Key: certs.KeyAlgorithm(own.keyType), Root: own.root(), Intermediate: own.intermediate(), CrossSign: cross,
					})
				}
				return errors.Join(err, f.printStep(s))
			}
			seen, err := f.read(cmd)
			if err != nil {
				return err
			}
			if seen.Stage() != ca.OneRoot { // the steps after the first sign nothing
				return f.edit(cmd, func(_ context.Context, a *ca.Authority) error { return step(a, nil) })
			}
			return f.unlock(cmd, func(_ context.Context, a *ca.Authority, passphrase []byte) error { return step(a, passphrase) })
		},
	}
	flags := cmd.Flags()
	own.registerIntermediate(flags)
	own.registerRoot(flags)
	flags.BoolVar(&cross, "cross-sign", false, "let the old root certify the new one, for peers that have only the old")
	flags.BoolVar(&sameKey, "same-key", false, "give the root new dates, and keep its key")
	return cmd
}

// printStep tells what a step changed and what comes next.
func (f *caFlags) printStep(s *ca.Step) error {
	if s == nil {
		return nil
	}
	lines := append([]string{fmt.Sprintf("stage %d: %s", s.Stage, s.Stage.Describe())}, s.Changes...)
	lines = append(lines, "next:")
	for _, next := range s.Next {
		lines = append(lines, "  "+next)
	}
	if !s.Until.IsZero() {
		lines = append(lines, "  not before "+s.Until.UTC().Format(time.RFC3339))
	}
	return printer.Lines(f.streams.Out, lines...)
}

func newCARevokeCmd(f *caFlags) *cobra.Command {
	var serial, id, reason string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Say that certificates are not good any more",
		Long: `Record that a certificate (--serial), or all of an identity (--id), are not good any
more. Peers learn of it from the next CRL that is published: meshctl ca crl.`,
		Example: `  meshctl ca revoke --id spiffe://cluster.local/ns/shop/sa/web --reason keyCompromise`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (serial == "") == (id == "") {
				return usagef(cmd, "what? give --serial or --id")
			}
			return f.edit(cmd, func(_ context.Context, a *ca.Authority) error {
				revoked, err := a.Revoke(ca.Target{Serial: serial, ID: id}, reason)
				if err != nil {
					return err
				}
				return recordTable(f.streams.Out, revoked)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&serial, "serial", "", "serial number, in hex, with or without colons")
	flags.StringVar(&id, "id", "", "SPIFFE ID")
	flags.StringVar(&reason, "reason", "unspecified", strings.Join(ca.Reasons(), ", "))
	return cmd
}

func newCACRLCmd(f *caFlags) *cobra.Command {
	var file string
	var with []string
	var ttl time.Duration
	var breaks bool
	cmd := &cobra.Command{
		Use:   "crl",
		Short: "Write the revocation lists of all authorities",
		Long: `Write the revocation lists of the root and of every intermediate: istiod and Envoy
need them all, and refuse everybody without one. They count until --ttl; then newer
ones must be there. None counts longer than its authority lasts. Where the key of an
authority is elsewhere, as that of a root above an imported intermediate, its list
comes from there: --with FILE. What that revokes of this authority's own
certificates goes into the log, and nothing is issued below them any more.

--what-breaks lists the certificates that peers with these lists refuse, and
writes nothing.`,
		Example: `  meshctl ca crl --what-breaks
  meshctl ca crl -o ca-crl.pem
  meshctl ca crl --with corporate-root.crl -o ca-crl.pem`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := positive(cmd, "ttl"); err != nil {
				return err
			}
			given, err := readLists(with)
			if err != nil {
				return err
			}
			if breaks {
				a, err := f.read(cmd)
				if err != nil {
					return err
				}
				broken, err := a.Breaks(given...)
				if err != nil {
					return err
				}
				return recordTable(f.streams.Out, broken)
			}
			if err := checkFresh(file); err != nil {
				return err
			}
			return f.unlock(cmd, func(_ context.Context, a *ca.Authority, passphrase []byte) error {
				lists, err := a.CRLs(ca.CRLOptions{Passphrase: passphrase, TTL: ttl, Given: given})
				if err != nil {
					return err
				}
				return errors.Join(f.writeText(file, certs.EncodeCRLs(lists...)), f.warnings(a))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "output", "o", "", "file to write; it must not exist (default standard output)")
	flags.DurationVar(&ttl, "ttl", ca.DefaultCRLTTL, "how long the lists count")
	flags.StringArrayVar(&with, "with", nil, "list of an authority whose key is elsewhere, as PEM or DER; repeatable")
	flags.BoolVar(&breaks, "what-breaks", false, "list the certificates that these lists break, and write none")
	return cmd
}

// readLists reads revocation lists that others made.
func readLists(files []string) ([]*x509.RevocationList, error) {
	var all []*x509.RevocationList
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		lists, err := certs.ParseCRLs(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, lists...)
	}
	return all, nil
}

func recordTable(w io.Writer, records []ca.Record) error {
	if len(records) == 0 {
		return nil
	}
	var rows [][]string
	for _, r := range records {
		who := r.ID
		if who == "" {
			who = r.Subject
		}
		rows = append(rows, []string{who, r.Serial, r.NotAfter.UTC().Format(time.RFC3339), r.Reason})
	}
	return printer.Table(w, []string{"IDENTITY", "SERIAL", "UNTIL", "REASON"}, rows)
}
