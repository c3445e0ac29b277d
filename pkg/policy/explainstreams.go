package policy

import (
	"fmt"
	"maps"
	"slices"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// streamPort is a declared port that carries bytes, or may.
type streamPort struct {
	workload *mesh.Workload
	*Port
}

// streamPorts are those of workloads, of one kind of traffic.
func (t *teller) streamPorts(workloads []*mesh.Workload, traffic mesh.Traffic) []streamPort {
	var all []streamPort
	for _, w := range workloads {
		ports := t.Model(w).Ports
		for _, number := range slices.Sorted(maps.Keys(ports)) {
			if p := ports[number]; p.Declared != nil && p.Traffic == traffic {
				all = append(all, streamPort{w, p})
			}
		}
	}
	return all
}

// streams tells what becomes of a policy's rules where bytes are no requests:
// on ports that are declared so, and on those that are sniffed (AP-57..AP-59,
// AP-64).
func (t *teller) streams(p *mesh.AuthorizationPolicy, workloads []*mesh.Workload) {
	for _, traffic := range []mesh.Traffic{mesh.TCPTraffic, mesh.SniffedTraffic} {
		ports := t.streamPorts(workloads, traffic)
		if len(ports) == 0 {
			continue
		}
		if p.Spec.Action == security.AuthorizationPolicy_CUSTOM {
			ports = t.unasked(p, ports)
		}
		c := &compiler{domains: t.snapshot.TrustDomains(), tcp: true}
		compiled := c.byIndex(p)
		for i := range p.Spec.Rules {
			t.onStream(p, i, compiled[i], ports)
		}
	}
}

// unasked tells where a CUSTOM policy does nothing because its provider can
// judge requests only; it gives the other ports.
func (t *teller) unasked(p *mesh.AuthorizationPolicy, ports []streamPort) []streamPort {
	var silent, rest []streamPort
	for _, port := range ports {
		holds := slices.ContainsFunc(t.Model(port.workload).TCP.Custom, func(s CustomStage) bool { return s.Provider == p.Spec.GetProvider().GetName() })
		if holds {
			rest = append(rest, port)
		} else {
			silent = append(silent, port)
		}
	}
	if silent != nil {
		t.sayBy(OnStreams, causeOf(p.Object, "spec", "provider"), "On %s%s the policy%s does nothing: its provider can judge HTTP requests only.",
			t.portList(silent), whereBytes(silent[0].Traffic), t.ofOther(p))
	}
	return rest
}

// onStream tells what becomes of one rule.
func (t *teller) onStream(p *mesh.AuthorizationPolicy, index int, compiled *Rule, ports []streamPort) {
	fields := httpFields((&compiler{tcp: true}).faults(p, index))
	written := (&compiler{domains: t.snapshot.TrustDomains()}).byIndex(p)[index]
	if len(fields) == 0 || written == nil {
		return // it holds as it is written, or nowhere
	}
	holding := compiled
	if compiled == nil {
		holding = written
	}
	ports = slices.DeleteFunc(slices.Clone(ports), func(s streamPort) bool { return !holding.reaches(s.Port) })
	if len(ports) == 0 {
		return
	}
	by, name := ruleCause(p, index), t.ruleName(p, index)
	where := fmt.Sprintf("On %s%s", t.portList(ports), whereBytes(ports[0].Traffic))
	if compiled == nil {
		t.sayBy(OnStreams, by, "%s %s does not count: a byte stream has no %s.", where, lowerFirst(name), either(fields))
		return
	}
	t.sayBy(OnStreams, by, "%s %s matches more, as a byte stream has no %s: there it %s %s.", where, lowerFirst(name), either(fields), t.does(p), compiled.words())
}

// ofOther names a policy that is not the one explained.
func (t *teller) ofOther(p *mesh.AuthorizationPolicy) string {
	if p == t.own {
		return ""
	}
	return " " + p.Namespace + "/" + p.Name
}

// portList names ports, and their workloads where not one is explained.
func (t *teller) portList(ports []streamPort) string {
	var workloads []*mesh.Workload
	numbers := map[*mesh.Workload][]string{}
	for _, p := range ports {
		if numbers[p.workload] == nil {
			workloads = append(workloads, p.workload)
		}
		numbers[p.workload] = append(numbers[p.workload], fmt.Sprint(p.Number))
	}
	if t.focus != nil {
		return plural("port", numbers[t.focus])
	}
	var all []string
	for _, w := range workloads {
		all = append(all, plural("port", numbers[w])+" of "+w.String())
	}
	return few(all)
}

// whereBytes says when a port's connections are byte streams.
func whereBytes(traffic mesh.Traffic) string {
	if traffic == mesh.SniffedTraffic {
		return ", where the protocol is not declared and the bytes do not look like HTTP,"
	}
	return ", which carries bytes that are no HTTP requests,"
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]|0x20) + s[1:]
}

// reaches tells whether a rule can match anything on a port at all.
func (r *Rule) reaches(p *Port) bool {
	f := &facts{port: p.Number, unknown: ^setOf(LocalPort) &^ setOf(FilterMetadata)}
	if p.Mode == Disable {
		f.unknown &^= setOf(PeerIdentity) // nobody has one there
	}
	return r.judge(f) != no
}
