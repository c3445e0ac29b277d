package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// peer explains a PeerAuthentication.
func (t *teller) peer(p *mesh.PeerAuthentication) {
	labels := p.Spec.GetSelector().GetMatchLabels()
	switch root := p.Namespace == t.snapshot.RootNamespace(); {
	case root && len(labels) > 0:
		t.sayBy(OnSelection, causeOf(p.Object, "spec", "selector"),
			"It has a selector and is in the root namespace, where PeerAuthentications with selectors have no effect on any workload, not even there: move it to the namespace of the workloads.")
		return
	case root:
		t.sayBy(OnSelection, causeOf(p.Object), "It is in the root namespace and has no selector: it is for the whole mesh, where no PeerAuthentication of a namespace or workload says otherwise.")
	case len(labels) == 0:
		t.sayBy(OnSelection, causeOf(p.Object), "It has no selector: it is for namespace %s, where no PeerAuthentication of a workload says otherwise.", p.Namespace)
	}
	selected := t.peerSelection(p, labels)
	t.peerMode(p)
	t.hidden(p, selected)
	t.peerPorts(p, selected)
	t.modes(p, guarded(selected))
	t.holes(p, guarded(selected))
}

// peerSelection are the workloads of a policy's level; where it has labels, they
// are told.
func (t *teller) peerSelection(p *mesh.PeerAuthentication, labels map[string]string) []*mesh.Workload {
	if len(labels) > 0 {
		return t.selection(p.Object, p.Spec.GetSelector(), nil)
	}
	var all []*mesh.Workload
	for _, w := range t.snapshot.Workloads {
		if slices.Contains(namespaces(t.snapshot, w), p.Namespace) {
			all = append(all, w)
		}
	}
	if all == nil {
		t.sayBy(OnSelection, causeOf(p.Object), "The files have no workload there.")
	}
	t.unguarded(all)
	return all
}

// peerMode tells what a policy says itself (PA-1).
func (t *teller) peerMode(p *mesh.PeerAuthentication) {
	by := causeOf(p.Object, "spec", "mtls")
	mode, set := modeOfPolicy(p)
	if !set {
		t.sayBy(OnEffect, causeOf(p.Object, "spec"), "It leaves the mode to the level above: namespace, then mesh, then PERMISSIVE.")
		return
	}
	t.sayBy(OnEffect, by, "It says %s: %s.", mode, modeWords(mode))
}

// modeWords say what a mode means to clients.
func modeWords(mode Mode) string {
	switch mode {
	case Strict:
		return "connections need mTLS with a certificate of the mesh, all others are refused"
	case Disable:
		return "the sidecar speaks no TLS, so no caller has an identity and clients that insist on mTLS fail"
	}
	return "both mTLS and plaintext are taken; a caller without mTLS has no identity"
}

// hidden tells which other policy of the same level takes a policy's place
// (PA-3..PA-5).
func (t *teller) hidden(p *mesh.PeerAuthentication, selected []*mesh.Workload) {
	if len(p.Spec.GetSelector().GetMatchLabels()) == 0 {
		levels := namespacePeers(t.snapshot, p.Namespace)
		if winner := levels[len(levels)-1]; winner != p {
			t.sayBy(OnEffect, causeOf(winner.Object), "It has no effect: %s is for the same level and %s, and the oldest alone counts%s.", winner, older(winner, p), hiding(winner))
		}
		return
	}
	byWinner := map[*mesh.PeerAuthentication][]*mesh.Workload{}
	var winners []*mesh.PeerAuthentication
	for _, w := range selected {
		winner := mutualTLS(t.snapshot, w).PortsFrom
		if winner == nil || winner == p {
			continue
		}
		if byWinner[winner] == nil {
			winners = append(winners, winner)
		}
		byWinner[winner] = append(byWinner[winner], w)
	}
	for _, winner := range winners {
		t.sayBy(OnEffect, causeOf(winner.Object), "It has no effect on %s: %s selects the same and %s, and the oldest alone counts%s.", named(byWinner[winner]), winner, older(winner, p), hiding(winner))
	}
}

// older says why one policy comes before another.
func older(winner, p *mesh.PeerAuthentication) string {
	switch {
	case winner.Created.Equal(p.Created) && winner.Created.IsZero():
		return "comes first by name (neither says when it was created)"
	case winner.Created.Equal(p.Created):
		return "comes first by name (both were created at the same time)"
	}
	return "is older"
}

// hiding tells that a policy hides others though it says nothing itself (PA-5).
func hiding(winner *mesh.PeerAuthentication) string {
	if _, set := modeOfPolicy(winner); !set {
		return ", though it leaves the mode open"
	}
	return ""
}

// peerPorts tells of the exceptions for ports (PA-7, PA-8).
func (t *teller) peerPorts(p *mesh.PeerAuthentication, selected []*mesh.Workload) {
	exceptions := p.Spec.GetPortLevelMtls()
	if len(exceptions) == 0 {
		return
	}
	if len(p.Spec.GetSelector().GetMatchLabels()) == 0 {
		t.sayBy(OnCaution, causeOf(p.Object, "spec", "portLevelMtls"), "Its portLevelMtls are ignored: they need a selector.")
		return
	}
	for _, number := range slices.Sorted(maps.Keys(exceptions)) {
		by := causeOf(p.Object, "spec", "portLevelMtls", strconv.Itoa(int(number)))
		mode, set := modeOf(exceptions[number])
		if !set {
			t.sayBy(OnEffect, by, "Port %d keeps the workload's mode.", number)
		} else {
			t.sayBy(OnEffect, by, "Port %d is %s: %s.", number, mode, modeWords(mode))
		}
		t.servicePort(by, number, guarded(selected))
	}
}

