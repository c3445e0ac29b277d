package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
)

func newCABundleCmd(f *caFlags) *cobra.Command {
	var form, namespace, file string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Print the roots that peers have to trust",
		Long: `Print the trust bundle: as PEM, as a SPIFFE bundle (a JWK set), as caCertificates of
a mesh config, or as the ConfigMap istio-ca-root-cert of a namespace.`,
		Example: `  meshctl ca bundle > root-cert.pem
  meshctl ca bundle --form configmap -n shop | kubectl apply -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(ca.BundleForms(), ca.BundleForm(form)) {
				return usagef(cmd, "form %q: expected pem, spiffe, meshconfig or configmap", form)
			}
			a, err := f.read(cmd)
			if err != nil {
				return err
			}
			text, err := a.Bundle(ca.BundleForm(form), namespace)
			if err != nil {
				return err
			}
			return errors.Join(f.warnings(a), f.writeText(file, text))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&form, "form", "pem", "pem, spiffe, meshconfig or configmap")
	flags.StringVarP(&namespace, "namespace", "n", "default", "namespace of the ConfigMap")
	flags.StringVarP(&file, "output", "o", "", "file to write; it must not exist (default standard output)")
	return cmd
}

func newCACACertsCmd(f *caFlags) *cobra.Command {
	var keys keyFlags
	var layout, namespace, output, crl string
	cmd := &cobra.Command{
		Use:   "cacerts",
		Short: "Write the authority as istiod reads it",
		Long: `Write the intermediate with its key as istiod reads it: as the Secret cacerts, or as
the files of a directory. The layout is that of ca-cert.pem and its like, or that
of tls.crt, from which istiod reads no CRL.`,
		Example: `  meshctl ca cacerts | kubectl apply -f -
  meshctl ca cacerts -o files=cacerts --crl ca-crl.pem`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form, dir, _ := strings.Cut(output, "=")
			switch {
			case form == "secret" && dir == "", form == "files" && dir != "":
			default:
				return usagef(cmd, "output %q: expected secret or files=DIRECTORY", output)
			}
			a, err := f.read(cmd)
			if err != nil {
				return err
			}
			bundle, err := a.Plugged()
			if err != nil {
				return err
			}
			plugged := namedBundle{name: a.Dir(), bundle: bundle, tls: layout == string(ca.TLSLayout)}
			if crl != "" {
				if plugged.crl, err = os.ReadFile(crl); err != nil { //nolint:gosec // the user names the file
					return err
				}
			}
			if v := plugged.verdict(plugged.check(a.TrustDomain(), a.Now())); !v.Valid {
				return f.refused(v)
			}
			files, err := ca.PluggedFiles(ca.PluggedForm(layout), bundle, plugged.crl)
			if err != nil {
				return err
			}
			if dir != "" {
				if err := keys.mayWrite(dir); err != nil {
					return err
				}
				return writeNew(dir, files)
			}
			if err := keys.mayPrint(f.streams.Out); err != nil {
				return err
			}
			text, err := ca.PluggedSecret(ca.PluggedForm(layout), files, namespace)
			if err != nil {
				return err
			}
			_, err = f.streams.Out.Write(text)
			return err
		},
	}
	flags := cmd.Flags()
	keys.register(cmd)
	flags.StringVar(&layout, "layout", string(ca.PEMLayout), "pem or tls")
	flags.StringVarP(&namespace, "namespace", "n", "istio-system", "namespace of the Secret")
	flags.StringVarP(&output, "output", "o", "secret", "secret, or files=DIRECTORY")
	flags.StringVar(&crl, "crl", "", "CRLs that go with it, as meshctl ca crl writes them")
	return cmd
}

// refused shows what is wrong with an authority, on standard error: what was asked
// for is not there.
func (f *caFlags) refused(v verifiedBundle) error {
	if err := verdictTable(f.streams.ErrOut, bundleVerdict{Items: []verifiedBundle{v}}); err != nil {
		return err
	}
	return negative{v.Name + ": nothing was made"}
}

// writeNew writes files into a directory, for the user only. None may be there.
func writeNew(dir string, files map[string][]byte) error {
	const private, folder = 0o600, 0o700
	if err := os.MkdirAll(dir, folder); err != nil {
		return err
	}
	var all []atomicfile.File
	for name, data := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: exists already: choose another directory", path)
		}
		all = append(all, atomicfile.File{Name: path, Data: data, Mode: private})
	}
	return atomicfile.Write(all...)
}

func newCABackupCmd(f *caFlags) *cobra.Command {
	var plain, allowGit bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the authority, encrypted",
		Long: `Write all that counts in the directory into one file, encrypted with a passphrase
of its own. age and tar bring it back: age -d FILE | tar x`,
		Example: `  meshctl ca backup ca-2030-01-02.tar.age`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "expected one file to write, and got %d", len(args))
			}
			if err := errors.Join(f.plainOrNot(cmd, plain), checkFresh(args[0])); err != nil {
				return err
			}
			if plain {
				if err := checkGit(args[0], allowGit); err != nil {
					return err
				}
			}
			var passphrase []byte
			if !plain {
				var err error
				if passphrase, err = f.newPassphrase(); err != nil {
					return err
				}
			}
			return f.edit(cmd, func(_ context.Context, a *ca.Authority) error {
				text, err := a.Backup(passphrase)
				if err != nil {
					return err
				}
				if err := f.writeText(args[0], text); err != nil {
					return err
				}
				return printer.Lines(f.streams.ErrOut, "wrote "+args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&allowGit, "allow-git", false, "write a backup in the clear even into a git checkout")
	cmd.Flags().BoolVar(&plain, "no-encrypt", false, "leave the backup in the clear: with the intermediate's key, which can sign")
	return cmd
}

func newCAPassphraseCmd(f *caFlags) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "passphrase",
		Short:   "Change the passphrase of the root",
		Example: `  meshctl ca passphrase`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.unlock(cmd, func(_ context.Context, a *ca.Authority, old []byte) error {
				fresh := caFlags{streams: f.streams, insecure: f.insecure, passphraseFile: file, passphraseFD: -1}
				passphrase, err := fresh.newPassphrase()
				if err != nil {
					return err
				}
				if bytes.Equal(old, passphrase) {
					return errors.New("the new passphrase is the old one")
				}
				if err := a.ChangePassphrase(old, passphrase); err != nil {
					return err
				}
				return printer.Lines(f.streams.ErrOut, "the passphrase is changed; backups keep theirs")
			})
		},
	}
	cmd.Flags().StringVar(&file, "new-passphrase-file", "", "read the new passphrase from a file, which only you can read")
	return cmd
}
