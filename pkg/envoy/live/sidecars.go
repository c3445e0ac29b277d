package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// Options say how sidecars are run.
type Options struct {
	Binary      string           // Envoy
	Form        envoy.StaticForm // ProxyProtocol if empty
	TrustDomain string           // of the root
	Now         func() time.Time // for certificates
	Threads     int              // of Envoy; 0 is 1
	// Custom is what external authorizers answer to requests that do not say:
	// allow, deny or error; allow if empty.
	Custom string
	// OwnKey adds a throwaway key to those of all token rules, so that tokens which
	// are only described can be asked with: they are signed with it.
	OwnKey bool
	// Senders lets sidecars take what their workloads send too. It is for
	// OwnAddresses: sidecars call each other at them.
	Senders bool
	// Redirected is the one workload, NAMESPACE/NAME, all of whose connections are
	// taken by its sidecar, whatever they go to (DP-4); also for OwnAddresses.
	Redirected string
	// Undeclared are ports that all workloads listen on beside the declared ones,
	// for OwnAddresses.
	Undeclared []uint32
	// Plain are workloads without a sidecar that others call, NAMESPACE/NAME, and
	// the ports that they listen on.
	Plain map[string][]uint32
	Log   io.Writer // of Envoy; nil for none
}

// Workload is one whose sidecar runs.
type Workload struct {
	Config   *envoy.Config
	Identity string // of its certificate
	// Pods are the addresses of its pods, as others are told; nil if its name is
	// enough to find it by.
	Pods []string
	// Bypassing are declared ports that its sidecar does not see: with OwnAddresses
	// the application has them itself (PA-22).
	Bypassing []uint32
}

// Sidecars are those of some workloads, in one Envoy.
type Sidecars struct {
	dir         string
	block       *block
	process     *Process
	redirecting *Process // of Options.Redirected: its listeners may have the addresses of those that it calls
	echoes      []*Echo
	authorizer  *authorizer
	targets     map[string]target // by NAMESPACE/NAME
	peers       map[string]netip.Addr
	pods        map[string]netip.Addr // by Workload.Pods
	caller      *caller
	log         *logTail
}

// Start runs the sidecars of some workloads, each with an application that
// answers on all of its ports. The context is for the start only; the caller
// closes them.
func Start(ctx context.Context, workloads []Workload, o Options) (*Sidecars, error) {
	s := &Sidecars{targets: map[string]target{}, peers: map[string]netip.Addr{}, pods: map[string]netip.Addr{}, log: newLogTail()}
	if err := s.start(ctx, workloads, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sidecars) start(ctx context.Context, workloads []Workload, o Options) (err error) {
	o.Form = cmp.Or(o.Form, envoy.ProxyProtocol)
	if s.dir, err = os.MkdirTemp("", "meshctl-envoy-"); err != nil { // 0700
		return err
	}
	if s.block, err = claim(); err != nil {
		return err
	}
	if err := s.prepare(o); err != nil {
		return err
	}
	if o.Form == envoy.OwnAddresses {
		if err := checkPorts(workloads, o.Plain); err != nil {
			return err
		}
	}
	if err := s.locate(workloads, o.Plain); err != nil {
		return err
	}
	var places []envoy.Place
	for i := range workloads {
		place, err := s.place(&workloads[i], o)
		if err != nil {
			return fmt.Errorf("%s: %w", workloads[i].Config.Workload, err)
		}
		places = append(places, place)
		s.targets[place.Config.Workload] = target{place.Config.Workload, place.Address, o.Form, place.Outbound, place.Config, place.Bypassing}
	}
	key, err := s.caller.issuer.public()
	if err != nil {
		return err
	}
	static := envoy.StaticOptions{
		Form: o.Form, Admin: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), JWK: key, AddJWK: o.OwnKey,
	}
	if at := slices.IndexFunc(places, func(p envoy.Place) bool { return p.Config.Workload == o.Redirected }); at >= 0 {
		if s.redirecting, err = s.boot(ctx, filepath.Join(s.dir, "redirecting"), places[at:at+1], static, o); err != nil {
			return err
		}
		places = slices.Delete(places, at, at+1)
	}
	if len(places) > 0 || s.redirecting == nil {
		s.process, err = s.boot(ctx, s.dir, places, static, o)
	}
	return err
}

// boot runs some of the workloads in one Envoy.
func (s *Sidecars) boot(ctx context.Context, dir string, places []envoy.Place, static envoy.StaticOptions, o Options) (*Process, error) {
	static.AccessLog = filepath.Join(dir, "access.log")
	s.log.follow(static.AccessLog)
	b, err := envoy.Static(places, static)
	if err != nil {
		return nil, err
	}
	const private = 0o700
	if err := os.MkdirAll(dir, private); err != nil {
		return nil, err
	}
	return Boot(ctx, o.Binary, dir, b, o.Threads, o.Log)
}

