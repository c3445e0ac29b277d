package mesh

import (
	"fmt"
	"slices"
	"strings"
)

// The API groups of Istio's objects that a snapshot reads, and the versions in
// which their meaning is the same.
const (
	securityGroup   = "security.istio.io"
	networkingGroup = "networking.istio.io"
)

func servedVersions(group string) []string {
	if group == networkingGroup {
		return []string{"v1", "v1beta1", "v1alpha3"}
	}
	return []string{"v1", "v1beta1"}
}

// securityKinds are those that a mistake in their group would leave out, and a
// mesh open. Other projects have kinds of these names in groups of their own.
func securityKinds() []string {
	return []string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"}
}

func networkingKinds() []string {
	return []string{"DestinationRule", "EnvoyFilter", "Gateway", "ProxyConfig", "ServiceEntry", "Sidecar", "VirtualService", "WorkloadEntry", "WorkloadGroup"}
}

// homeOf is the group of Istio's that has a kind; "" for none.
func homeOf(kind string) string {
	switch {
	case slices.Contains(securityKinds(), kind):
		return securityGroup
	case slices.Contains(networkingKinds(), kind):
		return networkingGroup
	}
	return ""
}

// successor is what took the place of a kind that Istio no longer has; "" for
// others.
func successor(group, kind string) string {
	byKind := map[string]string{
		"Policy": "PeerAuthentication and RequestAuthentication", "MeshPolicy": "PeerAuthentication in the root namespace",
		"ServiceRole": "AuthorizationPolicy", "ServiceRoleBinding": "AuthorizationPolicy",
		"ClusterRbacConfig": "AuthorizationPolicy", "RbacConfig": "AuthorizationPolicy",
		"RouteRule": "VirtualService", "EgressRule": "ServiceEntry", "DestinationPolicy": "DestinationRule", "ExternalService": "ServiceEntry",
		"QuotaSpec": "an EnvoyFilter with a rate limit", "QuotaSpecBinding": "an EnvoyFilter with a rate limit",
	}
	if byKind[kind] != "" {
		return byKind[kind]
	}
	// All that Mixer was told went with it.
	mixer := "Telemetry, WasmPlugin or an AuthorizationPolicy with action CUSTOM"
	return map[string]string{
		"config.istio.io": mixer, "mixer.istio.io": mixer,
		"rbac.istio.io": "AuthorizationPolicy", "authentication.istio.io": "PeerAuthentication and RequestAuthentication",
	}[group]
}

// checkAPI refuses Istio's kinds under an API version that no cluster serves:
// kubectl would refuse them, and without them a mesh means something else.
func checkAPI(o *Object) error {
	group, version, versioned := strings.Cut(o.APIVersion, "/")
	known := group == securityGroup || group == networkingGroup
	at := []string{"apiVersion"}
	switch {
	case strings.HasSuffix(group, ".istio.io") && successor(group, o.Kind) != "":
		return o.fault(at, "write "+successor(group, o.Kind)+" instead", &Defect{Class: GoneKind, text: fmt.Sprintf("%s of %s is gone from Istio", o.Kind, o.APIVersion)})
	case known && versioned && slices.Contains(servedVersions(group), version):
		if o.Name == "" && !o.generated {
			return o.fault([]string{"metadata"}, "give it metadata.name", fmt.Errorf("%s has no name", o.Kind))
		}
		return nil
	case known:
		return o.fault(at, "expected "+group+"/"+strings.Join(servedVersions(group), ", "), &Defect{Class: UnknownVersion, text: fmt.Sprintf("unknown version %q", o.APIVersion)})
	case slices.Contains(securityKinds(), o.Kind) && (group == "v1" || group == "" || strings.Contains(group, "istio")):
		return o.fault(at, "expected "+securityGroup+"/v1", &Defect{Class: UnknownKind, text: fmt.Sprintf("%s is no kind of %q", o.Kind, o.APIVersion)})
	}
	return nil
}

// keepLast leaves of objects that name the same thing the one that comes last,
// as kubectl apply does, and says so.
func (s *Snapshot) keepLast(objects []*Object) []*Object {
	last := map[string]*Object{}
	key := func(o *Object) string {
		group, _, _ := strings.Cut(o.APIVersion, "/")
		return strings.Join([]string{group, o.Kind, o.Namespace, o.Name}, "\x00")
	}
	for _, o := range objects {
		if before := last[key(o)]; before != nil && o.Name != "" {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: %s stands at %s too: the last one counts, as with kubectl apply", o.Location, o, before.Location))
		}
		last[key(o)] = o
	}
	return slices.DeleteFunc(objects, func(o *Object) bool { return o.Name != "" && last[key(o)] != o })
}
