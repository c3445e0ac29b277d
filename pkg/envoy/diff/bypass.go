package diff

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// bypassKind is a change of what reaches the sidecar at all. No listener tells of
// it, only the pod's annotations: it is found where both sides are manifests.
const (
	bypassKind  = "interception"
	passesWords = "passes through the sidecar"
)

// bypass is a port that is kept from the sidecar on one of the sides, or no
// longer (PA-22). Port 0 are all that the annotations do not name.
type bypass struct {
	port  uint32
	now   bool
	cause *policy.Cause
}

// bypasses are the ports that pass the sidecar by on one side only.
func (n *narrator) bypasses() []bypass {
	if n.before == nil || n.after == nil || n.before.Workload == nil || n.after.Workload == nil {
		return nil
	}
	old, now := n.before.Workload, n.after.Workload
	others, had := passes(now, 0), passes(old, 0)
	declared := maps.Clone(n.before.Ports)
	maps.Copy(declared, n.after.Ports)
	ports := map[uint32]bool{0: true}
	for port := range declared {
		ports[port] = true
	}
	for _, w := range []*mesh.Workload{old, now} {
		for port := range listedPorts(w) {
			ports[port] = true
		}
	}
	var found []bypass
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		was, is := passes(old, port), passes(now, port)
		if was == is || port != 0 && declared[port] == nil && was == had && is == others {
			continue // as before, or as all ports that are not named
		}
		found = append(found, bypass{port, is, bypassCause(old, now, port)})
	}
	return found
}

func passes(w *mesh.Workload, port uint32) bool {
	_, yes := w.BypassesInbound(int32(port)) //nolint:gosec // a port
	return yes
}

// listedPorts are those that a pod's annotations name.
func listedPorts(w *mesh.Workload) map[uint32]bool {
	ports := map[uint32]bool{}
	for name, text := range w.PodAnnotations {
		if !strings.HasPrefix(name, "traffic.sidecar.istio.io/") || !strings.HasSuffix(name, "InboundPorts") {
			continue
		}
		for item := range strings.SplitSeq(text, ",") {
			if port, err := strconv.ParseUint(strings.TrimSpace(item), 10, 16); err == nil {
				ports[uint32(port)] = true
			}
		}
	}
	return ports
}

// bypassCause is the annotation that keeps a port from the sidecar, or the pods
// that no longer have such a one.
func bypassCause(old, now *mesh.Workload, port uint32) *policy.Cause {
	name, bypassed := now.BypassesInbound(int32(port)) //nolint:gosec // a port
	text := "annotation " + name + " of " + now.String()
	if !bypassed {
		if name, _ = old.BypassesInbound(int32(port)); now.PodAnnotations[name] == "" { //nolint:gosec // a port
			text = now.String() + " no longer has the annotation " + name
		} else {
			text = "annotation " + name + " of " + now.String()
		}
	}
	return &policy.Cause{Object: text, At: now.Locate(append(templatePath(now), "metadata", "annotations", name)...)}
}

// templatePath leads to the pods of a workload's object.
func templatePath(w *mesh.Workload) []string {
	for _, t := range append(mesh.BuiltinPodTemplates(), mesh.KnownPodTemplates()...) {
		if t.Kind == w.Kind {
			return slices.Clone(t.Path)
		}
	}
	return []string{"spec", "template"}
}

// bypassChanges are the same as changes.
func bypassChanges(all []bypass) []Change {
	var changes []Change
	for _, b := range all {
		where := "other ports"
		if b.port != 0 {
			where = fmt.Sprintf("port %d", b.port)
		}
		words := map[bool]string{true: "bypasses the sidecar", false: passesWords}
		changes = append(changes, Change{
			Op: Changed, Kind: bypassKind, Key: []string{bypassKind + " of " + where}, Cause: b.cause,
			Fields: []Field{{"inbound", words[!b.now], words[b.now]}},
		})
	}
	return changes
}

// bypassed tells of ports that no longer reach the sidecar, or do again.
func (n *narrator) bypassed(all []bypass) {
	n.about(bypassKind)
	for _, b := range all {
		where, end := "inbound ports of "+n.name+" that no annotation names", ""
		if b.port != 0 {
			where, end = fmt.Sprintf("inbound :%d of %s", b.port, n.name), "es"
		}
		if b.now {
			n.say(Looser, b.cause, "%s now bypass%s the sidecar, which enforces nothing there", where, end)
		} else {
			n.say(Tighter, b.cause, "%s now pass%s through the sidecar, which enforces what it is told", where, end)
		}
	}
}
