package diff_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
)

// annotated renders reviews with an annotation of its pods.
func annotated(tb testing.TB, annotation string) diff.Side {
	tb.Helper()
	return sideOf(tb, strings.Replace(base, "metadata: {labels: {app: reviews}}", "metadata: {labels: {app: reviews}, annotations: {"+annotation+"}}", 1), "")
}

// TestBypass: a port that is kept from the sidecar is open, though the sidecar is
// told what it was (PA-22).
func TestBypass(t *testing.T) {
	t.Parallel()
	const exclude, include = "traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/includeInboundPorts"
	for _, tt := range []struct {
		before, after string
		want          []string
	}{
		{"", exclude + ": '9080'", []string{
			"looser: inbound :9080 of prod/reviews now bypasses the sidecar, which enforces nothing there, because annotation " + exclude + " of Deployment prod/reviews, deploy.yaml:9",
		}},
		{exclude + ": '9080'", "", []string{
			"tighter: inbound :9080 of prod/reviews now passes through the sidecar, which enforces what it is told, because Deployment prod/reviews no longer has the annotation " + exclude + ", deploy.yaml:9",
		}},
		{"", include + ": ''", []string{
			"looser: inbound ports of prod/reviews that no annotation names now bypass the sidecar, which enforces nothing there, because annotation " + include + " of Deployment prod/reviews, deploy.yaml:9",
			"looser: inbound :9080 of prod/reviews now bypasses the sidecar, which enforces nothing there, because annotation " + include + " of Deployment prod/reviews, deploy.yaml:9",
		}},
		{"", include + ": '9080'", []string{
			"looser: inbound ports of prod/reviews that no annotation names now bypass the sidecar, which enforces nothing there, because annotation " + include + " of Deployment prod/reviews, deploy.yaml:9",
		}},
		{include + ": '9080'", include + ": '9080, 7'", []string{
			"tighter: inbound :7 of prod/reviews now passes through the sidecar, which enforces what it is told, because annotation " + include + " of Deployment prod/reviews, deploy.yaml:9",
		}},
		{"", include + ": '*'", nil},
		{exclude + ": '7'", exclude + ": ' 7'", nil},
	} {
		r := diff.Compare(annotated(t, tt.before), annotated(t, tt.after))
		if d := cmp.Diff(tt.want, told(r)); d != "" {
			t.Errorf("%s, then %s (-want +got):\n%s", tt.before, tt.after, d)
		}
		if wants := strings.Contains(strings.Join(tt.want, "\n"), "looser: "); r.Looser() != wants || r.Same() != (tt.want == nil) {
			t.Errorf("%s, then %s: looser %t, same %t", tt.before, tt.after, r.Looser(), r.Same())
		}
	}
	dump := annotated(t, exclude+": '9080'")
	dump.Models = nil
	if r := diff.Compare(annotated(t, ""), dump); !r.Same() {
		t.Errorf("a dump says nothing of annotations: %v", told(r))
	}
}
