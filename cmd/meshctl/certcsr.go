package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/certs"
)

type certCSROptions struct {
	streams     genericiooptions.IOStreams
	trustDomain string
	namespace   string
	account     string
	id          string
	keyType     string
	key         keyFile
	reuse       bool
	output      string

	who certs.ID
}

func newCertCSRCmd(streams genericiooptions.IOStreams, runF func(context.Context, *certCSROptions) error) *cobra.Command {
	o := &certCSROptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "csr",
		Short: "Make a key and a certificate request for it",
		Long: `Make a private key, in a file that only you can read, and a certificate request for
an identity. The request goes to standard output, or to -o FILE. Nothing is
overwritten without --force.`,
		Example: `  meshctl cert csr --ns shop --sa web --key key.pem -o csr.pem
  meshctl ca sign csr.pem --ns shop --sa web -o cert-chain.pem`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd); err != nil {
				return err
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.namespace, "ns", "default", "namespace of --sa")
	flags.StringVar(&o.account, "sa", "", "service account")
	flags.StringVar(&o.id, "id", "", "SPIFFE ID, in place of a service account")
	flags.StringVar(&o.trustDomain, "trust-domain", certs.DefaultTrustDomain, "trust domain of --sa")
	flags.StringVar(&o.key.path, "key", "", "file of the private key, which is made")
	flags.BoolVar(&o.reuse, "reuse-key", false, "take the private key that is there")
	flags.StringVar(&o.keyType, "key-type", string(certs.P256), "kind of key: P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519")
	flags.StringVarP(&o.output, "output", "o", "", "file of the request (default standard output)")
	flags.BoolVar(&o.key.force, "force", false, "overwrite the files of --key and -o")
	o.key.register(cmd)
	return cmd
}

func (o *certCSROptions) complete(cmd *cobra.Command) error {
	switch {
	case (o.id == "") == (o.account == ""):
		return usagef(cmd, "for whom? give --ns and --sa, or --id")
	case o.key.path == "":
		return usagef(cmd, "no place for the private key: give --key FILE")
	case o.output == o.key.path:
		return usagef(cmd, "--key and -o name the same file")
	case !slices.Contains(certs.KeyAlgorithms(), certs.KeyAlgorithm(o.keyType)):
		return usagef(cmd, "key type %q: expected one of %v", o.keyType, certs.KeyAlgorithms())
	case o.reuse && o.key.force:
		return usagef(cmd, "--reuse-key and --force exclude each other")
	}
	var err error
	if o.who, err = identityOf(o.trustDomain, o.id, o.namespace, o.account); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	if o.who.Path() == "" {
		return usagef(cmd, "identity %q: a workload's has a path", o.who)
	}
	return nil
}

func (o *certCSROptions) run() error {
	if o.output != "" && !o.key.force && !o.reuse {
		if there, err := (&keyFile{path: o.output}).exists(); err != nil || there {
			return fmt.Errorf("%s: exists already: use --force to overwrite", o.output)
		}
	}
	key, made, err := o.signer()
	if err != nil {
		return err
	}
	request, err := certs.NewRequest(rand.Reader, key, o.who)
	if err != nil {
		return fmt.Errorf("%s: %w", o.key.path, err)
	}
	const public = 0o644
	files := made
	if o.output != "" {
		files = append(files, atomicfile.File{Name: o.output, Data: certs.EncodeRequest(request), Mode: public})
	}
	if err := writeAllFresh(files, o.key.force); err != nil {
		return err
	}
	if made != nil {
		if err := printer.Lines(o.streams.ErrOut, "made "+o.key.path); err != nil {
			return err
		}
	}
	if o.output == "" {
		_, err = o.streams.Out.Write(certs.EncodeRequest(request))
	}
	return err
}

// signer is the key of the request: one that is there, or a new one, and the file
// that is to hold it.
func (o *certCSROptions) signer() (crypto.Signer, []atomicfile.File, error) {
	if o.reuse {
		key, err := o.key.read()
		return key, nil, err
	}
	if there, err := o.key.exists(); err != nil || there && !o.key.force {
		return nil, nil, fmt.Errorf("%s: exists already: use --reuse-key to take that key, or --force to overwrite", o.key.path)
	}
	key, file, err := o.key.generate(certs.KeyAlgorithm(o.keyType))
	return key, []atomicfile.File{file}, err
}
