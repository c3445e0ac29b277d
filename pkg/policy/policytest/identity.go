package policytest

import (
	"fmt"
	"strings"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// plaintextName is the caller without mTLS, which needs no identity of its own.
const plaintextName = "plaintext"

// identity is a caller with a short name.
type identity struct {
	workload, account, principal located[string]
	plaintext                    bool
	ip                           string
}

func identityFields() []field[identity] {
	return []field[identity]{
		set("workload", "A workload of the inputs, such as deploy/web.shop.", place(text()), func(i *identity) *located[string] { return &i.workload }),
		set("serviceAccount", "A service account, as NAMESPACE/NAME.", place(checked(text(), accountName)), func(i *identity) *located[string] { return &i.account }),
		set("principal", "A SPIFFE ID from outside of the inputs; it speaks mTLS itself.", place(checked(text(), principal)), func(i *identity) *located[string] { return &i.principal }),
		set("plaintext", "A caller without mTLS.", yes(), func(i *identity) *bool { return &i.plaintext }),
		set("ip", "The caller's address.", address(), func(i *identity) *string { return &i.ip }),
	}
}

func identityKind() kind[identity] {
	k := object(identityFields())
	ways := []string{"workload", "serviceAccount", "principal", "plaintext"}
	var one []any
	for _, way := range ways {
		one = append(one, schema{"required": []string{way}})
	}
	k.schema["oneOf"] = one
	return kind[identity]{k.schema, func(d *decoder, n node) (identity, bool) {
		i, ok := k.read(d, n)
		given := 0
		for _, is := range []bool{i.workload.given(), i.account.given(), i.principal.given(), i.plaintext} {
			if is {
				given++
			}
		}
		if ok && given != 1 {
			d.fail(n, "", "expected one of %s", orList(ways))
			return i, false
		}
		return i, ok
	}}
}

// identityName keeps short names apart from what a caller is named by directly.
func identityName(name string) error {
	if name == plaintextName || name == "" || strings.ContainsAny(name, "/*") {
		return fmt.Errorf("%q is no short name: take one without / and *, other than %s", name, plaintextName)
	}
	return nil
}

func accountName(v string) error {
	if namespace, name, ok := strings.Cut(v, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q: expected NAMESPACE/SERVICEACCOUNT", v)
	}
	return nil
}

func principal(v string) error {
	_, err := policy.ParsePrincipal(v)
	return err
}

// caller finds who an identity is.
func (i *identity) caller(s *mesh.Snapshot, namespace string) (policy.Caller, located[string], error) {
	switch {
	case i.workload.given():
		w, err := s.FindWorkload(i.workload.value, namespace)
		return policy.Caller{Workload: w}, i.workload, err
	case i.account.given():
		ns, name, _ := strings.Cut(i.account.value, "/")
		return policy.Caller{Namespace: ns, Account: name}, i.account, s.FindAccount(ns, name)
	case i.principal.given():
		c, err := policy.ParsePrincipal(i.principal.value)
		return c, i.principal, err
	}
	return policy.Caller{}, located[string]{}, nil
}
