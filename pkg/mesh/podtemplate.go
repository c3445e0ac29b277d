package mesh

import (
	"fmt"
	"slices"
	"strings"
)

// PodTemplate tells where a kind of another API group keeps its pod template.
type PodTemplate struct {
	Group string // API group, such as argoproj.io
	Kind  string
	Path  []string // the fields that lead to it, such as spec, template
}

// KnownPodTemplates are the kinds that nobody has to name.
func KnownPodTemplates() []PodTemplate {
	return []PodTemplate{
		{"argoproj.io", "Rollout", []string{"spec", "template"}},
		{"serving.knative.dev", "Service", []string{"spec", "template"}},
	}
}

// ParsePodTemplate reads "Kind.group=path.to.template".
func ParsePodTemplate(s string) (PodTemplate, error) {
	name, path, ok := strings.Cut(s, "=")
	kind, grp, qualified := strings.Cut(name, ".")
	steps := strings.Split(strings.TrimPrefix(path, "."), ".")
	if !ok || !qualified || kind == "" || grp == "" || slices.Contains(steps, "") {
		return PodTemplate{}, fmt.Errorf("pod template %q: expected Kind.group=path, such as Rollout.argoproj.io=spec.template", s)
	}
	return PodTemplate{Group: grp, Kind: kind, Path: steps}, nil
}

// BuiltinPodTemplates are Kubernetes' own kinds that run pods, under all the
// groups that they have had.
func BuiltinPodTemplates() []PodTemplate {
	template := []string{"spec", "template"}
	all := []PodTemplate{
		{"", "Pod", nil},
		{"", "ReplicationController", template},
		{"batch", "Job", template},
		{"batch", "CronJob", []string{"spec", "jobTemplate", "spec", "template"}},
		{"apps.openshift.io", "DeploymentConfig", template},
	}
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"} {
		all = append(all, PodTemplate{"apps", kind, template}, PodTemplate{"extensions", kind, template})
	}
	return all
}
