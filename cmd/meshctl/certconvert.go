package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type certConvertOptions struct {
	certFlags
	to          string
	conversion  inspect.Conversion
	newPassword string
	output      string
	force       bool
	insecure    bool
	keys        keyFlags
}

func newCertConvertCmd(streams genericiooptions.IOStreams, runF func(context.Context, *certConvertOptions) error) *cobra.Command {
	o := &certConvertOptions{certFlags: certFlags{streams: streams}}
	cmd := &cobra.Command{
		Use:   "convert FILE|DIRECTORY|-... --to FORM",
		Short: "Write certificates, requests and keys in another form",
		Long: `Write what "cert inspect" reads in another form:

  pem         key, chain from the leaf up, roots, requests
  der         one certificate, request or key
  pkcs12      a key store with --keys, a trust store that Java reads without
  jwks        the roots as a SPIFFE bundle; a public key for tokens
  secret      a Secret of the type kubernetes.io/tls or istio.io/key-and-cert
  configmap   the roots, as Istio publishes its own

Private keys are left out unless --keys asks for them. They go to files that only
you can read, not into a git checkout, and not to a terminal. In PEM they are
encrypted with --new-password-file, as openssl reads it.`,
		Example: `  meshctl cert convert certs/shop/web --to pkcs12 --keys --new-password-file pass -o web.p12
  meshctl cert convert root-cert.pem --to jwks -o bundle.json
  meshctl cert convert cert-chain.pem key.pem root-cert.pem --to secret --keys | kubectl apply -f -`,
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
	o.keys.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.to, "to", "", "form: pem, der, pkcs12, jwks, secret or configmap")
	flags.BoolVar(&o.conversion.Keys, "keys", false, "write the private key too")
	flags.StringVar(&o.conversion.Name, "name", "", "name of the Secret or ConfigMap (default istio.ACCOUNT, ACCOUNT-tls or istio-ca-root-cert)")
	flags.StringVarP(&o.conversion.Namespace, "namespace", "n", "", "namespace of the Secret or ConfigMap (default the identity's)")
	flags.StringVar(&o.conversion.Type, "type", inspect.TypeTLS, "type of the Secret: kubernetes.io/tls or istio.io/key-and-cert")
	flags.StringVar(&o.newPassword, "new-password-file", "", "read the password of the PKCS #12 or of the key to write from a file, which only you can read")
	flags.StringVarP(&o.output, "output", "o", "", "file to write (default standard output)")
	flags.BoolVar(&o.force, "force", false, "overwrite the file of -o")
	flags.BoolVar(&o.insecure, "insecure-files", false, "take keys and passwords that other users can read")
	return cmd
}

func (o *certConvertOptions) complete(cmd *cobra.Command, args []string) error {
	if err := o.certFlags.complete(cmd, args); err != nil {
		return err
	}
	o.conversion.To = inspect.Target(o.to)
	switch {
	case o.to == "":
		return usagef(cmd, "to what? give --to pem, der, pkcs12, jwks, secret or configmap")
	case !slices.Contains(inspect.Targets(), o.conversion.To):
		return usagef(cmd, "--to %q: expected pem, der, pkcs12, jwks, secret or configmap", o.to)
	case o.conversion.Type != inspect.TypeTLS && o.conversion.Type != inspect.TypeIstio:
		return usagef(cmd, "--type %q: expected %s or %s", o.conversion.Type, inspect.TypeTLS, inspect.TypeIstio)
	case o.newPassword != "" && o.conversion.To != inspect.ToPKCS12 && (o.conversion.To != inspect.ToPEM || !o.conversion.Keys):
		return usagef(cmd, "--new-password-file is for --to pkcs12, and for --to pem with --keys")
	case o.newPassword == "" && o.conversion.To == inspect.ToPKCS12:
		return usagef(cmd, "--to pkcs12 needs a password: give --new-password-file")
	}
	return nil
}

func (o *certConvertOptions) run(ctx context.Context) error {
	groups, err := o.load(ctx)
	if err != nil {
		return err
	}
	if len(groups) != 1 {
		var names []string
		for _, g := range groups {
			names = append(names, g.Name)
		}
		return fmt.Errorf("%d things that do not belong together: %s: convert one at a time", len(groups), strings.Join(names, "; "))
	}
	g := &groups[0]
	if err := o.refuse(g); err != nil {
		return err
	}
	if o.newPassword != "" {
		text, err := ca.ReadSecret(o.newPassword, o.insecure)
		if err != nil {
			return err
		}
		o.conversion.Password = string(firstLine(text))
	}
	secret := o.conversion.HoldsKey(g)
	if o.output == "" && secret {
		if err := o.keys.mayPrint(o.streams.Out); err != nil {
			return err
		}
	}
	text, err := inspect.Convert(g, o.conversion)
	if err != nil {
		return err
	}
	if o.output == "" {
		_, err := o.streams.Out.Write(text)
		return err
	}
	const public = 0o644
	if !secret {
		return writeFresh(o.output, text, public, o.force)
	}
	if err := o.keys.mayWrite(o.output); err != nil {
		return err
	}
	return writeFresh(o.output, text, private, o.force)
}

// refuse does not pass on what is wrong to begin with: things that could not be
// read, and keys that others can read (CA-55).
func (o *certConvertOptions) refuse(g *inspect.Group) error {
	for _, f := range g.Findings {
		loose := f.Code == "loose-permissions"
		if loose && o.conversion.Keys && !o.insecure || !loose && f.Severity == "error" && f.Code != "key-in-chain" {
			hint := f.Fix
			if loose {
				hint += ", or --insecure-files"
			}
			return &meshreport.InputError{Location: meshreport.Location{File: f.At}, Err: fmt.Errorf("%s", f.Message), Hint: hint}
		}
	}
	return nil
}
