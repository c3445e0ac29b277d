package live

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// Standalone is the sidecar of a workload as a stock Envoy runs it by itself:
// called at the workload's ports on an address of its own, with an application at
// the same ports of 127.0.0.1, and log lines on standard output.
type Standalone struct {
	Workload  string // NAMESPACE/NAME
	Address   netip.Addr
	Bootstrap *bootstrapv3.Bootstrap
	Files     Files    // that the bootstrap names
	Ports     []uint32 // that it is called at
	Outlets   []Outlet // for what the application sends
	identity  string
}

// Outlet is where a sidecar takes what its application sends to one of istiod's
// addresses.
type Outlet struct {
	At netip.AddrPort
	envoy.Outlet
}

// Standalone makes the bootstraps of all workloads. The folder of a workload has
// its Files. The same mesh gets the same addresses, whichever of its workloads
// are asked for (EC-142).
func (r *Roster) Standalone(s *mesh.Snapshot, folder func(workload string) string) ([]Standalone, error) {
	ranges := r.ranges(s)
	peers := map[string]netip.Addr{}
	for name, own := range ranges {
		peers[name] = own.address(ownHost)
	}
	pods, err := r.pods(s)
	if err != nil {
		return nil, err
	}
	key, err := nobodysKey()
	if err != nil {
		return nil, err
	}
	var all []Standalone
	for i := range r.Workloads {
		w := &r.Workloads[i]
		own := ranges[w.Config.Workload]
		out, err := own.outbound(w.Config, peers, pods)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Config.Workload, err)
		}
		dir := folder(w.Config.Workload)
		one := Standalone{
			Workload: w.Config.Workload, Address: own.address(ownHost), identity: w.Identity,
			Files: Files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "root.pem")},
		}
		one.Ports = w.Config.InboundPorts()
		for _, o := range w.Config.Outlets() {
			at := out.Address
			if o.Address != "" {
				at = out.Services[o.Address]
			}
			one.Outlets = append(one.Outlets, Outlet{netip.AddrPortFrom(at, uint16(out.Shift(o.Port))), o}) //nolint:gosec // a port
		}
		const adminPort = 15000
		one.Bootstrap, err = envoy.Static([]envoy.Place{{
			Config: w.Config, Address: one.Address, Certificate: one.Files.Certificate, Key: one.Files.Key, Roots: one.Files.Roots,
			Applications: localApplications(w.Config), Outbound: out,
		}}, envoy.StaticOptions{Form: envoy.OwnAddresses, Admin: netip.AddrPortFrom(one.Address, adminPort), AccessLog: "/dev/stdout", JWK: key})
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Certify makes certificates and keys for sidecars, under a root that nobody
// keeps the key of, by the names of their files. Keys are secret.
func Certify(trustDomain string, now func() time.Time, all []Standalone) (public, secret map[string][]byte, err error) {
	ids, err := newIdentities(trustDomain, now)
	if err != nil {
		return nil, nil, err
	}
	public, secret = map[string][]byte{}, map[string][]byte{}
	for i := range all {
		chain, key, roots, err := ids.encode(all[i].identity)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", all[i].Workload, err)
		}
		f := all[i].Files
		public[f.Certificate], secret[f.Key], public[f.Roots] = chain, key, roots
	}
	return public, secret, nil
}

// localApplications are where a workload's own ports lead.
func localApplications(c *envoy.Config) map[uint32]netip.AddrPort {
	all := map[uint32]netip.AddrPort{}
	for _, port := range c.InboundPorts() {
		all[port] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)) //nolint:gosec // a port
	}
	return all
}

// addressRange is a workload's own 256 addresses of loopback.
type addressRange int

// Hosts of a range: the workload, what stands for all addresses that it sends to,
// and the first of those that stand for one.
const (
	ownHost      = 1
	anyHost      = 2
	firstService = 3
	lastService  = 250
)

func (r addressRange) address(host int) netip.Addr {
	const first, size = 32, 256
	return netip.AddrFrom4([4]byte{127, byte(first + int(r)/size), byte(int(r) % size), byte(host)}) //nolint:gosec // ranges fit
}

// pods are the addresses here of all workloads of the mesh, by those of their pods.
func (r *Roster) pods(s *mesh.Snapshot) (map[string]netip.Addr, error) {
	all := map[string]netip.Addr{}
	for i, w := range s.Workloads {
		addresses, err := r.generator.Pods(w)
		if err != nil {
			return nil, err
		}
		for _, address := range addresses {
			if address != "" {
				all[address] = addressRange(i).address(ownHost)
			}
		}
	}
	return all, nil
}

// ranges are those of the mesh's workloads, and of the roster's by their names
// there, which go before the same names of others.
func (r *Roster) ranges(s *mesh.Snapshot) map[string]addressRange {
	all := map[string]addressRange{}
	for i, w := range s.Workloads {
		if own := r.names[w]; own != "" {
			all[w.Namespace+"/"+own] = addressRange(i)
		}
	}
	for i, w := range s.Workloads {
		name := w.Namespace + "/" + w.Name
		if _, taken := all[name]; !taken {
			all[name] = addressRange(i)
		}
	}
	return all
}

func (r addressRange) outbound(c *envoy.Config, peers, pods map[string]netip.Addr) (*envoy.Outbound, error) {
	out := &envoy.Outbound{Address: r.address(anyHost), Services: map[string]netip.Addr{}, Peers: peers, Pods: pods, Shift: func(port uint32) uint32 { return shiftedBelow(port, 1024) }}
	for i, address := range c.ListenerAddresses() {
		if firstService+i > lastService {
			return nil, fmt.Errorf("it listens for more than %d services of byte streams: narrow what it sends to with a Sidecar object", lastService-firstService+1)
		}
		out.Services[address] = r.address(firstService + i)
	}
	return out, nil
}

// nobodysKey is a public key whose private key nobody has, so that no token
// verifies: its modulus is a hash (EC-67).
func nobodysKey() (string, error) {
	var modulus []byte
	const bytes = 256
	for i := 0; len(modulus) < bytes; i++ {
		block := sha256.Sum256(fmt.Appendf(nil, "meshctl: nobody has the private key, %d", i))
		modulus = append(modulus, block[:]...)
	}
	modulus[0] |= 0x80 // all bits are used,
	modulus[bytes-1] |= 1
	text, err := json.Marshal(map[string]string{"kty": "RSA", "kid": "nobody", "alg": "RS256", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(modulus)})
	return string(text), err
}
