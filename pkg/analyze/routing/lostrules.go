package routing

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// lostPolicies finds DestinationRules that join an earlier one for the same host
// and clients, and lose their policy, or a subset, to it (DR-5).
func lostPolicies(p *analyze.Pass) {
	byHost := map[string][]*mesh.DestinationRule{} // "namespace/host"
	for _, r := range destinationRules(p) {
		key := r.Namespace + "/" + p.FullHost(r.Spec.Host, r.Namespace)
		byHost[key] = append(byHost[key], r)
	}
	var merged *policy.HostRules
	for _, key := range sortedKeys(byHost) {
		if len(byHost[key]) < 2 {
			continue
		}
		if merged == nil {
			merged = policy.NewHostRules(p.Snapshot)
		}
		told := map[*mesh.DestinationRule]bool{}
		for _, r := range byHost[key] {
			host := &mesh.Service{Object: r.Object, Hostname: p.FullHost(r.Spec.Host, r.Namespace)}
			client := policy.Proxy{Namespace: r.Namespace, Labels: r.Spec.GetWorkloadSelector().GetMatchLabels()}
			for _, lost := range joined(merged.For(client, host)) {
				if !told[lost.rule] {
					told[lost.rule] = true
					p.Report(lost.rule.Object, lost.path, "DestinationRule %s is for the host %q too, and came first: the %s here is lost; put all of it into one rule", lost.to.Name, r.Spec.Host, lost.what).
						Because(lost.to.Object, []string{"spec", "host"}, "comes first")
				}
			}
		}
	}
}

// loss is what a rule says in vain.
type loss struct {
	rule, to *mesh.DestinationRule
	path     []string
	what     string
}

// joined are the losses of the rules that joined others. Those that say the same
// lose nothing.
func joined(merged *policy.HostRule) []loss {
	if merged == nil {
		return nil
	}
	var all []loss
	first := map[string]*mesh.DestinationRule{} // of a subset
	for _, r := range merged.Rules {
		if r.Spec.TrafficPolicy != nil && r != merged.From && !proto.Equal(r.Spec.TrafficPolicy, merged.Policy) {
			all = append(all, loss{r, merged.From, []string{"spec", "trafficPolicy"}, "trafficPolicy"})
		}
		for i, s := range r.Spec.Subsets {
			switch before := first[s.Name]; {
			case before == nil:
				first[s.Name] = r
			case before != r && !proto.Equal(s, merged.Subset(s.Name)):
				all = append(all, loss{r, before, []string{"spec", "subsets", fmt.Sprint(i)}, "subset " + s.Name})
			}
		}
	}
	return all
}
