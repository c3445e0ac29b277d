package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// IsKind tells whether asked names a kind as kubectl does: singular, plural or
// short, in any case.
func IsKind(asked, kind string) bool {
	short := map[string]string{
		"CronJob": "cj", "DaemonSet": "ds", "Deployment": "deploy", "DeploymentConfig": "dc", "Pod": "po",
		"ReplicaSet": "rs", "ReplicationController": "rc", "StatefulSet": "sts", "Service": "svc", "ServiceAccount": "sa",
		"WorkloadEntry": "we", "WorkloadGroup": "wg", "AuthorizationPolicy": "ap", "PeerAuthentication": "pa", "RequestAuthentication": "ra",
	}
	asked = strings.ToLower(asked)
	name := strings.ToLower(kind)
	plural := name + "s"
	if strings.HasSuffix(name, "y") {
		plural = strings.TrimSuffix(name, "y") + "ies"
	}
	return asked == name || asked == plural || asked == short[kind]
}

// FindWorkload finds "KIND/NAME", "KIND/NAME.NAMESPACE" or "NAMESPACE/NAME"; a
// name without a namespace is looked for in the given one, and in all if that is
// empty. It fails with the names that are near.
func (s *Snapshot) FindWorkload(reference, namespace string) (*Workload, error) {
	kind, name, ok := strings.Cut(reference, "/")
	if !ok || name == "" || kind == "" {
		return nil, fmt.Errorf("workload %q: expected NAMESPACE/NAME or KIND/NAME.NAMESPACE, such as shop/web or deploy/web.shop", reference)
	}
	if !s.runsPods(kind) {
		if w := s.Workload(kind, name); w != nil {
			return w, nil
		}
	}
	for _, at := range splits(name, namespace) {
		var found []*Workload
		for _, w := range s.workloadsAt(at) {
			if IsKind(kind, w.Kind) {
				found = append(found, w)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, fmt.Errorf("workload %s is in several namespaces, name one: %s.%s, %s.%s", reference, name, found[0].Namespace, name, found[1].Namespace)
		}
	}
	return nil, fmt.Errorf("no workload %s in the manifests%s", reference, s.nearWorkloads(name, namespace))
}

// workloadsAt are those of a name, in all namespaces if it has none.
func (s *Snapshot) workloadsAt(at place) []*Workload {
	if at.namespace != "" {
		return s.named[at.namespace+"/"+at.name]
	}
	var all []*Workload
	for _, w := range s.Workloads {
		if w.Name == at.name {
			all = append(all, w)
		}
	}
	return all
}

// runsPods tells whether a word names a kind of Kubernetes' that runs pods, or
// one of a workload of the files.
func (s *Snapshot) runsPods(word string) bool {
	for _, t := range BuiltinPodTemplates() {
		if IsKind(word, t.Kind) {
			return true
		}
	}
	for _, w := range s.Workloads {
		if IsKind(word, w.Kind) {
			return true
		}
	}
	return false
}

// IsWorkloadKind tells whether a word names a kind that runs pods.
func (s *Snapshot) IsWorkloadKind(word string) bool {
	return s.runsPods(word) || IsKind(word, "WorkloadEntry") || IsKind(word, "WorkloadGroup")
}

// FindService finds "NAME" or "NAME.NAMESPACE", or a host of a ServiceEntry; a
// name without a namespace is looked for in the given one, and in all if that is
// empty. It fails with the names that are near.
func (s *Snapshot) FindService(name, namespace string) (*Service, error) {
	if found := s.hosts[name]; len(found) > 0 {
		return found[0], nil
	}
	for _, at := range splits(strings.TrimSuffix(name, ".svc"), namespace) {
		if v := s.Service(at.namespace, at.name); v != nil {
			return v, nil
		}
		if at.namespace != "" {
			continue
		}
		found := slices.DeleteFunc(slices.Clone(s.Services), func(v *Service) bool { return v.Entry != nil || v.Name != at.name })
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, fmt.Errorf("Service %s is in several namespaces, name one: %s.%s, %s.%s", name, name, found[0].Namespace, name, found[1].Namespace)
		}
	}
	var all []string
	for _, v := range s.Services {
		if v.Entry != nil {
			all = append(all, v.Hostname)
		} else {
			all = append(all, v.Name+"."+v.Namespace)
		}
	}
	return nil, fmt.Errorf("no Service %s in the manifests%s", name, near(name, all))
}

