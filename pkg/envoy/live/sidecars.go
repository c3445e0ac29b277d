package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/policy"
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
}

// Workload is one whose sidecar runs.
type Workload struct {
	Config   *envoy.Config
	Identity string // of its certificate
}

// Sidecars are those of some workloads, in one Envoy.
type Sidecars struct {
	dir        string
	block      *block
	process    *Process
	echoes     []*Echo
	authorizer *authorizer
	targets    map[string]target // by NAMESPACE/NAME
	caller     *caller
	log        *logTail
}

// Start runs the sidecars of some workloads, each with an application that
// answers on all of its ports. The context is for the start only; the caller
// closes them.
func Start(ctx context.Context, workloads []Workload, o Options) (*Sidecars, error) {
	s := &Sidecars{targets: map[string]target{}}
	if err := s.start(ctx, workloads, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sidecars) start(ctx context.Context, workloads []Workload, o Options) (err error) {
	if o.Form == "" {
		o.Form = envoy.ProxyProtocol
	}
	if s.dir, err = os.MkdirTemp("", "meshctl-envoy-"); err != nil { // 0700
		return err
	}
	if s.block, err = claim(); err != nil {
		return err
	}
	ids, err := newIdentities(o.TrustDomain, o.Now)
	if err != nil {
		return err
	}
	if s.authorizer, err = startAuthorizer(cmp.Or(o.Custom, "allow")); err != nil {
		return err
	}
	tokens, err := newIssuer(o.Now)
	if err != nil {
		return err
	}
	key, err := tokens.public()
	if err != nil {
		return err
	}
	s.caller = &caller{ids, tokens, s.authorizer}
	var places []envoy.Place
	for i := range workloads {
		place, err := s.place(i, &workloads[i])
		if err != nil {
			return fmt.Errorf("%s: %w", workloads[i].Config.Workload, err)
		}
		places = append(places, place)
		s.targets[workloads[i].Config.Workload] = target{workloads[i].Config.Workload, place.Address, o.Form}
	}
	s.log = newLogTail(filepath.Join(s.dir, "access.log"))
	b, err := envoy.Static(places, envoy.StaticOptions{
		Form: o.Form, Admin: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), AccessLog: s.log.path, JWK: key, AddJWK: o.OwnKey,
	})
	if err != nil {
		return err
	}
	s.process, err = Boot(ctx, o.Binary, s.dir, b, o.Threads)
	return err
}

// place gives a workload an address, a certificate and an application.
func (s *Sidecars) place(n int, w *Workload) (envoy.Place, error) {
	address, err := s.block.workload(n)
	if err != nil {
		return envoy.Place{}, err
	}
	f, err := s.caller.identities.write(filepath.Join(s.dir, "certificates"), w.Identity)
	if err != nil {
		return envoy.Place{}, err
	}
	echo, err := StartEcho(w.Config.Workload)
	if err != nil {
		return envoy.Place{}, err
	}
	s.echoes = append(s.echoes, echo)
	return envoy.Place{
		Config: w.Config, Address: address, Certificate: f.certificate, Key: f.key, Roots: f.roots,
		Applications: map[uint32]netip.AddrPort{0: echo.Address()}, Authorizers: s.authorizer.at,
	}, nil
}

// Address is that of a workload.
func (s *Sidecars) Address(workload string) netip.Addr { return s.targets[workload].address }

// Close stops Envoy and the applications, and removes all files. Closing again
// does nothing.
func (s *Sidecars) Close() error {
	var problems []error
	defer func() { *s = Sidecars{} }()
	if s.process != nil {
		problems = append(problems, s.process.Stop())
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

// Answer is what became of a request.
type Answer struct {
	policy.Verdict
	Log []envoy.LogEntry // what Envoy wrote of its connection
	// Err says why the request could not be asked, or why nothing tells what
	// became of it.
	Err error
}

// callers is how many requests are under way at once.
const callers = 16

// Ask sends requests to the workloads that they name, and reads what became of
// each. Tokens that are described need Options.OwnKey.
func (s *Sidecars) Ask(ctx context.Context, requests []policy.Request) ([]Answer, error) {
	answers, replies := make([]Answer, len(requests)), make([]reply, len(requests))
	var mu sync.Mutex
	order := map[string][]int{} // of requests on connections of one name
	var calls sync.WaitGroup
	free := make(chan struct{}, callers)
	for i := range requests {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			calls.Wait()
			return nil, ctx.Err()
		}
		calls.Go(func() {
			defer func() { <-free }()
			replies[i], answers[i].Err = s.call(ctx, &requests[i], func(connection string) {
				mu.Lock()
				defer mu.Unlock()
				order[connection] = append(order[connection], i)
			})
		})
	}
	calls.Wait()
	wanted := map[string]int{}
	for name, list := range order {
		wanted[name] = len(list)
	}
	written, err := s.log.take(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for name, list := range order {
		for n, i := range list {
			if answers[i].Err == nil {
				answers[i].Log = written[name][n]
				answers[i].Verdict, answers[i].Err = replies[i].verdict(written[name][n])
			}
			answers[i].ID = requests[i].ID
		}
	}
	return answers, nil
}

func (s *Sidecars) call(ctx context.Context, r *policy.Request, connected func(connection string)) (reply, error) {
	t, ok := s.targets[r.To.Namespace+"/"+r.To.Workload]
	if !ok {
		return reply{}, fmt.Errorf("no sidecar of %s/%s runs here", r.To.Namespace, r.To.Workload)
	}
	return s.caller.call(ctx, t, r, connected)
}
