package mesh_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/mesh"
)

func TestParsePodTemplate(t *testing.T) {
	t.Parallel()
	got, err := mesh.ParsePodTemplate("CloneSet.apps.kruise.io=.spec.template")
	if diff := cmp.Diff(mesh.PodTemplate{Group: "apps.kruise.io", Kind: "CloneSet", Path: []string{"spec", "template"}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{"CloneSet=spec.template", "CloneSet.apps.kruise.io", "CloneSet.apps.kruise.io=", "CloneSet.apps.kruise.io=spec..template", "CloneSet.apps.kruise.io=spec.", ".x=y"} {
		if _, err := mesh.ParsePodTemplate(text); err == nil || !strings.HasPrefix(err.Error(), `pod template "`+text+`": expected Kind.group=path`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
