package vm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// Options say what a WorkloadGroup does not.
type Options struct {
	// Mesh is the mesh config; nil is istiod's default.
	Mesh *meshconfig.MeshConfig
	// TrustDomain is the authority's.
	TrustDomain string
	// ClusterID is what istiod knows the cluster by.
	ClusterID string
	// Revision is the control plane's; "" and "default" are the one without.
	Revision string
	// IstioNamespace is the control plane's; "" is istio-system.
	IstioNamespace string
	// Ingress is the gateway that leads to istiod; the zero value writes no hosts.
	Ingress netip.Addr
	// Address is the machine's; the zero value leaves it to the machine.
	Address Address
	// AutoRegister has istiod make a WorkloadEntry when the machine connects.
	AutoRegister bool
	// CaptureDNS answers the machine's DNS queries from the mesh.
	CaptureDNS bool
}

// Address is where peers reach a machine.
type Address struct {
	IP netip.Addr
	// External is an address that the machine itself does not have: probes must
	// not go to it.
	External bool
}

// Names of files (INJ-111).
const (
	MeshFile  = "mesh.yaml"
	EnvFile   = "cluster.env"
	HostsFile = "hosts"
)

// Bundle is what goes to the machines of a group, beside the certificate.
type Bundle struct {
	Files map[string][]byte
	// Notes are what is not wrong with the group, but may not be meant.
	Notes []string
}

// New makes the bundle of a group (INJ-110..112). It reports everything that is
// wrong with the group.
func New(group *mesh.WorkloadGroup, o Options) (*Bundle, error) {
	b := &builder{group: group, Options: o}
	if b.Mesh == nil {
		b.Mesh = mesh.DefaultConfig()
	}
	if b.IstioNamespace == "" {
		b.IstioNamespace = "istio-system"
	}
	if err := errors.Join(b.checkNames(), b.checkPorts()); err != nil {
		return nil, err
	}
	if _, err := Identity(group, o.TrustDomain); err != nil {
		return nil, err
	}
	config, err := b.proxyConfig()
	if err != nil {
		return nil, err
	}
	text, err := meshText(config)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{MeshFile: text, EnvFile: envText(b.environment(config))}
	if o.Ingress.IsValid() {
		files[HostsFile] = fmt.Appendf(nil, "%s %s\n", o.Ingress, b.istiodHost())
		if host, _, err := net.SplitHostPort(config.DiscoveryAddress); err != nil || host != b.istiodHost() {
			b.note(nil, "the discovery address is %s, but %s names %s", config.DiscoveryAddress, HostsFile, b.istiodHost())
		}
	}
	return &Bundle{Files: files, Notes: b.notes}, nil
}

// Identity is that of the machines of a group: its service account's, which is
// "default" unless it names one.
func Identity(group *mesh.WorkloadGroup, trustDomain string) (certs.ID, error) {
	path := []string{"spec", "template", "serviceAccount"}
	name := account(group)
	if strings.HasPrefix(name, "spiffe://") {
		return certs.ID{}, fault(group, path, "write the account's name only; a bundle for another trust domain is made by an authority of that domain",
			fmt.Errorf("service account %q: expected a name, not an identity", name))
	}
	if problems := validation.IsDNS1123Subdomain(name); problems != nil {
		return certs.ID{}, fault(group, path, "", fmt.Errorf("service account %q: %s", name, problems[0]))
	}
	id, err := certs.WorkloadID(trustDomain, group.Namespace, name)
	if err != nil {
		return certs.ID{}, fault(group, path, "", err)
	}
	return id, nil
}

func account(group *mesh.WorkloadGroup) string {
	if name := group.Spec.GetTemplate().GetServiceAccount(); name != "" {
		return name
	}
	return "default"
}

// Folder is where a bundle's files go, below the folder of all: NAMESPACE/NAME.
func Folder(group *mesh.WorkloadGroup) string { return group.Namespace + "/" + group.Name }

// builder makes one bundle.
type builder struct {
	Options
	group *mesh.WorkloadGroup
	notes []string
}

func (b *builder) template() *networking.WorkloadEntry {
	if t := b.group.Spec.GetTemplate(); t != nil {
		return t
	}
	return &networking.WorkloadEntry{}
}

// checkNames wants names that a cluster takes: they become folders, and words of
// a shell.
func (b *builder) checkNames() error {
	var problems []error
	if b.group.Name == "" {
		return fault(b.group, []string{"metadata"}, "give it metadata.name", errors.New("a WorkloadGroup without a name"))
	}
	if found := validation.IsDNS1123Subdomain(b.group.Name); found != nil {
		problems = append(problems, fault(b.group, []string{"metadata", "name"}, "", fmt.Errorf("name %q: %s", b.group.Name, found[0])))
	}
	if found := validation.IsDNS1123Label(b.group.Namespace); found != nil {
		problems = append(problems, fault(b.group, []string{"metadata", "namespace"}, "", fmt.Errorf("namespace %q: %s", b.group.Namespace, found[0])))
	}
	for _, of := range []struct{ what, name string }{{"revision", b.Revision}, {"namespace of the control plane", b.IstioNamespace}} {
		if found := validation.IsDNS1123Label(of.name); found != nil && of.name != "" {
			problems = append(problems, fmt.Errorf("%s %q: %s", of.what, of.name, found[0]))
		}
	}
	return errors.Join(problems...)
}

func (b *builder) checkPorts() error {
	const last = 65535
	var problems []error
	for _, p := range b.ports() {
		if p.Number < 1 || p.Number > last {
			problems = append(problems, fault(b.group, []string{"spec", "template", "ports", p.Name}, "", fmt.Errorf("port %d: expected a number from 1 to %d", p.Number, last)))
		}
	}
	return errors.Join(problems...)
}

// revisioned tells whether the control plane has a name of its own.
func (b *builder) revisioned() bool { return b.Revision != "" && b.Revision != "default" }

func (b *builder) istiodHost() string {
	name := "istiod"
	if b.revisioned() {
		name += "-" + b.Revision
	}
	return name + "." + b.IstioNamespace + ".svc"
}

func (b *builder) istiodAddress() string { return b.istiodHost() + ":15012" }

func (b *builder) note(path []string, format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf("%s: %s: ", b.group.Locate(path...), b.group)+fmt.Sprintf(format, args...))
}

func fault(group *mesh.WorkloadGroup, path []string, hint string, err error) error {
	return &report.InputError{Location: group.Locate(path...), Subject: group.String(), Err: err, Hint: hint}
}