// prepare makes what clients need.
func (s *Sidecars) prepare(o Options) error {
	ids, err := newIdentities(o.TrustDomain, o.Now)
	if err != nil {
		return err
	}
	tokens, err := newIssuer(o.Now)
	if err != nil {
		return err
	}
	s.authorizer, err = startAuthorizer(cmp.Or(o.Custom, "allow"))
	s.caller = &caller{ids, tokens, s.authorizer}
	return err
}

// locate gives all workloads their addresses, and starts those without a
// sidecar.
func (s *Sidecars) locate(workloads []Workload, plain map[string][]uint32) (err error) {
	for i := range workloads {
		own, err := s.block.next()
		if err != nil {
			return err
		}
		s.peers[workloads[i].Config.Workload] = own
		for _, pod := range workloads[i].Pods {
			s.pods[pod] = own
		}
		delete(s.pods, "") // of a machine without an address
	}
	for name, ports := range plain {
		if s.peers[name], err = s.block.next(); err != nil {
			return err
		}
		if err := s.bare(name, ports); err != nil {
			return err
		}
	}
	return nil
}

// bare starts applications on ports of a workload that no sidecar sees.
func (s *Sidecars) bare(name string, ports []uint32) error {
	for _, port := range ports {
		echo, err := startEchoAt(name, net.JoinHostPort(s.peers[name].String(), strconv.FormatUint(uint64(port), 10)))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.echoes = append(s.echoes, echo)
	}
	return nil
}

// place gives a workload a certificate, an application and, if it sends,
// addresses to send to.
func (s *Sidecars) place(w *Workload, o Options) (envoy.Place, error) {
	f, err := s.caller.identities.write(filepath.Join(s.dir, "certificates"), w.Identity)
	if err != nil {
		return envoy.Place{}, err
	}
	echo, err := StartEcho(w.Config.Workload)
	if err != nil {
		return envoy.Place{}, err
	}
	s.echoes = append(s.echoes, echo)
	p := envoy.Place{
		Config: w.Config, Address: s.peers[w.Config.Workload], Certificate: f.Certificate, Key: f.Key, Roots: f.Roots,
		Applications: map[uint32]netip.AddrPort{0: echo.Address()}, Authorizers: s.authorizer.at, Undeclared: o.Undeclared,
	}
	if o.Form == envoy.OwnAddresses {
		p.Bypassing = w.Bypassing
		if err := s.bare(w.Config.Workload, w.Bypassing); err != nil {
			return envoy.Place{}, err
		}
	}
	switch {
	case o.Redirected == w.Config.Workload:
		p.Outbound, err = s.redirection(w.Config)
	case o.Senders:
		p.Outbound, err = s.outbound(w.Config)
	}
	return p, err
}

// redirection takes all that a workload sends at one address. Addresses of pods
// are those that they run at here.
func (s *Sidecars) redirection(c *envoy.Config) (*envoy.Outbound, error) {
	out := &envoy.Outbound{Form: envoy.ProxyProtocol, Services: map[string]netip.Addr{}, Peers: s.peers, Pods: s.pods}
	for address, workload := range c.PodAddresses() {
		if at, ok := s.peers[workload]; ok {
			out.Services[address] = at
		}
	}
	var err error
	out.Address, err = s.block.next()
	return out, err
}

// outbound finds addresses for the listeners of a sender.
func (s *Sidecars) outbound(c *envoy.Config) (*envoy.Outbound, error) {
	out := &envoy.Outbound{Services: map[string]netip.Addr{}, Peers: s.peers, Pods: s.pods, Shift: shifted}
	var err error
	if out.Address, err = s.block.next(); err != nil {
		return nil, err
	}
	for _, address := range c.ListenerAddresses() {
		if out.Services[address], err = s.block.next(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// shifted is where a listener goes whose port only the superuser may take.
func shifted(port uint32) uint32 { return shiftedBelow(port, firstFreePort()) }

func shiftedBelow(port, first uint32) uint32 {
	const shift = 20000
	if port < first {
		return port + shift
	}
	return port
}

// Address is that of a workload.
func (s *Sidecars) Address(workload string) netip.Addr { return s.peers[workload] }

// Process is the Envoy that they run in; where there are two, that of the called
// workloads.
func (s *Sidecars) Process() *Process { return cmp.Or(s.process, s.redirecting) }

// Close stops Envoy and the applications, and removes all files. Closing again
// does nothing.
func (s *Sidecars) Close() error {
	var problems []error
	defer func() { *s = Sidecars{} }()
	for _, p := range []*Process{s.redirecting, s.process} {
		if p != nil {
			problems = append(problems, p.Stop())
		}
	}
	if s.authorizer != nil {
		problems = append(problems, s.authorizer.close())
	}
	for _, e := range s.echoes {
		problems = append(problems, e.Close())
	}
	if s.block != nil {
		problems = append(problems, s.block.proof.Close())
	}
	if s.dir != "" {
		problems = append(problems, os.RemoveAll(s.dir))
	}
	return errors.Join(problems...)
}
