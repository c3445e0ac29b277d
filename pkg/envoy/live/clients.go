package live

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/meshctl/meshctl/pkg/report"
)

// Folder has the files of a run, which only the user can read. It goes when the
// sidecars are closed.
func (s *Sidecars) Folder() string { return s.dir }

// Client writes a certificate and a key for a client of an identity. The files
// go with the sidecars.
func (s *Sidecars) Client(identity string) (Files, error) {
	return s.caller.identities.write(filepath.Join(s.dir, "clients"), identity)
}

// Toward is where a workload's sidecar takes what it sends to another, NAMESPACE/
// NAME, by a port of a service: a byte stream, or a request with the service's
// host. Without such a place, it says why.
func (s *Sidecars) Toward(from, to, host string, port uint32) (_ netip.AddrPort, why string) {
	t, ok := s.targets[from]
	switch {
	case !ok || t.outbound == nil:
		return netip.AddrPort{}, "that sends nothing here"
	case !t.config.Knows(host, port):
		return netip.AddrPort{}, "that is told of no such Service"
	}
	at := t.outbound.Address
	own := cmp.Or(t.config.PodAddress(host, port, to), t.config.ServiceAddress(host, port))
	switch {
	case own != "":
		at = t.outbound.Services[own]
	case !t.config.ListensForAll(port):
		return netip.AddrPort{}, "that has no listener for it alone"
	}
	return netip.AddrPortFrom(at, uint16(t.outbound.Shift(port))), "" //nolint:gosec // a port
}

// checkPorts fails for ports that only the superuser may listen on: a sidecar
// that is called directly must have its workload's own.
func checkPorts(workloads []Workload, plain map[string][]uint32) error {
	first := firstFreePort()
	ports := maps.Clone(plain)
	if ports == nil {
		ports = map[string][]uint32{}
	}
	for i := range workloads {
		ports[workloads[i].Config.Workload] = workloads[i].Config.InboundPorts()
	}
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		for _, port := range ports[name] {
			if port < first {
				return &report.InputError{
					Subject: name, Err: fmt.Errorf("port %d: this user may not listen on ports below %d", port, first),
					Hint: fmt.Sprintf("sysctl net.ipv4.ip_unprivileged_port_start=%d allows it, or leave the workload out", port),
				}
			}
		}
	}
	return nil
}

// Ports are those of a workload that can be called.
func (s *Sidecars) Ports(workload string) []uint32 {
	t, ok := s.targets[workload]
	if !ok {
		return nil
	}
	return t.config.InboundPorts()
}
