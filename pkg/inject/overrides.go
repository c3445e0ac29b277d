package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// overrides are the user's own settings of injected containers, kept in an
// annotation for the next injection (INJ-61).
type overrides struct {
	Containers     []corev1.Container `json:"containers,omitempty"`
	InitContainers []corev1.Container `json:"initContainers,omitempty"`
}

func parseOverrides(annotations map[string]string) (overrides, error) {
	var o overrides
	if text, ok := annotations[annotationOverrides]; ok {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return o, &annotationFault{annotationOverrides, fmt.Errorf("annotation %s: %w", annotationOverrides, err)}
		}
	}
	return o, nil
}

// applyOverrides lays the user's containers of the same name over the injected
// ones (INJ-60) and remembers them.
func (n *injection) applyOverrides() error {
	kept, err := parseOverrides(n.original.Annotations)
	if err != nil {
		return err
	}
	earlier := sidecarStatus{}
	if n.status != nil {
		earlier = *n.status
	}
	applied := overrides{}
	spec := &n.pod.Spec
	applied.Containers, err = n.applyOverridesTo(&spec.Containers, n.added.Containers, earlier.Containers, kept.Containers)
	if err != nil {
		return fmt.Errorf("failed to apply sidecar container: %w", err)
	}
	applied.InitContainers, err = n.applyOverridesTo(&spec.InitContainers, n.added.InitContainers, earlier.InitContainers, kept.InitContainers)
	if err != nil {
		return fmt.Errorf("failed to apply sidecar init container: %w", err)
	}
	if n.status == nil && (applied.Containers != nil || applied.InitContainers != nil) {
		text, err := json.Marshal(applied)
		if err != nil {
			return err
		}
		setAnnotation(n.pod, annotationOverrides, string(text))
	}
	n.adjustInitUser()
	return nil
}

// applyOverridesTo handles one list: of the containers that the templates
// added to it, those that an earlier injection had not.
func (n *injection) applyOverridesTo(list *[]corev1.Container, added, earlier []string, kept []corev1.Container) ([]corev1.Container, error) {
	var applied []corev1.Container
	for _, name := range added {
		o := n.override(name, kept)
		if o == nil || slices.Contains(earlier, name) {
			continue
		}
		applied = append(applied, *o)
		if err := n.overlay(list, *o); err != nil {
			return nil, err
		}
	}
	return applied, nil
}

// override is what the user says of an injected container: the annotation's
// word, else the pod's own container of that name. Image "auto" says nothing.
func (n *injection) override(name string, kept []corev1.Container) *corev1.Container {
	own := containerNamed(kept, name)
	if own == nil {
		own = containerNamed(n.original.Spec.Containers, name)
	}
	if own == nil {
		own = containerNamed(n.original.Spec.InitContainers, name)
	}
	if own == nil {
		return nil
	}
	own = own.DeepCopy()
	if own.Image == autoImage {
		own.Image = ""
	}
	return own
}

// overlay merges one container onto the list's container of that name.
func (n *injection) overlay(list *[]corev1.Container, over corev1.Container) error {
	base, err := treeOf(&corev1.Pod{Spec: corev1.PodSpec{Containers: *list}})
	if err != nil {
		return err
	}
	patch, err := treeOf(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{over}}})
	if err != nil {
		return err
	}
	merged, err := n.merge(base, map[string]any{"spec": map[string]any{"containers": patch["spec"].(map[string]any)["containers"]}})
	if err != nil {
		return fmt.Errorf("container %q: %w", over.Name, err)
	}
	pod, err := fromTree(merged)
	if err != nil {
		return fmt.Errorf("container %q: %w", over.Name, err)
	}
	*list = pod.Spec.Containers
	return nil
}

// adjustInitUser carries the user ID that the user gives the proxy over to the
// container that sets up or checks traffic capture (INJ-62).
func (n *injection) adjustInitUser() {
	own := sidecarOf(&n.original.Spec)
	if own == nil || own.SecurityContext == nil {
		return
	}
	user, grp := own.SecurityContext.RunAsUser, own.SecurityContext.RunAsGroup
	if user == nil && grp == nil {
		return
	}
	capture := containerNamed(n.pod.Spec.InitContainers, initContainer)
	if capture == nil {
		capture = containerNamed(n.pod.Spec.InitContainers, validationContainer)
	}
	if capture == nil {
		return
	}
	tproxy := n.proxyConfig.InterceptionMode.String() == "TPROXY" || n.pod.Annotations[annotationInterceptionMode] == "TPROXY"
	switch {
	case tproxy:
		// TPROXY needs root, whatever the user asked for.
		if proxy := sidecarOf(&n.pod.Spec); proxy != nil && proxy.SecurityContext != nil {
			proxy.SecurityContext.RunAsUser = ptr.To[int64](0)
		}
	case capture.Name == validationContainer && capture.SecurityContext != nil:
		if user != nil {
			capture.SecurityContext.RunAsUser = user
		}
		if grp != nil {
			capture.SecurityContext.RunAsGroup = grp
		}
	}
	// Traffic of user 0 must not escape capture.
	if user == nil || *user == 0 {
		return
	}
	if flag := slices.Index(capture.Args, "-u"); flag >= 0 && flag+1 < len(capture.Args) {
		capture.Args[flag+1] = strconv.FormatInt(*user, 10)
	}
}

func setAnnotation(pod *corev1.Pod, key, value string) {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[key] = value
}
