package mesh

import (
	"slices"
	"strings"
)

// Identities are the SPIFFE IDs of those who may answer for a service: of the
// workloads behind it and of the endpoints that it lists, in each trust domain of
// the mesh. Clients accept no others (secure naming).
func (s *Snapshot) Identities(service *Service) []string {
	var all []string
	add := func(id string) {
		rest, ok := strings.CutPrefix(id, "spiffe://"+s.Config.TrustDomain)
		if !ok {
			return
		}
		for _, domain := range s.TrustDomains() {
			if alias := "spiffe://" + domain + rest; !slices.Contains(all, alias) {
				all = append(all, alias)
			}
		}
	}
	for _, v := range s.Namesakes(service) {
		for _, w := range s.Selected(v) {
			add(s.Account(v, Endpoint{Workload: w}))
		}
		for _, entry := range v.Entry.GetEndpoints() {
			add(s.Account(v, Endpoint{Entry: entry}))
		}
	}
	return all
}
