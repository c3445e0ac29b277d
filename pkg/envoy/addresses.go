package envoy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// Where a cluster would assign an address, one is made of the name of who gets
// it: another service more or less does not shift all others (EC-122).
const (
	serviceRange = "10.96.0.0/12"
	podRange     = "10.244.0.0/16"
	anyAddress   = "0.0.0.0"
	unixPrefix   = "unix://"
)

// addresses are those of services and pods.
type addresses struct {
	services map[*mesh.Service][]string
	pods     map[*mesh.Workload][]string
}

// assignAddresses fails if there are more pods or services than addresses.
func assignAddresses(s *mesh.Snapshot) (*addresses, error) {
	a := &addresses{map[*mesh.Service][]string{}, map[*mesh.Workload][]string{}}
	services, pods := newPool(serviceRange), newPool(podRange)
	var nameless []*mesh.Service
	for _, v := range s.Services {
		a.services[v] = ownAddresses(v)
		for _, address := range a.services[v] {
			services.reserve(address)
		}
		if v.Entry == nil && v.Resolution == mesh.Listed && len(a.services[v]) == 0 {
			nameless = append(nameless, v)
		}
	}
	slices.SortFunc(nameless, func(x, y *mesh.Service) int { return cmp.Compare(x.Hostname, y.Hostname) })
	for _, v := range nameless {
		address, err := services.take(v.Namespace + "/" + v.Name)
		if err != nil {
			return nil, fmt.Errorf("services: %w", err)
		}
		a.services[v] = []string{address}
	}
	for _, w := range s.Workloads {
		if w.Address != "" || w.Kind == "WorkloadEntry" {
			a.pods[w] = []string{w.Address}
			continue
		}
		for i := range w.Replicas {
			address, err := pods.take(fmt.Sprintf("%s/%s/%s#%d", w.Namespace, w.Kind, w.Name, i))
			if err != nil {
				return nil, fmt.Errorf("pods of %s: %w", w, err)
			}
			a.pods[w] = append(a.pods[w], address)
		}
	}
	return a, nil
}

// ownAddresses are those that the manifest names. A range of one address is
// that address; a service without any, which has no address of its own either,
// is at all addresses.
func ownAddresses(v *mesh.Service) []string {
	var all []string
	for _, address := range v.Addresses {
		if p, err := netip.ParsePrefix(address); err == nil && p.IsSingleIP() {
			address = p.Addr().String()
		}
		all = append(all, address)
	}
	if all == nil && (v.Entry != nil || v.Headless()) {
		return []string{anyAddress}
	}
	return all
}

// service is where a service listens; never empty but for an Alias.
func (a *addresses) service(v *mesh.Service) []string { return a.services[v] }

// workload is where a workload's first pod listens.
func (a *addresses) workload(w *mesh.Workload) string {
	if own := a.pods[w]; len(own) > 0 {
		return own[0]
	}
	return ""
}

// endpoint are the addresses of an endpoint, one for each pod.
func (a *addresses) endpoint(e mesh.Endpoint) []string {
	if e.Workload != nil {
		return a.pods[e.Workload]
	}
	return []string{e.Entry.GetAddress()}
}

// isAddress tells an IP address from a name.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

func isSocketPath(address string) bool { return strings.HasPrefix(address, unixPrefix) }

// pool hands out the addresses of a range.
type pool struct {
	prefix netip.Prefix
	size   uint32
	taken  map[uint32]bool
}

func newPool(text string) *pool {
	prefix := netip.MustParsePrefix(text)
	return &pool{prefix, 1 << (32 - prefix.Bits()), map[uint32]bool{}}
}

func (p *pool) base() uint32 { return number(p.prefix.Addr()) }

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// reserve keeps an address from being handed out.
func (p *pool) reserve(text string) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() && p.prefix.Contains(a) {
		p.taken[number(a)-p.base()] = true
	}
}

// take gives the same name the same address, or the next free one. The first
// and the last of the range stay free.
func (p *pool) take(name string) (string, error) {
	if len(p.taken) >= int(p.size)-2 {
		return "", fmt.Errorf("more than there are addresses in %s", p.prefix)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // cannot fail
	n := h.Sum32() % p.size
	for n == 0 || n == p.size-1 || p.taken[n] {
		n = (n + 1) % p.size
	}
	p.taken[n] = true
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], p.base()+n)
	return netip.AddrFrom4(address).String(), nil
}
