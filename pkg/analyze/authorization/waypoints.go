package authorization

import (
	"fmt"
	"slices"
	"strconv"

	apitype "istio.io/api/type/v1beta1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

const (
	useWaypoint          = "istio.io/use-waypoint"
	useWaypointNamespace = "istio.io/use-waypoint-namespace"
	waypointFor          = "istio.io/waypoint-for"
	waypointClass        = "istio-waypoint"
	gatewayAPI           = "gateway.networking.k8s.io"
)

// waypoints are the proxies of ambient mode that serve services, and who asks
// for them.
type waypoints struct {
	pass       *analyze.Pass
	namespaces map[string]*mesh.Object
	gateways   map[string]*mesh.Object // of the class, by "namespace/name"
	used       map[string]bool         // by somebody's label, by "namespace/name"
	targets    map[string]*mesh.Object // what they serve, by "Kind/namespace/name"
}

func newWaypoints(p *analyze.Pass) *waypoints {
	w := &waypoints{pass: p, namespaces: map[string]*mesh.Object{}, gateways: map[string]*mesh.Object{}, used: map[string]bool{}, targets: map[string]*mesh.Object{}}
	for _, o := range p.Kind("", "Namespace") {
		w.namespaces[o.Name] = o
	}
	for _, o := range p.Kind(gatewayAPI, "Gateway") {
		if gatewayClass(o) == waypointClass {
			w.gateways[o.Namespace+"/"+o.Name] = o
		}
	}
	for _, o := range slices.Concat(p.Kind("", "Service"), p.Kind("networking.istio.io", "ServiceEntry")) {
		w.targets[o.Kind+"/"+o.Namespace+"/"+o.Name] = o
	}
	for _, o := range p.Objects {
		if name, asked := asksFor(o, o.Namespace); asked {
			w.used[name] = true
		}
	}
	for _, load := range p.Workloads {
		if name := load.PodLabels[useWaypoint]; name != "" {
			w.used[load.Namespace+"/"+name] = true
		}
	}
	return w
}

func gatewayClass(o *mesh.Object) string {
	var g struct {
		Spec struct {
			Class string `json:"gatewayClassName"`
		} `json:"spec"`
	}
	if o.Decode(&g) != nil {
		return ""
	}
	return g.Spec.Class
}

// asksFor is the waypoint that an object's labels ask for, for itself or, of a
// Namespace, for all in it.
func asksFor(o *mesh.Object, namespace string) (name string, asked bool) {
	name = o.Labels[useWaypoint]
	if name == "" {
		return "", false
	}
	if other := o.Labels[useWaypointNamespace]; other != "" {
		namespace = other
	} else if o.Kind == "Namespace" {
		namespace = o.Name
	}
	return namespace + "/" + name, true
}

// unserved says why no waypoint serves a Service or ServiceEntry, "" if one
// does, or may.
func (w *waypoints) unserved(o *mesh.Object) string {
	name, asked := asksFor(o, o.Namespace)
	if ns := w.namespaces[o.Namespace]; !asked && ns != nil {
		name, asked = asksFor(ns, o.Namespace)
	}
	switch {
	case !asked && !w.known(o):
		return ""
	case !asked:
		return "no waypoint serves it"
	case o.Labels[useWaypoint] == "none":
		return "it wants no waypoint (" + useWaypoint + ": none)"
	case w.gateways[name] == nil && (w.pass.Complete || len(w.gateways) > 0):
		return fmt.Sprintf("there is no waypoint %s that it asks for", name)
	}
	if g := w.gateways[name]; g != nil && slices.Contains([]string{"workload", "none"}, g.Labels[waypointFor]) {
		return fmt.Sprintf("its waypoint %s is for %s only", name, g.Labels[waypointFor])
	}
	return ""
}

// known tells whether the files say how a service is reached: they are all, or
// have waypoints, or sidecars of the service.
func (w *waypoints) known(o *mesh.Object) bool {
	if w.pass.Complete || len(w.gateways) > 0 || len(w.used) > 0 {
		return true
	}
	v := w.pass.Service(o.Namespace, o.Name)
	return o.Kind == "Service" && v != nil && slices.ContainsFunc(w.pass.Selected(v), func(load *mesh.Workload) bool {
		return load.Membership.Sidecar && load.Membership.Reason != mesh.Assumed
	})
}

// unenforced finds policies that are attached to what no waypoint serves:
// sidecars do not heed targets (AP-4, AP-6).
func unenforced(p *analyze.Pass) {
	w := newWaypoints(p)
	for _, namespace := range namespaces(p, "AuthorizationPolicy", "RequestAuthentication") {
		for _, r := range p.AuthorizationPolicies(namespace) {
			w.policy(r.Object, r.Spec.GetTargetRef(), r.Spec.GetTargetRefs())
		}
		for _, r := range p.RequestAuthentications(namespace) {
			w.policy(r.Object, r.Spec.GetTargetRef(), r.Spec.GetTargetRefs())
		}
	}
}

func (w *waypoints) policy(o *mesh.Object, one *apitype.PolicyTargetReference, refs []*apitype.PolicyTargetReference) {
	at := func(i int) []string { return []string{"spec", "targetRefs", strconv.Itoa(i)} }
	if one != nil {
		refs, at = []*apitype.PolicyTargetReference{one}, func(int) []string { return []string{"spec", "targetRef"} }
	}
	for i, ref := range refs {
		target, why := w.target(o, ref)
		if why == "" {
			continue
		}
		r := w.pass.Report(o, at(i), "nothing enforces the policy for %s %s: %s", ref.GetKind(), ref.GetName(), why)
		if target != nil {
			r.Because(target, nil, "is the target")
		}
	}
}

// target finds what a reference leads to, and why nothing enforces a policy
// there; "" if something does, or may.
func (w *waypoints) target(o *mesh.Object, ref *apitype.PolicyTargetReference) (target *mesh.Object, why string) {
	key := o.Namespace + "/" + ref.GetName()
	switch ref.GetKind() {
	case "Service", "ServiceEntry":
		if target = w.targets[ref.GetKind()+"/"+key]; target == nil {
			return nil, "" // told already
		}
		if why = w.unserved(target); why != "" {
			why += ", and sidecars do not heed targetRefs. Select the workloads with selector, or give it a waypoint with the label " + useWaypoint
		}
		return target, why
	case "Gateway":
		if g := w.gateways[key]; g != nil && !w.used[key] && (w.pass.Complete || len(w.used) > 0) {
			return g, "nothing asks for this waypoint with the label " + useWaypoint
		}
	case "GatewayClass":
		if o.Namespace != w.pass.RootNamespace() {
			return nil, "policies for a class of gateways are read in namespace " + w.pass.RootNamespace() + " only"
		}
		if ref.GetName() != waypointClass {
			return nil, "of classes, " + waypointClass + " is the only one that takes policies"
		}
	}
	return nil, ""
}
