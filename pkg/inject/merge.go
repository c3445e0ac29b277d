package inject

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// newPodSchema is what the API types say of how a pod's lists merge (INJ-56).
func newPodSchema() (strategicpatch.LookupPatchMeta, error) {
	return strategicpatch.NewPatchMetaFromStruct(&corev1.Pod{})
}

// merge is Kubernetes' strategic merge of patch onto tree. It consumes both.
func (i *Injector) merge(tree, patch map[string]any) (map[string]any, error) {
	return strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(tree, patch, i.podSchema)
}

// hasDirective tells whether a patch says "$patch" and the like anywhere.
func hasDirective(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.HasPrefix(key, "$") || hasDirective(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasDirective)
	}
	return false
}

// moveProxyToInit makes way for a native proxy: where the template has it as
// init container and the pod as ordinary one, the pod's entry moves (INJ-59).
func moveProxyToInit(pod, patch map[string]any) {
	if itemNamed(patch, "initContainers", proxyContainer) < 0 {
		return
	}
	at := itemNamed(pod, "containers", proxyContainer)
	if at < 0 {
		return
	}
	spec := pod["spec"].(map[string]any)
	containers := spec["containers"].([]any)
	own := containers[at]
	spec["containers"] = append(containers[:at:at], containers[at+1:]...)
	inits, _ := spec["initContainers"].([]any)
	spec["initContainers"] = append(inits, own)
}

// itemNamed is the index in a pod's spec.<list> of the item called name, -1 if
// there is none.
func itemNamed(pod map[string]any, list, name string) int {
	spec, _ := pod["spec"].(map[string]any)
	items, _ := spec[list].([]any)
	for n, item := range items {
		if m, ok := item.(map[string]any); ok && m["name"] == name {
			return n
		}
	}
	return -1
}