// FindAccount finds a service account: one that is declared, or that a workload
// runs as. It fails with the names that are near.
func (s *Snapshot) FindAccount(namespace, name string) error {
	if s.accounts[namespace][name] {
		return nil
	}
	var all []string
	for ns, accounts := range s.accounts {
		for account := range accounts {
			all = append(all, ns+"/"+account)
		}
	}
	return fmt.Errorf("no service account %s/%s in the manifests%s", namespace, name, near(namespace+"/"+name, all))
}

// Accounts are the service accounts of a namespace, sorted.
func (s *Snapshot) Accounts(namespace string) []string {
	return slices.Sorted(maps.Keys(s.accounts[namespace]))
}

// Namespaces are those that the files speak of, sorted.
func (s *Snapshot) Namespaces() []string {
	all := map[string]bool{}
	for ns := range s.namespaces {
		all[ns] = true
	}
	for ns := range s.accounts {
		all[ns] = true
	}
	for ns := range s.servicesIn {
		all[ns] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// RunsAs are the workloads of a service account.
func (s *Snapshot) RunsAs(namespace, account string) []*Workload {
	var all []*Workload
	for _, w := range s.inNamespace[namespace] {
		if w.ServiceAccount == account {
			all = append(all, w)
		}
	}
	return all
}

// place is a name in a namespace.
type place struct{ namespace, name string }

// splits reads "NAME.NAMESPACE", where the name may have dots, or a name alone.
func splits(name, namespace string) []place {
	all := []place{{namespace, name}}
	if i := strings.LastIndex(name, "."); i > 0 {
		all = append([]place{{name[i+1:], name[:i]}}, all...)
	}
	return all
}

func (s *Snapshot) nearWorkloads(name, namespace string) string {
	var all []string
	for _, w := range s.Workloads {
		all = append(all, strings.ToLower(w.Kind)+"/"+w.Name+"."+w.Namespace)
	}
	if !strings.Contains(name, ".") {
		name += "." + namespace
	}
	return near(name, all)
}

// near lists the names that are like one, the nearest first.
func near(name string, all []string) string {
	if len(all) == 0 {
		return ", which have none"
	}
	measure := func(candidate string) int {
		_, bare, ok := strings.Cut(candidate, "/")
		if !ok {
			bare = candidate
		}
		d := min(distance(name, candidate), distance(name, bare))
		mine, _, _ := strings.Cut(name, ".")
		theirs, _, _ := strings.Cut(bare, ".")
		d = min(d, 1+distance(mine, theirs))
		return d
	}
	slices.SortFunc(all, func(a, b string) int {
		if c := measure(a) - measure(b); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	const most = 5
	if len(all) > most {
		all = append(all[:most:most], "...")
	}
	return "; there are " + strings.Join(all, ", ")
}

// FindAuthorizationPolicy finds a policy by namespace and name. It fails with
// the names that are near.
func (s *Snapshot) FindAuthorizationPolicy(namespace, name string) (*AuthorizationPolicy, error) {
	var all []string
	for ns, policies := range s.authorizations {
		for _, p := range policies {
			if ns == namespace && p.Name == name {
				return p, nil
			}
			all = append(all, ns+"/"+p.Name)
		}
	}
	return nil, fmt.Errorf("no AuthorizationPolicy %s/%s in the manifests%s", namespace, name, near(namespace+"/"+name, all))
}

// AuthorizationNamespaces are the namespaces that have AuthorizationPolicies,
// sorted.
func (s *Snapshot) AuthorizationNamespaces() []string {
	return slices.Sorted(maps.Keys(s.authorizations))
}