// servicePort warns of a number that is a Service's where the workload's is
// meant (T-12).
func (t *teller) servicePort(by Cause, number uint32, selected []*mesh.Workload) {
	for _, w := range selected {
		if service, own := t.mistaken(w, number); own != 0 {
			t.sayBy(OnCaution, by, "Port %d is one of %s; the workload's own port behind it is %d, and that is what counts here.", number, service, own)
		}
	}
}

// mistaken finds the workload's port behind a Service's port of another number;
// 0 where the workload has a port of that number itself, or no Service has.
func (t *teller) mistaken(w *mesh.Workload, number uint32) (*mesh.Service, int32) {
	var service *mesh.Service
	var own int32
	for _, in := range t.snapshot.InboundPorts(w) {
		if uint32(in.Number) == number { //nolint:gosec // a port
			return nil, 0
		}
		if own == 0 && uint32(in.Port.Number) == number { //nolint:gosec // a port
			service, own = in.Service, in.Number
		}
	}
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if uint32(p.ContainerPort) == number { //nolint:gosec // a port
				return nil, 0
			}
		}
	}
	return service, own
}

// modes tell what holds for the workloads in the end, port by port.
func (t *teller) modes(p *mesh.PeerAuthentication, workloads []*mesh.Workload) {
	byText := map[string][]*mesh.Workload{}
	var texts []string
	for _, w := range workloads {
		text := t.modesOf(w, p)
		if byText[text] == nil {
			texts = append(texts, text)
		}
		byText[text] = append(byText[text], w)
	}
	for _, text := range texts {
		t.say(OnTransport, "%s: %s.", named(byText[text]), text)
	}
}

// modesOf are the modes of a workload's ports: "STRICT, but port 9000
// PERMISSIVE", with the policies that set them where p does not.
func (t *teller) modesOf(w *mesh.Workload, p *mesh.PeerAuthentication) string {
	tls := t.Model(w).TLS
	text := string(tls.Mode) + setBy(tls.From, p)
	byMode := map[Mode][]string{}
	for _, number := range slices.Sorted(maps.Keys(tls.Ports)) {
		if mode := tls.Ports[number]; mode != tls.Mode {
			byMode[mode] = append(byMode[mode], strconv.Itoa(int(number)))
		}
	}
	var exceptions []string
	for _, mode := range slices.Sorted(maps.Keys(byMode)) {
		exceptions = append(exceptions, fmt.Sprintf("%s on %s%s", mode, plural("port", byMode[mode]), setBy(tls.PortsFrom, p)))
	}
	if exceptions != nil {
		text += ", but " + both(exceptions)
	}
	return text
}

func plural(noun string, values []string) string {
	if len(values) > 1 {
		noun += "s"
	}
	return noun + " " + both(values)
}

func setBy(from, p *mesh.PeerAuthentication) string {
	switch from {
	case p:
		return ""
	case nil:
		return " (nothing says otherwise)"
	}
	return " (by " + from.Namespace + "/" + from.Name + ")"
}

// holes tell where clients do not see what a policy says: they look at the
// modes of namespaces and the mesh only (DR-12, DR-13, T-14).
func (t *teller) holes(p *mesh.PeerAuthentication, workloads []*mesh.Workload) {
	for _, w := range workloads {
		tls := t.Model(w).TLS
		if tls.PortsFrom != p {
			continue
		}
		if namespaceMode(t.snapshot, w.Namespace) == Disable {
			if tls.someIs(Strict) {
				t.sayBy(OnCaution, causeOf(p.Object), "Clients look at namespace and mesh only, and namespace %s is DISABLE: they send plaintext to %s, which refuses it, unless a DestinationRule says ISTIO_MUTUAL.", w.Namespace, w)
			}
		} else if headless := t.headless(w); headless != nil && tls.someIs(Disable) {
			t.sayBy(OnCaution, causeOf(p.Object), "%s %s headless: clients do not see that %s takes no mTLS and send it all the same, unless a DestinationRule says DISABLE.", both(headless), isAre(len(headless)), w)
		}
	}
}

// namespaceMode is what clients take a namespace's mode for (PA-11).
func namespaceMode(s *mesh.Snapshot, namespace string) Mode {
	mode := Permissive
	for _, p := range namespacePeers(s, namespace) {
		if set, ok := modeOfPolicy(p); ok {
			mode = set
		}
	}
	return mode
}

// someIs tells whether some port of the workload has a mode.
func (m *MutualTLS) someIs(mode Mode) bool {
	return m.Mode == mode || slices.Contains(slices.Collect(maps.Values(m.Ports)), mode)
}

// headless are the headless Services of a workload.
func (t *teller) headless(w *mesh.Workload) []string {
	var all []string
	for _, service := range servicesOf(t.snapshot, w) {
		if service.Headless() {
			all = append(all, service.String())
		}
	}
	return all
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
