package live

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/meshctl/meshctl/pkg/envoy"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
	"github.com/meshctl/meshctl/pkg/policy/policytest"
)

// Engine asks a real Envoy what test files ask the simulator. All called
// workloads of a mesh run in one Envoy; callers send what their sidecars would
// send, from addresses of loopback.
type Engine struct {
	Binary  string           // Envoy
	Now     func() time.Time // for certificates and tokens
	Threads int              // of Envoy; 0 is 1
}

// Why a request of a case cannot be asked on loopback.
const (
	addressDecides     = "an address decides that does not lead to this machine"
	timeDecides        = "the time of its token is over, which test files do not look at and Envoy does"
	destinationDecides = "the called address and the caller's are not of one family"
)

// Ask boots an Envoy, asks it all that can be asked, and stops it.
func (e *Engine) Ask(ctx context.Context, s *mesh.Snapshot, simulator *policy.Simulator, all []policytest.Asked) (told []policytest.Told, err error) {
	told = make([]policytest.Told, len(all))
	callees := NewRoster(envoy.NewGenerator(s, simulator), s.Config.TrustDomain)
	var requests []policy.Request
	var at []int
	for i := range all {
		r, why := e.askable(simulator, &all[i])
		if why != "" {
			told[i].NotAsked = why
			continue
		}
		if r.To.Workload, err = callees.Add(all[i].Workload); err != nil {
			return nil, err
		}
		requests, at = append(requests, r), append(at, i)
	}
	if len(requests) == 0 {
		return told, nil
	}
	sidecars, err := Start(ctx, callees.Workloads, Options{
		Binary: e.Binary, Form: envoy.ProxyProtocol, TrustDomain: s.Config.TrustDomain, Now: e.Now, Threads: e.Threads, OwnKey: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sidecars.Close()) }()
	answers, err := sidecars.Ask(ctx, requests)
	for n := range answers {
		told[at[n]] = tell(&answers[n], all[at[n]].Simulated)
	}
	return told, err
}

// tell compares an answer with what was simulated. A status that only the
// caller's own sidecar would give is none here.
func tell(a *Answer, simulated *policy.Verdict) policytest.Told {
	switch {
	case a.Err != nil && !a.Asked:
		return policytest.Told{NotAsked: a.Err.Error()}
	case a.Err != nil:
		return policytest.Told{Differences: []string{a.Err.Error()}}
	}
	want := *simulated
	if want.Outcome == policy.Refused {
		want.HTTPStatus = a.HTTPStatus
	}
	return policytest.Told{Verdict: a.Verdict, Differences: Differences(&want, &a.Verdict)}
}

// askable is a request as it can be sent on loopback, or why it cannot.
func (e *Engine) askable(simulator *policy.Simulator, a *policytest.Asked) (r policy.Request, why string) {
	r = *a.Request
	if source, err := netip.ParseAddr(r.From.IP); r.From.IP != "" && (err != nil || !source.Is4() || !source.IsLoopback()) {
		r.From.IP = ""
		without := simulator.Model(a.Workload).Evaluate(&r)
		if Differences(a.Simulated, &without) != nil {
			return r, addressDecides
		}
	}
	if to, err := netip.ParseAddr(r.To.IP); r.To.IP != "" && (err != nil || !to.Is4()) {
		return r, destinationDecides
	}
	if r.HTTP != nil {
		for _, t := range r.HTTP.Tokens {
			if outdated(&t, e.Now()) {
				return r, timeDecides
			}
		}
	}
	return r, ""
}

// outdated tells whether the time of a token is over, or not yet come, though
// nothing is said to be wrong with it.
func outdated(t *policy.Token, now time.Time) bool {
	if t.JWT == "" && !t.Valid {
		return false
	}
	var text []byte
	var err error
	if parts := strings.Split(t.JWT, "."); len(parts) == 3 {
		text, err = base64.RawURLEncoding.DecodeString(parts[1])
	} else {
		text, err = json.Marshal(t.Claims)
	}
	var times struct{ Exp, Nbf float64 }
	if err != nil || json.Unmarshal(text, &times) != nil {
		return false // Envoy has its own word for it
	}
	clock := float64(now.Unix())
	return times.Exp != 0 && times.Exp < clock || times.Nbf > clock
}
