package inspect_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/certs/inspect"
	"github.com/meshctl/meshctl/pkg/report"
)

// forms are a workload's things in every form that is read, and the roles that
// are in each.
func forms(t testing.TB, w *workload) map[string]struct {
	text  []byte
	roles string
} {
	t.Helper()
	type form = struct {
		text  []byte
		roles string
	}
	group := func(text string) *inspect.Group {
		groups, err := inspect.Read("a.pem", []byte(text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return &groups[0]
	}
	convert := func(text string, c inspect.Conversion) []byte {
		out, err := inspect.Convert(group(text), c)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	key, err := x509.MarshalPKCS8PrivateKey(w.key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := certs.NewRequest(rand.Reader, w.key, certs.IdentityOf(w.leaf))
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: w.key})
	if err != nil {
		t.Fatal(err)
	}
	dump := fmt.Sprintf(`{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.SecretsConfigDump","dynamic_active_secrets":[
{"name":"default","secret":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"default","tls_certificate":{"certificate_chain":{"inline_bytes":%q},"private_key":{"inline_bytes":%q}}}},
{"name":"ROOTCA","secret":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"ROOTCA","validation_context":{"trusted_ca":{"inline_bytes":%q}}}}]}]}`,
		base64.StdEncoding.EncodeToString([]byte(w.chainPEM)), base64.StdEncoding.EncodeToString([]byte(w.keyPEM)), base64.StdEncoding.EncodeToString([]byte(w.rootPEM)))
	all := w.keyPEM + w.chainPEM + w.rootPEM
	return map[string]form{
		"pem":              {[]byte(all), "intermediate key leaf root"},
		"pem of a request": {certs.EncodeRequest(request), "request"},
		"der":              {w.leaf.Raw, "leaf"},
		"der of two":       {append(bytes.Clone(w.leaf.Raw), w.ca.Raw...), "intermediate leaf"},
		"der of a key":     {key, "key"},
		"der of a request": {request.Raw, "request"},
		"key store":        {convert(w.keyPEM+w.chainPEM, inspect.Conversion{To: inspect.ToPKCS12, Keys: true, Password: "changeit"}), "intermediate key leaf"},
		"trust store":      {convert(w.rootPEM, inspect.Conversion{To: inspect.ToPKCS12, Password: "changeit"}), "root"},
		"bundle":           {convert(w.rootPEM, inspect.Conversion{To: inspect.ToJWKS}), "root"},
		"token keys":       {convert(w.keyPEM, inspect.Conversion{To: inspect.ToJWKS, Keys: true}), "public key"},
		"private jwk":      {private, "key"},
		"secret":           {[]byte(w.secret()), "intermediate key leaf root"},
		"tls secret":       {convert(all, inspect.Conversion{To: inspect.ToSecret, Keys: true, Type: inspect.TypeTLS}), "intermediate key leaf root"},
		"configmap":        {convert(w.rootPEM, inspect.Conversion{To: inspect.ToConfigMap}), "root"},
		"sds":              {sds(w, false), "intermediate key leaf root"},
		"sds as json":      {sds(w, true), "intermediate key leaf root"},
		"dump":             {[]byte(dump), "intermediate leaf root"},
	}
}

// TestForms: every form is told by its content, and nothing in it is lost; nothing
// is wrong with any of them (CA-49, CA-50, CA-69).
func TestForms(t *testing.T) {
	t.Parallel()
	for name, form := range forms(t, newWorkload(t)) {
		groups, err := inspect.Read("file", form.text, password("changeit"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := roles(groups); got != form.roles {
			t.Errorf("%s: %s, want %s", name, got, form.roles)
		}
		if found := inspect.Describe(groups, inspect.View{At: noon}).Findings; len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// TestNoKeyIsShown: whatever the form, and however it is damaged, neither report
// nor error nor other form without keys has a part of the key (CA-66).
func TestNoKeyIsShown(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	der, err := x509.MarshalPKCS8PrivateKey(w.key)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := w.key.(interface{ Bytes() ([]byte, error) }).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var marks []string
	for _, secret := range [][]byte{der, scalar} {
		text := base64.StdEncoding.EncodeToString(secret)
		const part = 16
		for at := 0; at+part <= len(text); at += part / 2 {
			marks = append(marks, text[at:at+part])
		}
		marks = append(marks, fmt.Sprintf("%x", secret)[:2*part], base64.RawURLEncoding.EncodeToString(secret)[:part], string(secret[:part]))
	}
	public, err := x509.MarshalPKIXPublicKey(w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	known := base64.StdEncoding.EncodeToString(public) + w.chainPEM + w.rootPEM
	check := func(name, text string) {
		for _, mark := range marks {
			if strings.Contains(text, mark) && !strings.Contains(known, mark) {
				t.Errorf("%s: a part of the key in %.300q", name, text)
			}
		}
	}
	if bare := strings.ReplaceAll(w.keyPEM, "\n", ""); !strings.Contains(bare, marks[3]) || strings.Contains(known, marks[3]) {
		t.Fatal("the marks would not tell the key itself")
	}
	checked := 0
	for name, form := range forms(t, w) {
		for cut := len(form.text); cut > 0; cut -= 1 + len(form.text)/9 {
			groups, err := inspect.Read("file", form.text[:cut], password("changeit"))
			checked++
			if err != nil {
				check(name, err.Error())
				if input := (*report.InputError)(nil); errors.As(err, &input) {
					check(name, input.Hint)
				}
				continue
			}
			text, err := json.Marshal(inspect.Describe(groups, inspect.View{At: noon}))
			if err != nil {
				t.Fatal(err)
			}
			check(name, string(text))
			for _, to := range inspect.Targets() {
				out, err := inspect.Convert(&groups[0], inspect.Conversion{To: to, Password: "x", Name: "a"})
				check(name, string(out)+fmt.Sprint(err))
			}
		}
	}
	const least = 100
	if checked < least {
		t.Errorf("only %d texts were checked", checked)
	}
}

// TestDamage: what cannot be read is told with its file and line, what was
// expected and a way out (CA-68).
func TestDamage(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	lines := strings.Count(w.chainPEM, "\n")
	store := string(forms(t, w)["key store"].text)
	for _, tt := range []struct{ name, text, want, hint string }{
		{"empty", " \n", "a.pem: empty", "expected PEM, DER"},
		{"prose", "hello", "a.pem: neither a certificate", "expected PEM, DER"},
		{"cut off", w.chainPEM + w.keyPEM[:60], fmt.Sprintf("a.pem:%d: block PRIVATE KEY has no end: the text is cut off", lines+1), "copy it anew"},
		{"two beginnings", w.chainPEM[:200] + "\n" + w.rootPEM, "a.pem:1: block CERTIFICATE has no end before the next begins on line 5", "copy it anew"},
		{"no base64", "\n-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n", "a.pem:2: block CERTIFICATE is damaged: what it holds is no base64", "copy it anew"},
		{"other end", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n", "a.pem:1: block CERTIFICATE ends as PRIVATE KEY", "copy it anew"},
		{"end alone", w.chainPEM + "-----END CERTIFICATE-----\n", fmt.Sprintf("a.pem:%d: block CERTIFICATE ends without a beginning", lines+1), "copy it anew"},
		{"damaged key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "a.pem:1: the private key is damaged", "make a new one"},
		{"damaged request", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "a.pem:1: the certificate request cannot be decoded", "meshctl cert csr"},
		{"damaged public key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "a.pem:1: the public key cannot be decoded", "copy it anew"},
		{"lists only", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "a.pem: no certificate, request or key", "expected PEM"},
		{"DER cut off", string(w.leaf.Raw[:100]), "a.pem: it begins as DER does, and is cut off or damaged", "as binary"},
		{"DER and text", string(w.leaf.Raw) + "text", "a.pem: what follows the first certificate is cut off or damaged", "as binary"},
		{"another password", store, "a.pem: the password does not open this PKCS #12 file", "--password-file"},
		{"store cut off", store[:len(store)-9], "a.pem: it begins as DER does, and is cut off or damaged", "as binary"},
		{"no key set", `{"keys": 1}`, "a.pem: no JWKS: keys is no list", "expected PEM"},
		{"unknown key", `{"keys": [{"kty": "magic"}]}`, "a.pem: key 1 of the JWKS cannot be read", "convert --to jwks"},
		{"empty key set", `{"keys": []}`, "a.pem: a JWKS without keys", ""},
		{"objects without any", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "a.pem: no Secret or ConfigMap with a certificate or a key", ""},
		{"no base64 in a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\ndata:\n  tls.crt: '*'\n", "a.pem:5:12: Secret b/a: tls.crt: no base64", "stringData"},
		{"prose in a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData:\n  tls.key: hello\n", "a.pem:5:12: Secret b/a: tls.key: neither a certificate", "expected PEM"},
		{"cut off in a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData:\n  tls.key: |\n    -----BEGIN PRIVATE KEY-----\n    AAAA\n", "a.pem:5:12: Secret b/a: tls.key: line 1: block PRIVATE KEY has no end", "copy it anew"},
		{"dump without secrets", `{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"}]}`, "a.pem: a configuration of Envoy without secrets", "config dump"},
	} {
		_, err := inspect.Read("a.pem", []byte(tt.text), password("wrong"))
		var input *report.InputError
		if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(input.Hint, tt.hint) {
			t.Errorf("%s: %v (%+v), want %s", tt.name, err, input, tt.want)
		}
	}
}

// TestFindings: what is wrong with things that can be read, each where it is.
func TestFindings(t *testing.T) {
	t.Parallel()
	w, other := newWorkload(t), newWorkload(t)
	encrypted := string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
	bad := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	odd := string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte("x")}))
	for _, tt := range []struct {
		file, text string
		view       inspect.View
		want       string
	}{
		{"a.pem", w.chainPEM + w.keyPEM, inspect.View{}, ""},
		{"cert-chain.pem", w.chainPEM + w.keyPEM, inspect.View{}, "e key-in-chain"},
		{"a.pem", w.chainPEM + other.keyPEM, inspect.View{}, "e key-mismatch"},
		{"a.pem", w.keyPEM, inspect.View{}, ""},
		{"a.pem", encrypted + w.chainPEM, inspect.View{}, ""},
		{"a.pem", bad + w.chainPEM, inspect.View{}, "e malformed"},
		{"a.pem", odd + w.chainPEM, inspect.View{}, "w wrong-block"},
		{"a.pem", "subject=web\n" + w.chainPEM, inspect.View{}, "w stray-text"},
		{"a.pem", string(certs.EncodeCertificates(w.leaf, other.ca)), inspect.View{}, "e bad-signature"},
		{"a.pem", w.chainPEM, inspect.View{At: noon.Add(23 * time.Hour)}, "w expires-soon"},
		{"a.pem", w.chainPEM, inspect.View{At: noon, For: 12 * time.Hour}, ""},
		{"a.pem", w.chainPEM, inspect.View{At: noon, For: 720 * time.Hour}, "e expires-soon"},
		{"a.pem", w.chainPEM, inspect.View{At: noon, For: 10000 * time.Hour}, "e expires-soon, e expires-soon"},
		{"a.pem", w.chainPEM, inspect.View{At: noon.Add(25 * time.Hour)}, "e expired"},
		{"a.pem", w.chainPEM, inspect.View{At: noon.Add(-time.Hour)}, "e not-yet-valid, e not-yet-valid"},
	} {
		groups, err := inspect.Read(tt.file, []byte(tt.text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if tt.view.At.IsZero() {
			tt.view.At = noon
		}
		r := inspect.Describe(groups, tt.view)
		if got := findings(r.Findings); got != tt.want {
			t.Errorf("%s, %+v: %q, want %q", tt.file, tt.view, got, tt.want)
		}
		for _, f := range r.Findings {
			if !strings.HasPrefix(f.At, tt.file+":") || f.Rule == "" || f.Fix == "" {
				t.Errorf("%+v", f)
			}
		}
	}
}

// TestItems: everything that there is to tell of a chain with its key (CA-69).
func TestItems(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	groups, err := inspect.Read("a.pem", []byte(w.chainPEM+w.rootPEM+w.keyPEM), inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	items := inspect.Describe(groups, inspect.View{At: noon.Add(12 * time.Hour)}).Items
	if len(items) != 4 {
		t.Fatalf("%+v", items)
	}
	leaf, ca, root, key := items[0], items[1], items[2], items[3]
	for what, ok := range map[string]bool{
		"identity":    leaf.ID == "spiffe://cluster.local/ns/shop/sa/web" && root.ID == "spiffe://cluster.local",
		"chain":       leaf.IssuedBy == ca.At && ca.IssuedBy == root.At && root.IssuedBy == "itself",
		"key":         leaf.Belongs == key.At && key.Belongs == leaf.At && leaf.KeyHash == key.KeyHash && leaf.Key == "P-256" && len(key.KeyHash) == 64,
		"life":        leaf.Remaining == "12h0m0s" && *leaf.UsedPercent == 50 && leaf.NotAfter.Equal(noon.Add(24*time.Hour)) && ca.Remaining == "364d",
		"fingerprint": len(leaf.Fingerprint) == 64 && leaf.Serial != "" && leaf.Issuer == ca.Subject,
		"key's life":  key.NotAfter == nil && key.UsedPercent == nil,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, items)
		}
	}
}

// TestVerify: a group is verified against the roots that it has, or that are
// given.
func TestVerify(t *testing.T) {
	t.Parallel()
	w, other := newWorkload(t), newWorkload(t)
	bad := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	for _, tt := range []struct {
		name, text string
		roots      []*x509.Certificate
		want       string
	}{
		{"Secret", w.secret(), nil, "valid: "},
		{"roots given", w.chainPEM, []*x509.Certificate{w.root}, "valid: "},
		{"with its key", w.chainPEM + w.keyPEM, []*x509.Certificate{w.root}, "valid: "},
		{"text before", "subject=web\n" + w.chainPEM, []*x509.Certificate{w.root}, "valid: "},
		{"other roots", w.secret(), []*x509.Certificate{other.root}, "not valid: e bad-signature"},
		{"another key", w.chainPEM + other.keyPEM, []*x509.Certificate{w.root}, "not valid: e key-mismatch"},
		{"a damaged one beside", w.chainPEM + bad, []*x509.Certificate{w.root}, "not valid: e malformed"},
		{"a damaged one alone", bad, []*x509.Certificate{w.root}, "not valid: e malformed"},
		{"no roots", w.chainPEM, nil, "a.pem:1: there are no roots to verify against"},
		{"no chain", w.keyPEM, []*x509.Certificate{w.root}, "a.pem:1: no certificate to verify"},
	} {
		groups, err := inspect.Read("a.pem", []byte(tt.text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v := inspect.Verification{VerifyOptions: certs.VerifyOptions{At: noon}, Refuse: certs.SeverityWarning}
		if tt.roots != nil {
			v.Roots = []inspect.Group{inspect.Chain("roots", tt.roots)}
		}
		found, err := inspect.Verify(groups, v)
		got := fmt.Sprint(err)
		if err == nil {
			if len(found) != 1 {
				t.Fatalf("%s: %+v", tt.name, found)
			}
			got = map[bool]string{true: "valid: ", false: "not valid: "}[found[0].Valid] + findings(found[0].Findings)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestWhatCannotBeConverted: nothing is left out without a word.
func TestWhatCannotBeConverted(t *testing.T) {
	t.Parallel()
	w, other := newWorkload(t), newWorkload(t)
	for _, tt := range []struct {
		text string
		to   inspect.Conversion
		want string
	}{
		{w.chainPEM, inspect.Conversion{To: inspect.ToDER}, "DER is for one certificate, request or key, and there are 2"},
		{w.keyPEM, inspect.Conversion{To: inspect.ToPEM}, "nothing that PEM is written of"},
		{w.keyPEM + other.keyPEM, inspect.Conversion{To: inspect.ToPEM, Keys: true}, "a.pem: 2 private keys: expected one at most"},
		{w.chainPEM + other.keyPEM, inspect.Conversion{To: inspect.ToSecret, Keys: true, Name: "a"}, "the private key is not that of the first certificate"},
		{w.chainPEM + other.keyPEM, inspect.Conversion{To: inspect.ToPKCS12, Keys: true, Password: "x"}, "the private key is not that of the first certificate"},
		{w.chainPEM, inspect.Conversion{To: inspect.ToSecret}, "a Secret is for a private key"},
		{w.chainPEM, inspect.Conversion{To: inspect.ToPKCS12}, "PKCS #12 needs a password"},
		{string(certs.EncodeCertificates(w.leaf)), inspect.Conversion{To: inspect.ToJWKS}, "nothing for a JWKS"},
		{w.keyPEM, inspect.Conversion{To: inspect.ToConfigMap}, "no certificate for a ConfigMap"},
		{w.keyPEM, inspect.Conversion{To: inspect.ToPKCS12, Keys: true, Password: "x"}, "no certificate for the private key"},
		{w.chainPEM, inspect.Conversion{To: "jks"}, `form "jks": expected one of [pem der`},
	} {
		groups, err := inspect.Read("a.pem", []byte(tt.text), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := inspect.Convert(&groups[0], tt.to); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestLoad: files that are named together belong together, and so do those of a
// folder; keys that others can read are told (CA-55).
func TestLoad(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	chain, key := write("a/cert-chain.pem", w.chainPEM, 0o644), write("a/key.pem", w.keyPEM, 0o600)
	write("a/root-cert.pem", w.rootPEM, 0o644)
	write("a/notes.yaml", "kind: nothing", 0o644)
	loose := write("b/key.pem", w.keyPEM, 0o644)
	link := filepath.Join(dir, "b", "link.pem")
	if err := os.Symlink(key, link); err != nil {
		t.Fatal(err)
	}
	secret := write("c/secret.yaml", w.secret(), 0o600)
	for _, tt := range []struct {
		paths []string
		want  string
	}{
		{[]string{filepath.Join(dir, "a")}, "1 groups, intermediate key leaf root, "},
		{[]string{chain, key}, "1 groups, intermediate key leaf, "},
		{[]string{secret, chain}, "2 groups, intermediate intermediate key leaf leaf root, "},
		{[]string{loose}, "1 groups, key, w loose-permissions"},
		{[]string{link}, "1 groups, key, w loose-permissions"},
		{[]string{filepath.Join(dir, "a"), filepath.Join(dir, "c")}, "2 groups, intermediate intermediate key key leaf leaf root root, "},
		{[]string{"-"}, "1 groups, intermediate leaf, "},
	} {
		groups, err := inspect.Loader{Stdin: strings.NewReader(w.chainPEM)}.Load(tt.paths)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%d groups, %s, %s", len(groups), roles(groups), findings(inspect.Describe(groups, inspect.View{At: noon}).Findings))
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.paths, got, tt.want)
		}
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{empty: "no certificate, request or key in this directory", filepath.Join(dir, "x"): "no such file"} {
		if _, err := (inspect.Loader{}).Load([]string{path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// FuzzRead: no text makes it panic, and what is read can be told.
func FuzzRead(f *testing.F) {
	for _, form := range forms(f, newWorkload(f)) {
		f.Add(form.text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		groups, err := inspect.Read("a", text, password("changeit"))
		if err != nil {
			return
		}
		if r := inspect.Describe(groups, inspect.View{At: noon}); len(r.Items)+len(r.Findings) == 0 {
			t.Errorf("%q: read, and there is nothing to tell", text)
		}
		for i := range groups {
			_, _ = inspect.Convert(&groups[i], inspect.Conversion{To: inspect.ToPEM})
		}
	})
}

// TestRequestsOfAgents: what Istio's agent sends is read, with its subject of one
// empty part, and what ztunnel sends, without any (CA-33).
func TestRequestsOfAgents(t *testing.T) {
	t.Parallel()
	w := newWorkload(t)
	for name, template := range map[string]*x509.CertificateRequest{
		"agent":   {RawSubject: []byte("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x0a\x13\x00"), URIs: w.leaf.URIs},
		"ztunnel": {URIs: w.leaf.URIs},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, template, w.key)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := inspect.Read("csr.pem", pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Bytes: der}), inspect.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := inspect.Describe(groups, inspect.View{At: noon})
		if len(r.Findings) > 0 || len(r.Items) != 1 || r.Items[0].Role != "request" || fmt.Sprint(r.Items[0].Names) != "[spiffe://cluster.local/ns/shop/sa/web]" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestRoundsOfHashing: a small file cannot make us hash for hours.
func TestRoundsOfHashing(t *testing.T) {
	t.Parallel()
	store := forms(t, newWorkload(t))["key store"].text
	usual := []byte{0x02, 0x02, 0x08, 0x00} // 2048
	if !bytes.Contains(store, usual) {
		t.Fatal("no count of 2048 in the store")
	}
	// As many bytes: a larger count than the length of its salt allows for.
	at := bytes.LastIndex(store, usual)
	larger := append(bytes.Clone(store[:at]), 0x02, 0x04, 0x7f, 0xff, 0xff, 0xff)
	larger = append(larger, store[at+len(usual):]...)
	grow(t, larger, at)
	_, err := inspect.Read("a.p12", larger, password("changeit"))
	if err == nil || !strings.Contains(err.Error(), "asks for 2147483647 rounds of hashing") {
		t.Error(err)
	}
}

// grow adds two to the lengths of what is around a place, as the outermost
// sequences have them.
func grow(t *testing.T, der []byte, place int) {
	t.Helper()
	for at := 0; at < place; {
		header, length := 2, int(der[at+1])
		if n := length & 0x7f; length > 0x7f {
			length = 0
			for _, b := range der[at+2 : at+2+n] {
				length = length<<8 | int(b)
			}
			header += n
		}
		if at+header+length <= place {
			at += header + length
			continue
		}
		length += 2
		for i := at + header - 1; length > 0 && i > at; i-- {
			der[i] = byte(length)
			if length >>= 8; header == 2 {
				break
			}
			if i == at+2 {
				break
			}
		}
		at += header
	}
}
