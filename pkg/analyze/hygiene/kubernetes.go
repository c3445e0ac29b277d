package hygiene

import (
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// builtinKinds are those of Kubernetes and of its Gateway API, by group; nobody
// else may add to these groups.
func builtinKinds() map[string][]string {
	return map[string][]string{
		"": {
			"Binding", "ComponentStatus", "ConfigMap", "Endpoints", "Event", "LimitRange", "List", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim",
			"Pod", "PodTemplate", "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount",
		},
		"apps":                         {"ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"},
		"batch":                        {"CronJob", "Job"},
		"autoscaling":                  {"HorizontalPodAutoscaler"},
		"policy":                       {"Eviction", "PodDisruptionBudget", "PodSecurityPolicy"},
		"networking.k8s.io":            {"IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"},
		"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
		"storage.k8s.io":               {"CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
		"scheduling.k8s.io":            {"PriorityClass"},
		"discovery.k8s.io":             {"EndpointSlice"},
		"apiextensions.k8s.io":         {"CustomResourceDefinition"},
		"admissionregistration.k8s.io": {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"},
		"gateway.networking.k8s.io":    {"BackendLBPolicy", "BackendTLSPolicy", "GRPCRoute", "Gateway", "GatewayClass", "HTTPRoute", "ListenerSet", "ReferenceGrant", "TCPRoute", "TLSRoute", "UDPRoute"},
		"extensions":                   nil, // all that was there has moved
	}
}

// homes are the groups of Kubernetes that have a kind, sorted.
func homes(kind string) []string {
	var groups []string
	for group, kinds := range builtinKinds() {
		if slices.Contains(kinds, kind) {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return groups
}

// stableVersion is the version of a group of Kubernetes that has all of its
// older kinds.
func stableVersion(group string) string {
	switch group {
	case "":
		return "v1"
	case "autoscaling":
		return "autoscaling/v2"
	}
	return group + "/v1"
}

// builtin reports an object whose kind, group or version is written like one of
// Kubernetes' and is none, and tells whether the object is Kubernetes' own.
func builtin(p *analyze.Pass, o *mesh.Object, group, version string) bool {
	kinds, closed := builtinKinds()[group]
	at := []string{"apiVersion"}
	switch where := homes(o.Kind); {
	case closed && slices.Contains(kinds, o.Kind):
		oldVersion(p, o, group, version)
	case closed && len(where) == 1:
		r := p.ReportCode("MSH0302", o, at, "%s is no kind of %q: write %s", o.Kind, o.APIVersion, stableVersion(where[0]))
		if group != "extensions" { // whose fields were others
			r.SetValue(at, stableVersion(where[0]))
		}
	case closed:
		return misspeltKind(p, o, kinds)
	case len(where) == 1 && where[0] != "" && mesh.Nearest(group, where) != "":
		p.ReportCode("MSH0302", o, at, "there is no group %q: did you mean %s?", group, stableVersion(where[0])).SetValue(at, stableVersion(where[0]))
	default:
		return false
	}
	return true
}

// misspeltKind reports a kind that is like one of its group, or, for those who
// leave the group out, like one of another. Others may be of an extension.
func misspeltKind(p *analyze.Pass, o *mesh.Object, kinds []string) bool {
	near := likeKind(o.Kind, kinds)
	hint := ""
	if near == "" {
		var all []string
		for _, kinds := range builtinKinds() {
			all = append(all, kinds...)
		}
		if near = likeKind(o.Kind, all); near == "" {
			return false
		}
		hint = " of " + stableVersion(homes(near)[0])
	}
	r := p.ReportCode("MSH0302", o, []string{"kind"}, "unknown kind %q of %s; did you mean %q%s?", o.Kind, o.APIVersion, near, hint)
	if hint == "" {
		r.SetValue([]string{"kind"}, near)
	}
	return true
}

// shortKind is a length at which two letters make another word.
const shortKind = 5

// likeKind is the kind that is meant by a word; "" for none.
func likeKind(word string, kinds []string) string {
	near := mesh.Nearest(word, kinds)
	if near == "" || len(word) > shortKind || strings.EqualFold(strings.TrimSuffix(word, "s"), near) {
		return near
	}
	return ""
}

// oldVersion reports versions that no cluster serves any more, or never did.
func oldVersion(p *analyze.Pass, o *mesh.Object, group, version string) {
	only := slices.Contains([]string{"", "apps"}, group) || slices.Contains([]string{
		"CronJob", "Job", "Ingress", "IngressClass", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
		"CustomResourceDefinition", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "EndpointSlice", "PriorityClass",
	}, o.Kind)
	if !only || version == "v1" {
		return
	}
	p.ReportCode("MSH0303", o, []string{"apiVersion"}, "no cluster serves %s of %s: write %s, and look at its fields", o.Kind, o.APIVersion, stableVersion(group))
}
