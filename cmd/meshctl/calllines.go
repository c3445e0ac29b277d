package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/envoy/live"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// callerIdentity is the SPIFFE ID that --as means.
func callerIdentity(s *mesh.Snapshot, text string) (string, error) {
	if strings.HasPrefix(text, "spiffe://") {
		c, err := policy.ParsePrincipal(text)
		return c.Principal, err
	}
	namespace, account, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || account == "" || strings.Contains(account, "/") {
		return "", fmt.Errorf("as %q: expected NAMESPACE/SERVICEACCOUNT or a SPIFFE ID", text)
	}
	if err := s.FindAccount(namespace, account); err != nil {
		return "", &meshreport.InputError{
			Err: err, Hint: fmt.Sprintf("a SPIFFE ID is taken as it is: --as spiffe://%s/ns/%s/sa/%s", s.Config.TrustDomain, namespace, account),
		}
	}
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", s.Config.TrustDomain, namespace, account), nil
}

// callLines are commands that call the sidecars that run.
type callLines struct {
	snapshot  *mesh.Snapshot
	simulator *policy.Simulator
	sidecars  *live.Sidecars
	as        []string // SPIFFE IDs; none is another workload's that runs
	files     map[string]live.Files
}

func newCallLines(s *mesh.Snapshot, simulator *policy.Simulator, sidecars *live.Sidecars, as []string) *callLines {
	return &callLines{s, simulator, sidecars, as, map[string]live.Files{}}
}

// all are the lines of workloads, of which others hold the names by which they
// run.
func (c *callLines) all(workloads []*mesh.Workload, running []live.Workload) ([]string, error) {
	lines := []string{fmt.Sprintf("Envoy runs the sidecars of %s. Certificates and keys of clients: %s", counted(len(workloads), "workload"), c.sidecars.Folder())}
	lines = append(lines, fmt.Sprintf("What it was told: curl -s http://%s/config_dump >dump.json, for meshctl envoy show, eval and diff", c.sidecars.Process().Admin))
	for i, w := range workloads {
		r := &running[i]
		lines = append(lines, "", fmt.Sprintf("%s on %s, as %s", r.Config.Workload, c.sidecars.Address(r.Config.Workload), r.Identity))
		inbound, err := c.inbound(w, r, running[(i+1)%len(running)].Identity)
		if err != nil {
			return nil, err
		}
		lines = append(lines, inbound...)
		for _, n := range c.senders(i, running) {
			lines = append(lines, c.through(w, r.Config.Workload, workloads[n], running[n].Config.Workload)...)
		}
	}
	return append(lines, "", "Ctrl-C ends it."), nil
}

// senders are the workloads through whose sidecars another is called, by number:
// those of the callers that were asked for, as far as they run, or else the next
// one.
func (c *callLines) senders(to int, running []live.Workload) []int {
	var all []int
	for i := range running {
		if i != to && slices.Contains(c.as, running[i].Identity) {
			all = append(all, i)
		}
	}
	if all == nil && len(running) > 1 && !slices.Contains(c.as, running[to].Identity) {
		all = append(all, (to+1)%len(running))
	}
	return all
}

// inbound calls the workload's own ports.
func (c *callLines) inbound(w *mesh.Workload, r *live.Workload, other string) ([]string, error) {
	callable := map[uint32]bool{}
	for _, port := range c.sidecars.Ports(r.Config.Workload) {
		callable[port] = true
	}
	callers := c.as
	if callers == nil {
		callers = []string{other}
	}
	var lines []string
	for _, p := range c.simulator.Describe(w).Ports {
		if !callable[p.Port] {
			continue
		}
		at := netip.AddrPortFrom(c.sidecars.Address(r.Config.Workload), uint16(p.Port)) //nolint:gosec // a port
		if p.Bypass != "" {
			lines = append(lines, fmt.Sprintf("  port %d bypasses the sidecar (%s): the application answers, and no policy decides", p.Port, p.Bypass), labelled("as anybody", plainCall(at, p.Traffic)))
			continue
		}
		lines = append(lines, fmt.Sprintf("  port %d, %s, mTLS %s", p.Port, protocolText(p.Protocol, p.Traffic), p.Mode))
		lines = append(lines, labelled("without TLS", plainCall(at, p.Traffic)))
		if p.Mode == policy.Disable {
			continue
		}
		for _, id := range callers {
			f, err := c.client(id)
			if err != nil {
				return nil, err
			}
			lines = append(lines, labelled("as "+shortIdentity(id), secureCall(at, &p, f)))
		}
	}
	if lines == nil {
		lines = append(lines, "  no Service declares a port of it, so there is none to call")
	}
	return lines, nil
}

