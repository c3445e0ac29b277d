package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/mesh"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

type caIssueOptions struct {
	*caFlags
	input      inputFlags
	meshConfig string
	namespace  string
	accounts   []string
	ids        []string

	keyType  string
	leaf     leafFlags
	renew    bool
	force    bool
	dryRun   bool
	output   string
	password string
	keys     keyFlags
	machine  machineFlags
}

// leafFlags say what is in a leaf.
type leafFlags struct {
	ttl         time.Duration
	dns, ips    []string
	istioCompat bool
	dualUse     bool
}

func (f *leafFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&f.ttl, "ttl", certs.DefaultLeafTTL, fmt.Sprintf("how long certificates last, at most %s and no longer than the authority", certs.MaxLeafTTL))
	flags.StringSliceVar(&f.dns, "dns", nil, "DNS name beside the identity; repeatable")
	flags.StringSliceVar(&f.ips, "ip", nil, "IP address beside the identity; repeatable")
	flags.BoolVar(&f.istioCompat, "istio-compat", false, "allow key encipherment for all kinds of keys, as Istio does")
	flags.BoolVar(&f.dualUse, "dual-use", false, "name the identity in the subject too, if it is no longer than 64 bytes")
}

func (f *leafFlags) options() (certs.LeafOptions, error) {
	o := certs.LeafOptions{TTL: f.ttl, IstioCompat: f.istioCompat, DualUse: f.dualUse, DNSNames: f.dns}
	for _, text := range f.ips {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return o, fmt.Errorf("ip %q: expected an IP address", text)
		}
		o.IPs = append(o.IPs, ip)
	}
	return o, nil
}

// keyFlags say where keys may go.
type keyFlags struct {
	stdoutKeys bool
	allowGit   bool
}

func (f *keyFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.stdoutKeys, "stdout-keys", false, "print keys even to a terminal")
	cmd.Flags().BoolVar(&f.allowGit, "allow-git", false, "write keys even into a git checkout")
}

// mayWrite refuses places from which keys get around (CA-48).
func (f *keyFlags) mayWrite(path string) error {
	if tree := ca.WorkTree(path); tree != "" && !f.allowGit {
		return &meshreport.InputError{
			Location: meshreport.Location{File: path}, Err: fmt.Errorf("keys do not belong into the git checkout %s", tree),
			Hint: "choose a place outside of it, or --allow-git",
		}
	}
	return nil
}

func (f *keyFlags) mayPrint(out any) error {
	if file, ok := out.(*os.File); ok && !f.stdoutKeys && term.IsTerminal(int(file.Fd())) {
		return errors.New("keys are not printed to a terminal: name a file with -o FORM=FILE, or give --stdout-keys")
	}
	return nil
}

func newCAIssueCmd(f *caFlags) *cobra.Command {
	o := &caIssueOptions{caFlags: f}
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue certificates for workloads",
		Long: `Issue certificates with new keys: for a service account (--ns and --sa), for any
SPIFFE ID (--id), or for every service account that manifests declare or use (-f).

-o files=DIRECTORY      a folder an identity: cert-chain.pem, key.pem, root-cert.pem
-o spiffe=DIRECTORY     key and chain in one file, and the bundle in another
-o p12=DIRECTORY        a key store and a trust store for Java
-o sds=DIRECTORY        secrets "default" and "ROOTCA" that Envoy reads from files
-o istio-secret[=FILE]  Secrets istio.ACCOUNT, as inject --identity secret mounts them
-o tls-secret[=FILE]    Secrets ACCOUNT-tls of the type kubernetes.io/tls
-o vm=DIRECTORY         a folder a WorkloadGroup of -f: what Istio's agent needs on
                        its machines, with a certificate in place of a token

A certificate that is there is kept while more than half of its life is left, if
it is for the same identity and kind of key and by the same authority; --renew
issues it again all the same. So is one whose key other users can read issued again
(unless --insecure-files). What this authority did not write is not written over,
unless --force, and an input never.`,
		Example: `  meshctl ca issue --ns shop --sa web -o files=certs
  meshctl ca issue -f manifests/ -o istio-secret | kubectl apply -f -
  meshctl ca issue -f manifests/ -o files=certs --dry-run
  meshctl ca issue -f workloadgroup.yaml -o vm=machines --ingress-ip 203.0.113.7`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd); err != nil {
				return err
			}
			return o.run(cmd)
		},
	}
	flags := cmd.Flags()
	o.input.register(flags)
	o.leaf.register(cmd)
	o.keys.register(cmd)
	o.machine.register(flags)
	flags.StringVar(&o.meshConfig, "mesh-config", "", "mesh config, whose trust domain must be the authority's; -o vm takes the machines' settings from it")
	flags.StringVar(&o.namespace, "ns", "", "namespace of --sa, and of objects that name none (default \"default\")")
	flags.StringSliceVar(&o.accounts, "sa", nil, "service account; repeatable")
	flags.StringSliceVar(&o.ids, "id", nil, "SPIFFE ID; repeatable")
	flags.StringVar(&o.keyType, "key-type", string(certs.P256), "kind of keys: P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519")
	flags.BoolVar(&o.renew, "renew", false, "issue again what could be kept")
	flags.BoolVar(&o.force, "force", false, "overwrite what this authority did not write")
	flags.BoolVar(&o.dryRun, "dry-run", false, "list what would be done, and do nothing")
	flags.StringVarP(&o.output, "output", "o", "istio-secret", "form and place: see above")
	flags.StringVar(&o.password, "p12-password-file", "", "password of -o p12; without it the password is Java's usual \"changeit\"")
	return cmd
}

