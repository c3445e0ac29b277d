package mesh

import (
	"cmp"
	"slices"
	"strings"
)

// Account is a service account that the manifests declare or use (CA-73).
type Account struct {
	Namespace, Name string
	Declared        bool   // a ServiceAccount object says so, or it is "default"
	UsedBy          string // the first workload that uses it; "" for none
}

// Accounts are all service accounts that are declared or used, sorted.
func (i *Inventory) Accounts() []Account {
	found := map[[2]string]*Account{}
	at := func(namespace, name string) *Account {
		key := [2]string{namespace, name}
		if found[key] == nil {
			found[key] = &Account{Namespace: namespace, Name: name, Declared: name == "default"}
		}
		return found[key]
	}
	for _, o := range i.Objects {
		if o.Kind == "ServiceAccount" && o.APIVersion == "v1" {
			at(o.Namespace, o.Name).Declared = true
		}
	}
	for _, w := range i.Workloads {
		if w.ServiceAccount == "" {
			continue
		}
		if a := at(w.Namespace, w.ServiceAccount); a.UsedBy == "" {
			a.UsedBy = w.String()
		}
	}
	all := make([]Account, 0, len(found))
	for _, a := range found {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Account) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return all
}
