package main

import (
	"bytes"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
)

// authorityFlags say how authorities are made.
type authorityFlags struct {
	keyType       string
	rootTTL       time.Duration
	ttl           time.Duration
	istio         bool
	unconstrained bool
	omitID        bool
}

func (f *authorityFlags) registerRoot(flags *pflag.FlagSet) {
	flags.DurationVar(&f.rootTTL, "root-ttl", certs.DefaultRootTTL, "how long the root lasts")
	flags.BoolVar(&f.omitID, "omit-root-id", false, "leave the trust domain's own SPIFFE ID out of the root")
}

func (f *authorityFlags) registerIntermediate(flags *pflag.FlagSet) {
	flags.StringVar(&f.keyType, "key-type", "", "kind of keys: P-256, P-384 or RSA-4096 (default P-256)")
	flags.DurationVar(&f.ttl, "intermediate-ttl", certs.DefaultIntermediateTTL, "how long the intermediate lasts, at most")
	flags.BoolVar(&f.istio, "istio", false, "let the intermediate carry istiod's DNS name")
	flags.BoolVar(&f.unconstrained, "no-name-constraints", false, "leave out the constraint of the intermediate to the trust domain")
}

func (f *authorityFlags) root() certs.RootOptions {
	return certs.RootOptions{TTL: f.rootTTL, OmitID: f.omitID}
}

func (f *authorityFlags) intermediate() certs.IntermediateOptions {
	return certs.IntermediateOptions{TTL: f.ttl, Istio: f.istio, Unconstrained: f.unconstrained}
}

func newCAInitCmd(f *caFlags) *cobra.Command {
	var own authorityFlags
	var domain string
	var plain, allowGit bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a root and an intermediate that signs",
		Long: `Make a certificate authority: a root whose key is encrypted with a passphrase, and
an intermediate that signs, whose key is in the clear for this user only. The
directory appears complete or not at all; nothing is overwritten. It does not belong
into a git checkout. If the command is killed, a directory .NAME.new-NUMBER with keys
may be left beside; it can be removed.`,
		Example: `  meshctl ca init --trust-domain cluster.local
  meshctl ca init --dir /tmp/throwaway --no-encrypt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.plainOrNot(cmd, plain), positive(cmd, "root-ttl", "intermediate-ttl")); err != nil {
				return err
			}
			o := ca.InitOptions{TrustDomain: domain, Key: certs.KeyAlgorithm(own.keyType), Root: own.root(), Intermediate: own.intermediate()}
			dir, err := f.directory()
			if err != nil {
				return err
			}
			if err := checkGit(dir, allowGit); err != nil {
				return err
			}
			if !plain {
				if o.Passphrase, err = f.newPassphrase(); err != nil {
					return err
				}
			}
			a, err := ca.Init(dir, o, f.env(cmd))
			if err != nil {
				return err
			}
			return errors.Join(printer.Lines(f.streams.ErrOut, "made "+dir), f.printStatus(a), a.Close())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&domain, "trust-domain", "cluster.local", "trust domain of all identities")
	flags.BoolVar(&plain, "no-encrypt", false, "leave the root's key in the clear: for throwaway authorities")
	flags.BoolVar(&allowGit, "allow-git", false, allowGitUsage)
	own.registerIntermediate(flags)
	own.registerRoot(flags)
	return cmd
}

// newPassphrase asks for one, twice at a terminal.
func (f *caFlags) newPassphrase() ([]byte, error) {
	first, err := f.passphrase("New passphrase of the root: ")
	if err != nil {
		return nil, err
	}
	if f.passphraseFile == "" && f.passphraseFD < 0 {
		again, err := f.ask("Once more: ")
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(first, again) {
			return nil, errors.New("the passphrases differ: nothing was made")
		}
	}
	return first, ca.CheckPassphrase(first)
}