// client has a certificate for an identity, once.
func (c *callLines) client(id string) (live.Files, error) {
	if f, known := c.files[id]; known {
		return f, nil
	}
	f, err := c.sidecars.Client(id)
	c.files[id] = f
	return f, err
}

// through calls the workload's Services by the sidecar of another.
func (c *callLines) through(w *mesh.Workload, to string, sender *mesh.Workload, from string) []string {
	var lines []string
	for _, p := range c.snapshot.InboundPorts(w) {
		if !slices.Contains(c.snapshot.Services, p.Service) { // a Sidecar object's own port
			continue
		}
		port := uint32(p.Port.Number) //nolint:gosec // a port
		label := fmt.Sprintf("%s:%d through the sidecar of %s", p.Service.Hostname, port, from)
		at, why := c.sidecars.Toward(from, to, p.Service.Hostname, port)
		annotation, unseen := sender.BypassesOutbound(p.Port.Number)
		switch {
		case unseen:
			lines = append(lines, fmt.Sprintf("    # not %s: on a pod that does not see what goes to port %d (%s)", label, port, annotation))
			continue
		case why != "":
			lines = append(lines, "    # not "+label+": "+why)
			continue
		case p.Service.Headless() && p.Port.Number != p.Number:
			lines = append(lines, fmt.Sprintf("    # not %s: the Service is headless, so clients call its own port on the pods, which listen on %d", label, p.Number))
			continue
		}
		call := plainCall(at, p.Protocol.Traffic())
		if p.Protocol.Traffic() != mesh.TCPTraffic {
			callee := policy.Callee{Service: p.Service, Port: p.Port}
			call = fmt.Sprintf("curl -sSi -H 'host: %s' http://%s/", callee.Authority(), at)
		}
		lines = append(lines, labelled(label, call))
	}
	return lines
}

func labelled(label, command string) string { return "    # " + label + "\n    " + command }

// shortIdentity is a SPIFFE ID of a service account as NAMESPACE/ACCOUNT, and any
// other as it is.
func shortIdentity(id string) string {
	_, path, _ := strings.Cut(id, "/ns/")
	if namespace, account, ok := strings.Cut(path, "/sa/"); ok {
		return namespace + "/" + account
	}
	return id
}

func plainCall(at netip.AddrPort, traffic mesh.Traffic) string {
	if traffic == mesh.TCPTraffic {
		return fmt.Sprintf("(echo hello; sleep 1) | curl -sN -m 2 telnet://%s", at)
	}
	return fmt.Sprintf("curl -sSi http://%s/", at)
}

// secureCall speaks mTLS. curl cannot offer the protocols by which a sidecar that
// takes plaintext too knows one of the mesh (EC-32), so openssl does it there.
func secureCall(at netip.AddrPort, p *policy.PortDescription, f live.Files) string {
	if p.Mode == policy.Strict && p.Traffic == mesh.HTTPTraffic {
		return fmt.Sprintf("curl -sSi -k --cert %s --key %s https://%s/", f.Certificate, f.Key, at)
	}
	send, alpn, end := `printf 'GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n'`, "istio-http/1.1", ""
	if p.Traffic == mesh.TCPTraffic {
		send, alpn, end = "(echo hello; sleep 1)", "istio", " -no_ign_eof"
	}
	return fmt.Sprintf("%s | openssl s_client -quiet%s -verify_quiet -alpn %s -CAfile %s -cert %s -key %s -connect %s", send, end, alpn, f.Roots, f.Certificate, f.Key, at)
}
