package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type caImportOptions struct {
	*caFlags
	own      authorityFlags
	domain   string
	plain    bool
	allowGit bool
	cert     string
	key      string
	chain    string
	root     string
	crl      string
	password string // file of the key's
	path     string // "" with files only
}

func newCAImportCmd(f *caFlags) *cobra.Command {
	o := &caImportOptions{caFlags: f}
	cmd := &cobra.Command{
		Use:   "import [DIRECTORY|FILE|-]",
		Short: "Take in a root or an intermediate of your own",
		Long: `Make an authority of a root or an intermediate that is there already, after every
check of "ca verify". It comes as a directory or a Secret as istiod reads it, as
PKCS #12, or as single files.

An intermediate signs as it is, and the key of its root stays where it is: what
needs that key says so. Of a root with its key the key is encrypted with a
passphrase, as with "ca init", and an intermediate is made that signs.

Exit status: 0 imported, 1 it must not be used, and nothing was made; 2 it could
not be read.`,
		Example: `  meshctl ca import cacerts/
  meshctl ca import --cert ca-cert.pem --key ca-key.pem --chain cert-chain.pem --root root-cert.pem
  kubectl get secret cacerts -n istio-system -o yaml | meshctl ca import -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.cert, "cert", "", "file of the certificate that signs; those above it may follow")
	flags.StringVar(&o.key, "key", "", "file of its key; one that is encrypted as PKCS #8 is opened")
	flags.StringVar(&o.chain, "chain", "", "file of the certificates from it up to the root (default those of --cert and --root)")
	flags.StringVar(&o.root, "root", "", "file of the roots to trust (default the root that ends the chain)")
	flags.StringVar(&o.crl, "crl", "", "file of the revocation lists so far")
	flags.StringVar(&o.password, "key-passphrase-file", "", "read the passphrase of the key to import from a file, which only you can read (default asks at the terminal)")
	flags.StringVar(&o.domain, "trust-domain", "", "trust domain of all identities (default the one that the authority names, else cluster.local)")
	flags.BoolVar(&o.allowGit, "allow-git", false, allowGitUsage)
	flags.BoolVar(&o.plain, "no-encrypt", false, "leave a root's key in the clear")
	o.own.registerIntermediate(flags)
	return cmd
}

func (o *caImportOptions) complete(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return usagef(cmd, "expected one authority, and got %d", len(args))
	case len(args) == 1:
		o.path = args[0]
	case o.cert == "" || o.key == "":
		return usagef(cmd, "what? give a directory, a manifest or PKCS #12, or --cert and --key")
	}
	return checkDomainFlag(cmd, o.domain)
}

func (o *caImportOptions) run(cmd *cobra.Command) error {
	if err := errors.Join(o.plainOrNot(cmd, o.plain), positive(cmd, "intermediate-ttl")); err != nil {
		return err
	}
	dir, err := o.directory()
	if err != nil {
		return err
	}
	if err := checkGit(dir, o.allowGit); err != nil {
		return err
	}
	from, err := o.read()
	if err != nil {
		return err
	}
	if err := o.openKey(from); err != nil {
		return err
	}
	options := ca.ImportOptions{
		TrustDomain: o.domain, Bundle: from.bundle, CRL: from.crl, Key: certs.KeyAlgorithm(o.own.keyType), Intermediate: o.own.intermediate(),
	}
	if !o.plain {
		options.Passphrase = o.newPassphrase
	}
	a, warnings, err := ca.Import(dir, options, o.env(cmd))
	var refused *ca.RefusedError
	switch {
	case errors.As(err, &refused):
		return o.refused(from.verdict(refused.Problems))
	case err != nil:
		return err
	}
	return errors.Join(o.warnProblems(from.verdict(warnings).Problems), printer.Lines(o.streams.ErrOut, "made "+dir), o.printStatus(a), a.Close())
}

// warnProblems tells what is not as it should be, and no reason to refuse.
func (f *caFlags) warnProblems(all []certs.Problem) error {
	for _, p := range all {
		if err := printer.Lines(f.streams.ErrOut, "warning: "+p.File+": "+p.Message+": "+p.Fix); err != nil {
			return err
		}
	}
	return nil
}

// read finds the one authority that was named. Single files take the place of
// what is in it.
func (o *caImportOptions) read() (*namedBundle, error) {
	from := &namedBundle{name: o.cert}
	if o.path != "" {
		found, err := o.readPath()
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%s: there are %d authorities in it: give one", o.path, len(found))
		}
		from = &found[0]
	}
	b := &from.bundle
	for file, part := range map[string]*[]byte{o.cert: &b.Cert, o.chain: &b.Chain, o.root: &b.Root, o.crl: &from.crl} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		*part = text
	}
	if o.key != "" {
		var err error
		if b.Key, err = o.secretFile(o.key); err != nil {
			return nil, err
		}
	}
	from.files = map[string]string{certs.BundleCert: o.cert, certs.BundleKey: o.key, certs.BundleChain: o.chain, certs.BundleRoot: o.root, certs.BundleCRL: o.crl}
	if o.path == "" {
		o.completeFiles(from)
	}
	return from, nil
}

func (o *caImportOptions) secretFile(file string) ([]byte, error) {
	return ca.ReadSecret(file, o.insecure)
}

// completeFiles makes chain and root of a file that holds them all.
func (o *caImportOptions) completeFiles(from *namedBundle) {
	b := &from.bundle
	all, err := certs.ParseCertificates(slices.Concat(b.Cert, []byte("\n"), b.Chain))
	if last := len(all) - 1; o.root == "" && err == nil && certs.RoleOf(all[last]) == certs.RootRole {
		b.Root = certs.EncodeCertificates(all[last])
	}
	if o.root == "" && b.Root == nil {
		from.files[certs.BundleRoot] = "--root"
	} else if o.root == "" {
		from.files[certs.BundleRoot] = o.cert
	}
	if o.chain == "" {
		from.files[certs.BundleChain] = o.cert
		*b = certs.TLSBundle(b.Cert, b.Key, b.Root)
	}
}

func (o *caImportOptions) readPath() ([]namedBundle, error) {
	if store, err := o.readStore(); store != nil || err != nil {
		return store, err
	}
	return bundleReader{o.streams.In, func(file string) ([]byte, error) { return ca.ReadSecrets(file, o.insecure) }}.read(o.path)
}

// readStore reads PKCS #12; nil if it is something else.
func (o *caImportOptions) readStore() ([]namedBundle, error) {
	if o.path == "-" {
		return nil, nil
	}
	info, err := os.Stat(o.path)
	if err != nil || info.IsDir() {
		return nil, err
	}
	text, err := o.secretFile(o.path)
	if err != nil {
		return nil, err
	}
	const sequence = 0x30 // DER begins so
	if len(text) == 0 || text[0] != sequence {
		return nil, nil
	}
	groups, err := inspect.Read(o.path, text, inspect.Options{Password: func() ([]byte, error) { return o.keyPassphrase("Password of PKCS #12: ") }})
	var input *meshreport.InputError
	if errors.As(err, &input) && strings.Contains(input.Hint, "--password-file") {
		input.Hint = "give another with --key-passphrase-file"
	}
	if err != nil {
		return nil, err
	}
	b, err := storeBundle(&groups[0])
	if err != nil {
		return nil, &meshreport.InputError{Location: meshreport.Location{File: o.path}, Err: err, Hint: "give PKCS #12 with the key and its chain, or PEM"}
	}
	return []namedBundle{{name: o.path, bundle: b}}, nil
}

// storeBundle is the key of a store, with the chain that is there. Its last
// certificate is the root, if it signs itself.
func storeBundle(g *inspect.Group) (certs.Bundle, error) {
	all := g.All()
	at := slices.IndexFunc(g.Entries, func(e inspect.Entry) bool { return e.Key != nil })
	if at < 0 || len(all) == 0 {
		return certs.Bundle{}, errors.New("expected a private key with its certificates")
	}
	key, err := certs.EncodeKey(g.Entries[at].Key)
	root := all[len(all)-1:]
	if certs.RoleOf(root[0]) != certs.RootRole {
		root = []*x509.Certificate{}
	}
	return certs.Bundle{Cert: certs.EncodeCertificates(all[0]), Key: key, Chain: certs.EncodeCertificates(all...), Root: certs.EncodeCertificates(root...)}, err
}

// openKey takes the passphrase off a key.
func (o *caImportOptions) openKey(from *namedBundle) error {
	if _, err := certs.ParseKey(from.bundle.Key); !errors.Is(err, certs.ErrEncrypted) {
		return nil // what else is wrong with it is told with everything else
	}
	passphrase, err := o.keyPassphrase("Passphrase of the key to import: ")
	if err != nil {
		return err
	}
	key, err := certs.DecryptKey(from.bundle.Key, passphrase)
	if err != nil {
		input := &meshreport.InputError{Location: meshreport.Location{File: from.name}, Err: err}
		if o.key != "" {
			input.Location.File = o.key
		}
		if !errors.Is(err, certs.ErrPassphrase) {
			input.Hint = "openssl pkcs8 -topk8 writes it in a form that is read here"
		}
		return input
	}
	from.bundle.Key, err = certs.EncodeKey(key)
	return err
}

// keyPassphrase is that of what is imported; the other one is of the authority.
func (o *caImportOptions) keyPassphrase(prompt string) ([]byte, error) {
	of := &caFlags{streams: o.streams, insecure: o.insecure, passphraseFile: o.password, passphraseFD: -1}
	text, err := of.passphrase(prompt)
	if err != nil && o.password == "" {
		return nil, fmt.Errorf("the key to import is encrypted, and there is no terminal to ask for its passphrase at: give --key-passphrase-file")
	}
	return text, err
}
