package diff_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshctl/meshctl/pkg/envoy/diff"
	"github.com/meshctl/meshctl/pkg/policy"
)

// randomBase is base with a port of bytes beside that of HTTP.
func randomBase() string {
	return strings.Replace(base, "ports: [{name: http, port: 9080}]", "ports: [{name: http, port: 9080}, {name: tcp, port: 9000}]", 1)
}

const randomConfig = "extensionProviders: [{name: ext, envoyExtAuthzGrpc: {service: reviews.prod.svc.cluster.local, port: 9080}}]"

// TestNoHiddenLoosening: of random pairs of meshes, whatever lets in a request
// that was refused has a looser line, and what refuses one a tighter line. Every
// part that is tagged looser is in such a line.
func TestNoHiddenLoosening(t *testing.T) {
	t.Parallel()
	pairs, asked := 400, 120
	if testing.Short() {
		pairs = 60
	}
	found := map[string]int{}
	for seed := range pairs {
		d := dice{rand.New(rand.NewPCG(uint64(seed), 11))}
		old := d.mesh()
		now := d.changed(old)
		before, after := sideOf(t, randomBase()+old.String(), randomConfig), sideOf(t, randomBase()+now.String(), randomConfig)
		r := diff.Compare(before, after)
		tags := tagsOf(r)
		was, is := before.Models["prod/reviews"], after.Models["prod/reviews"]
		fault := func(why string, request *policy.Request) {
			t.Fatalf("seed %d: %s: %+v\nlines: %s\nbefore:\n%s\nafter:\n%s", seed, why, request, strings.Join(told(r), "\n"), old, now)
		}
		for range asked {
			request := d.request()
			first, then := was.Evaluate(request).Outcome, is.Evaluate(request).Outcome
			switch {
			case first == policy.Unknown || then == policy.Unknown:
			case first != policy.Allow && then == policy.Allow:
				if found["looser"]++; !strings.Contains(tags, "looser") {
					fault("let in, and no line is looser", request)
				}
			case first == policy.Allow && then != policy.Allow:
				// the way to plaintext is looser, though nobody may come by mTLS any more
				if found["tighter"]++; !strings.Contains(tags, "tighter") && now.mode != "DISABLE" {
					fault("refused, and no line is tighter", request)
				}
			}
		}
		if part := hiddenPart(r); part != "" {
			fault(part+" is looser, and in no looser line", nil)
		}
		found[tags]++
	}
	if found["looser"] < pairs/4 || found["tighter"] < pairs/4 || found["cosmetic"] == 0 {
		t.Errorf("%v: that says little", found)
	}
}

// hiddenPart is a part that is tagged looser where no line is.
func hiddenPart(r *diff.Result) string {
	for _, w := range r.Workloads {
		if slices.ContainsFunc(w.Intents, func(i diff.Intent) bool { return i.Tag == diff.Looser }) {
			continue
		}
		for _, c := range w.Changes {
			if slices.Contains(c.Tags, diff.Looser) {
				return strings.Join(c.Key, " / ")
			}
		}
	}
	return ""
}