func (o *caIssueOptions) complete(cmd *cobra.Command) error {
	if len(o.accounts)+len(o.ids)+len(o.input.filenames) == 0 && o.input.kustomize == "" {
		return usagef(cmd, "for whom? give --ns and --sa, --id, or manifests with -f or -k")
	}
	form, place, placed := strings.Cut(o.output, "=")
	folder, text := form == machineForm || slices.Contains(ca.Layouts(), ca.Layout(form)), slices.Contains(ca.SecretForms(), ca.SecretForm(form))
	switch {
	case !folder && !text:
		return usagef(cmd, "output %q: expected files, spiffe, p12, sds, vm, istio-secret or tls-secret", o.output)
	case (folder || placed) && place == "":
		return usagef(cmd, "output %q: expected a place after =, such as %s=certs", o.output, form)
	}
	if !slices.Contains(certs.KeyAlgorithms(), certs.KeyAlgorithm(o.keyType)) {
		return usagef(cmd, "key type %q: expected one of %v", o.keyType, certs.KeyAlgorithms())
	}
	if o.password != "" && form != string(ca.PKCS12) {
		return usagef(cmd, "--p12-password-file is for -o p12=DIRECTORY")
	}
	if form == machineForm && len(o.accounts)+len(o.ids) > 0 {
		return usagef(cmd, "-o vm is for the WorkloadGroups of manifests: --sa and --id are not for it")
	}
	return errors.Join(positive(cmd, "ttl"), o.machine.complete(cmd, form == machineForm))
}

func (o *caIssueOptions) run(cmd *cobra.Command) error {
	form, place, _ := strings.Cut(o.output, "=")
	if form == machineForm {
		return o.machines(cmd, place)
	}
	ids, err := o.identities(cmd)
	if err != nil {
		return err
	}
	requests, err := o.requests(ids)
	if err != nil {
		return err
	}
	if slices.Contains(ca.Layouts(), ca.Layout(form)) {
		return o.folders(cmd, ca.DeliverOptions{Dir: place, Layout: ca.Layout(form)}, requests)
	}
	return o.secrets(cmd, ca.SecretForm(form), place, requests)
}

// requests ask for a leaf an identity.
func (o *caIssueOptions) requests(ids []certs.ID) ([]ca.Request, error) {
	leaf, err := o.leaf.options()
	if err != nil {
		return nil, err
	}
	all := make([]ca.Request, len(ids))
	for i, id := range ids {
		all[i] = ca.Request{ID: id, Key: certs.KeyAlgorithm(o.keyType), Options: leaf}
	}
	return all, nil
}

func (o *caIssueOptions) folders(cmd *cobra.Command, d ca.DeliverOptions, requests []ca.Request) error {
	if err := o.mayWrite(d.Dir); err != nil {
		return err
	}
	d.Renew, d.Force, d.Password = o.renew, o.force, "changeit"
	if o.password != "" {
		text, err := ca.ReadSecret(o.password, o.insecure)
		if err != nil {
			return err
		}
		d.Password = string(firstLine(text))
	}
	if o.dryRun {
		return o.plan(cmd, func(a *ca.Authority) (*ca.Plan, error) { return a.PlanFolders(requests, d) })
	}
	return o.edit(cmd, func(ctx context.Context, a *ca.Authority) error {
		done, err := a.Deliver(ctx, requests, d)
		if err != nil {
			return err
		}
		return o.report(done)
	})
}

func (o *caIssueOptions) secrets(cmd *cobra.Command, form ca.SecretForm, file string, requests []ca.Request) error {
	before, err := o.secretsBefore(file)
	if err != nil {
		return err
	}
	p := ca.PlanOptions{Renew: o.renew, Force: o.force}
	if o.dryRun {
		return o.plan(cmd, func(a *ca.Authority) (*ca.Plan, error) {
			plan, err := a.PlanSecrets(form, requests, before, p)
			return plan, atFile(file, err)
		})
	}
	return o.edit(cmd, func(ctx context.Context, a *ca.Authority) error {
		text, done, err := a.Secrets(ctx, form, requests, before, p)
		if err != nil {
			return atFile(file, err)
		}
		if file == "" {
			_, err := o.streams.Out.Write(text)
			return err
		}
		const private = 0o600
		if err := atomicfile.Write(atomicfile.File{Name: file, Data: text, Mode: private}); err != nil {
			return err
		}
		return o.report(done)
	})
}

