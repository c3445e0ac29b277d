package ca

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/certs"
)

// SecretForm is a kind of Kubernetes Secret.
type SecretForm string

// The forms.
const (
	// IstioSecret is that of Istio's old node agent, which inject --identity secret
	// mounts (CA-47).
	IstioSecret SecretForm = "istio-secret"
	// TLSSecret is Kubernetes' own.
	TLSSecret SecretForm = "tls-secret"
)

// SecretForms are all of them.
func SecretForms() []SecretForm { return []SecretForm{IstioSecret, TLSSecret} }

// The types of Secrets.
const (
	istioType = "istio.io/key-and-cert"
	tlsType   = "kubernetes.io/tls"
)

// secret is a Secret to write. Its text is the same whenever its content is
// (CA-48).
type secret struct {
	name, namespace, kind string
	annotations, data     [][2]string // sorted
}

// encode writes the Secret. All that is put in is base64 or a valid name, or
// quoted.
func (s *secret) encode(out *bytes.Buffer) {
	out.WriteString("apiVersion: v1\ndata:\n")
	for _, d := range s.data {
		fmt.Fprintf(out, "  %s: %s\n", d[0], quoteEmpty(base64.StdEncoding.EncodeToString([]byte(d[1]))))
	}
	out.WriteString("kind: Secret\nmetadata:\n")
	if len(s.annotations) > 0 {
		out.WriteString("  annotations:\n")
	}
	for _, a := range s.annotations {
		fmt.Fprintf(out, "    %s: %q\n", a[0], a[1])
	}
	fmt.Fprintf(out, "  labels:\n    app.kubernetes.io/managed-by: meshctl\n  name: %q\n  namespace: %q\ntype: %s\n", s.name, s.namespace, s.kind)
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// secretOf is that of an identity, which must be of Istio's form.
func secretOf(form SecretForm, i *Issued) (*secret, error) {
	name, namespace, err := secretName(form, i.ID)
	if err != nil {
		return nil, err
	}
	m, err := i.material()
	if err != nil {
		return nil, err
	}
	_, account, _ := i.ID.Workload() // secretName looked
	s := &secret{name: name, namespace: namespace, kind: istioType, annotations: [][2]string{
		{"istio.io/service-account.name", account},
		{"meshctl.dev/not-after", stamp(i.Leaf().NotAfter)},
		{"meshctl.dev/serial", hexSerial(i.Leaf().SerialNumber)},
		{"meshctl.dev/spiffe-id", i.ID.String()},
	}}
	s.data = [][2]string{{chainFile, string(m.chain)}, {keyFile, string(m.key)}, {rootFile, string(m.roots)}}
	if form == TLSSecret {
		s.kind = tlsType
		s.data = [][2]string{{"ca.crt", string(m.roots)}, {"tls.crt", string(m.chain)}, {"tls.key", string(m.key)}}
	}
	return s, nil
}

// secretName is the Secret of an identity.
func secretName(form SecretForm, id certs.ID) (name, namespace string, err error) {
	namespace, account, ok := id.Workload()
	switch {
	case !ok:
		return "", "", fmt.Errorf("%s: a Secret is for a service account: expected an identity of the form spiffe://%s/ns/NAMESPACE/sa/ACCOUNT", id, id.TrustDomain())
	case form == TLSSecret:
		name = account + "-tls"
	default:
		name = "istio." + account
	}
	for _, n := range []string{namespace, name} {
		if !kubernetesName(n) {
			return "", "", fmt.Errorf("%s: Kubernetes takes no object of the name %q: lower case letters, digits, dots and dashes only", id, n)
		}
	}
	return name, namespace, nil
}

func kubernetesName(s string) bool {
	const longest = 253
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// PlanSecrets says what Secrets would do; before is the text of Secrets that were
// written earlier; one that others wrote is ErrNotOurs.
func (a *Authority) PlanSecrets(form SecretForm, requests []Request, before []byte, o PlanOptions) (*Plan, error) {
	if err := a.checkDomains(requests); err != nil {
		return nil, err
	}
	places := make([]string, len(requests))
	for i := range requests {
		name, namespace, err := secretName(form, requests[i].ID)
		if err != nil {
			return nil, err
		}
		places[i] = namespace + "/" + name
		if at := slices.Index(places[:i], places[i]); at >= 0 {
			return nil, fmt.Errorf("%s and %s would share the Secret %s", requests[at].ID, requests[i].ID, places[i])
		}
	}
	if err := a.checkSecrets(before); err != nil && !o.Force {
		return nil, err
	}
	had := readSecrets(before)
	p, err := a.plan(requests, o, func(i int) (*Issued, string) {
		m, ok := had[places[i]]
		if !ok {
			return nil, ""
		}
		kept, err := m.issued(requests[i].ID)
		if err != nil {
			return nil, "" // whatever is there is no use
		}
		return kept, ""
	})
	if err != nil {
		return nil, err
	}
	for i := range places {
		p.Deliveries[i].Place = "Secret " + places[i]
	}
	return p, nil
}

// Secrets writes a Secret an identity, and issues what earlier ones do not have
// (CA-74).
func (a *Authority) Secrets(ctx context.Context, form SecretForm, requests []Request, before []byte, o PlanOptions) ([]byte, []Delivery, error) {
	p, err := a.PlanSecrets(form, requests, before, o)
	if err != nil {
		return nil, nil, err
	}
	all, err := a.issue(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	for i := range all {
		s, err := secretOf(form, &all[i])
		if err != nil {
			return nil, nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		s.encode(&out)
	}
	return out.Bytes(), p.Deliveries, nil
}

// readSecrets finds the Secrets of a text by NAMESPACE/NAME. What cannot be read
// has nothing to keep.
func readSecrets(text []byte) map[string]material {
	all := map[string]material{}
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var s struct {
			Metadata struct{ Name, Namespace string }
			Data     map[string][]byte
		}
		if yaml.Unmarshal(part, &s) != nil {
			continue
		}
		m := material{s.Data[keyFile], s.Data[chainFile], s.Data[rootFile]}
		if m.key == nil {
			m = material{s.Data["tls.key"], s.Data["tls.crt"], s.Data["ca.crt"]}
		}
		all[s.Metadata.Namespace+"/"+s.Metadata.Name] = m
	}
	return all
}
