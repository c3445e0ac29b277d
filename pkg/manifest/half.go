package manifest

import (
	"encoding/json"
	"regexp"
	"strings"
)

// apiVersionForm is how Kubernetes writes a group and a version.
var apiVersionForm = regexp.MustCompile(`^(?:[a-z0-9.-]+/)?v\d+(?:(?:alpha|beta)\d+)?$`)

// Neither is what a document lacks that has only the form of an object. Other
// tools have such files too: it takes other objects beside it to be meant as one.
const Neither = "apiVersion and kind"

// MissingHead tells what a document lacks of apiVersion and kind that is meant
// as an object of Kubernetes all the same: it has one of the two, and metadata
// with the form of an object's. It is "" for objects and for what other tools
// read. Keys count in any case, as Kubernetes' own decoder has it.
func MissingHead(text []byte) string {
	var head struct {
		APIVersion any `json:"apiVersion"`
		Kind       any `json:"kind"`
		Metadata   any `json:"metadata"`
		Spec       any `json:"spec"`
	}
	if json.Unmarshal(text, &head) != nil {
		return ""
	}
	version, _ := head.APIVersion.(string)
	kind, _ := head.Kind.(string)
	metadata, _ := head.Metadata.(map[string]any)
	name, _ := metadata["name"].(string)
	_, specified := head.Spec.(map[string]any)
	switch {
	case head.APIVersion == nil && head.Kind == nil && name != "" && specified:
		return Neither
	case name == "" || head.APIVersion != nil && head.Kind != nil:
		return ""
	case head.Kind == nil && apiVersionForm.MatchString(version) && (specified || ownGroup(version)):
		return "kind"
	case head.APIVersion == nil && kind != "" && strings.ToUpper(kind[:1]) == kind[:1]:
		return "apiVersion"
	}
	return ""
}

// ownGroup tells whether a group is one of Kubernetes' or Istio's; other tools
// have files with an apiVersion and no kind.
func ownGroup(version string) bool {
	group, _, grouped := strings.Cut(version, "/")
	return !grouped || !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") || strings.HasSuffix(group, ".istio.io")
}