// secretsBefore is what a file has that Secrets are to go to; "" is standard output.
// No input is written over.
func (o *caIssueOptions) secretsBefore(file string) ([]byte, error) {
	if file == "" {
		if o.dryRun {
			return nil, nil
		}
		return nil, o.keys.mayPrint(o.streams.Out)
	}
	if err := errors.Join(o.mayWrite(file), checkFolder(filepath.Dir(file))); err != nil {
		return nil, err
	}
	if info, err := os.Stat(file); err == nil {
		for _, name := range o.input.filenames {
			if input, err := os.Stat(name); err == nil && os.SameFile(info, input) {
				return nil, &meshreport.InputError{Location: meshreport.Location{File: file}, Err: errors.New("it is an input, and not written over"), Hint: "choose another file"}
			}
		}
	}
	text, err := ca.ReadSecrets(file, o.insecure)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// atFile names the file that is not ours.
func atFile(file string, err error) error {
	if !errors.Is(err, ca.ErrNotOurs) {
		return err
	}
	return &meshreport.InputError{Location: meshreport.Location{File: file}, Err: err, Hint: "move it away, choose another file, or --force"}
}

// mayWrite refuses places where keys do not belong, unless nothing is written.
func (o *caIssueOptions) mayWrite(place string) error {
	if o.dryRun {
		return nil
	}
	return o.keys.mayWrite(place)
}

// plan lists what would be done.
func (o *caIssueOptions) plan(cmd *cobra.Command, of func(a *ca.Authority) (*ca.Plan, error)) error {
	a, err := o.read(cmd)
	if err != nil {
		return err
	}
	p, err := of(a)
	if err != nil {
		return err
	}
	return deliveryTable(o.streams.Out, p.Deliveries)
}

func (o *caIssueOptions) report(done []ca.Delivery) error {
	return deliveryTable(o.streams.ErrOut, done)
}

// identities are those that the flags and the manifests name, each once.
func (o *caIssueOptions) identities(cmd *cobra.Command) ([]certs.ID, error) {
	var all []certs.ID
	for _, text := range o.ids {
		id, err := certs.ParseID(text)
		if err != nil {
			return nil, err
		}
		if _, _, ok := id.Workload(); !ok {
			if err := printer.Lines(o.streams.ErrOut, "warning: "+text+" is not of Istio's form: aliases of trust domains do not work for it"); err != nil {
				return nil, err
			}
		}
		all = append(all, id)
	}
	a, err := o.read(cmd)
	if err != nil {
		return nil, err
	}
	namespace := o.namespace
	if namespace == "" {
		namespace = "default"
	}
	for _, account := range o.accounts {
		id, err := certs.WorkloadID(a.TrustDomain(), namespace, account)
		if err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	found, err := o.manifestIdentities(cmd.Context(), a.TrustDomain())
	seen := map[certs.ID]bool{}
	return slices.DeleteFunc(append(all, found...), func(id certs.ID) bool {
		twice := seen[id]
		seen[id] = true
		return twice
	}), err
}

// config is that of the mesh; nil is the default. Its trust domain must be the
// authority's (CA-6).
func (o *caIssueOptions) config(domain string) (*meshconfig.MeshConfig, error) {
	config, err := readMeshConfigOf(o.meshConfig, o.machine.revision)
	if err != nil || config == nil || config.TrustDomain == domain {
		return config, err
	}
	return nil, &meshreport.InputError{
		Location: meshreport.Location{File: o.meshConfig}, Err: fmt.Errorf("the mesh's trust domain is %q, and the authority's is %q", config.TrustDomain, domain),
		Hint: "make an authority for it with meshctl ca init --trust-domain " + config.TrustDomain,
	}
}

// manifestIdentities are those of all accounts that the manifests declare or use.
func (o *caIssueOptions) manifestIdentities(ctx context.Context, domain string) ([]certs.ID, error) {
	config, err := o.config(domain)
	if err != nil {
		return nil, err
	}
	if len(o.input.filenames) == 0 && o.input.kustomize == "" {
		return nil, nil
	}
	streams, err := o.input.load(ctx, o.streams.In, o.streams.ErrOut)
	if err != nil {
		return nil, err
	}
	i := mesh.Survey(streams, mesh.Options{Config: config, Namespace: o.namespace})
	if err := errors.Join(i.Problems...); err != nil {
		return nil, err
	}
	var all []certs.ID
	var warnings []string
	for _, account := range i.Accounts() {
		id, err := certs.WorkloadID(domain, account.Namespace, account.Name)
		if err != nil {
			return nil, err
		}
		if !account.Declared {
			warnings = append(warnings, fmt.Sprintf("note: %s uses the service account %s/%s, which the manifests do not declare", account.UsedBy, account.Namespace, account.Name))
		}
		all = append(all, id)
	}
	return all, printer.Lines(o.streams.ErrOut, warnings...)
}
