package inject

import "github.com/meshctl/meshctl/pkg/report"

// Reason says what became of an object. The list is closed: reports and
// --fail-on-skip build on it.
type Reason string

// The reasons. All but Injected leave the object as it was.
const (
	Injected           Reason = "injected"
	HostNetwork        Reason = "host-network"        // spec.hostNetwork is true (INJ-20a)
	SystemNamespace    Reason = "system-namespace"    // kube-system and its like (INJ-20b)
	DisabledByLabel    Reason = "disabled-by-label"   // sidecar.istio.io/inject label (INJ-20c)
	DisabledByAnnotate Reason = "disabled-annotation" // the same key as annotation (INJ-21)
	NeverSelector      Reason = "never-selector"      // neverInjectSelector matches (INJ-20d)
	PolicyOff          Reason = "policy-disabled"     // the injector's policy (INJ-20f)
	NoPods             Reason = "no-pods"             // not a kind that runs pods
	ForeignKind        Reason = "foreign-kind"        // only shares a built-in kind's name (INJ-6)
	UnknownKind        Reason = "unknown-kind"        // holds pods as a workload does, but is none that is known
	NotKubernetes      Reason = "not-kubernetes"      // no kind: a comment, or other data
	NotSelected        Reason = "not-selected"        // the label selector does not pick it
	NotInjected        Reason = "not-injected"        // uninject found no sidecar
	Uninjected         Reason = "uninjected"          // uninject took it out
)

// Skipped tells whether the object runs pods and was left without a sidecar.
func (r Reason) Skipped() bool {
	switch r {
	case HostNetwork, SystemNamespace, DisabledByLabel, DisabledByAnnotate, NeverSelector, PolicyOff, ForeignKind, UnknownKind:
		return true
	}
	return false
}

// Describe is the reason in words, for people.
func (r Reason) Describe() string {
	switch r {
	case Injected:
		return "sidecar added"
	case HostNetwork:
		return "host networking: a sidecar cannot capture its traffic"
	case SystemNamespace:
		return "system namespace: never injected"
	case DisabledByLabel:
		return "label " + annotationInject + ": \"false\""
	case DisabledByAnnotate:
		return "annotation " + annotationInject + ": \"false\""
	case NeverSelector:
		return "a neverInjectSelector of the injection config matches"
	case PolicyOff:
		return "the injection config's policy does not inject by default"
	case NoPods:
		return "runs no pods"
	case ForeignKind:
		return "shares only its name with a built-in kind; see --pod-template"
	case UnknownKind:
		return "may run pods, but its kind is not known"
	case NotKubernetes:
		return "not a Kubernetes object"
	case NotSelected:
		return "its labels do not match the selector"
	case NotInjected:
		return "has no sidecar"
	case Uninjected:
		return "sidecar removed"
	}
	return string(r)
}

// Outcome is what became of one object and what the user should know of it.
type Outcome struct {
	Object    report.Object `json:"object"`
	Reason    Reason        `json:"reason"`
	Templates []string      `json:"templates,omitempty"`
	Image     string        `json:"image,omitempty"`
	Revision  string        `json:"revision,omitempty"`
	Warnings  []string      `json:"warnings,omitempty"`
}
