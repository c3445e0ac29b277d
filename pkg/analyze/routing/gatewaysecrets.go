package routing

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// secrets are what the files say of Secrets.
type secrets struct {
	objects map[string]*mesh.Object // by "namespace/name"
	made    map[string]bool         // those that another object makes in the cluster
	// certificates are what makes some of them, and the names that are asked for.
	certificates map[string]certificate
}

type certificate struct {
	object *mesh.Object
	names  []string
}

// secretsOf finds the Secrets, and those that controllers make: a Certificate of
// cert-manager's, an ExternalSecret, a SealedSecret.
func secretsOf(p *analyze.Pass) *secrets {
	x := &secrets{objects: map[string]*mesh.Object{}, made: map[string]bool{}, certificates: map[string]certificate{}}
	for _, o := range p.Kind("", "Secret") {
		x.objects[o.Namespace+"/"+o.Name] = o
	}
	for _, o := range p.Objects {
		var maker struct {
			Spec struct {
				SecretName string   `json:"secretName"`
				Names      []string `json:"dnsNames"`
				Target     struct {
					Name string `json:"name"`
				} `json:"target"`
			} `json:"spec"`
		}
		switch analyze.Group(o) + "/" + o.Kind {
		case "cert-manager.io/Certificate":
			if o.Decode(&maker) == nil {
				full := o.Namespace + "/" + maker.Spec.SecretName
				x.made[full] = true
				x.certificates[full] = certificate{o, maker.Spec.Names}
			}
		case "external-secrets.io/ExternalSecret":
			name := o.Name
			if o.Decode(&maker) == nil && maker.Spec.Target.Name != "" {
				name = maker.Spec.Target.Name
			}
			x.made[o.Namespace+"/"+name] = true
		case "bitnami.com/SealedSecret":
			x.made[o.Namespace+"/"+o.Name] = true
		}
	}
	return x
}

// gatewaySecrets finds credentials of Gateways that are not there, or that no
// proxy can use.
func gatewaySecrets(p *analyze.Pass) {
	x := secretsOf(p)
	for _, g := range gateways(p) {
		pods := podsOf(p, g)
		if len(pods) == 0 {
			continue // is found as such
		}
		for i, server := range g.Spec.Servers {
			path := []string{"spec", "servers", fmt.Sprint(i), "tls"}
			credentials := credentialsOf(server.GetTls(), path)
			for _, c := range credentials {
				c.clients = !c.ca && asksForCertificates(server.GetTls())
				x.credential(p, g, pods, c)
			}
			x.otherHosts(p, g, pods[0], server, credentials)
		}
	}
}

// credential is a name of a Secret, and where it stands.
type credential struct {
	name string
	path []string
	ca   bool // only the certificates of authorities are taken from it
	// clients tells that the authority of clients is looked for beside it.
	clients bool
}

func credentialsOf(settings interface {
	GetCredentialName() string
	GetCredentialNames() []string
	GetCaCertCredentialName() string
}, path []string,
) []credential {
	var all []credential
	if name := settings.GetCredentialName(); name != "" {
		all = append(all, credential{name: name, path: within(path, "credentialName")})
	}
	for i, name := range settings.GetCredentialNames() {
		all = append(all, credential{name: name, path: within(path, "credentialNames", fmt.Sprint(i))})
	}
	if name := settings.GetCaCertCredentialName(); name != "" {
		all = append(all, credential{name: name, path: within(path, "caCertCredentialName"), ca: true})
	}
	return all
}

// secretName is "namespace/name" of the Secret of a credential; "" for one that
// is no Secret.
func secretName(name, namespace string) string {
	scheme, rest, ok := strings.Cut(name, "://")
	switch {
	case !ok:
		rest = name
	case scheme != "kubernetes" && scheme != "kubernetes-gateway":
		return ""
	}
	if strings.Contains(rest, "/") {
		return rest
	}
	return namespace + "/" + rest
}

func (x *secrets) credential(p *analyze.Pass, g *mesh.Gateway, pods []gatewayPods, c credential) {
	asked := map[string]bool{}
	for _, pod := range pods {
		full := secretName(c.name, pod.namespace)
		if full == "" || asked[full] {
			continue
		}
		asked[full] = true
		secret := x.objects[full]
		if secret == nil {
			if len(x.objects) == 0 && !p.Complete || x.made[full] {
				continue // Secrets are kept elsewhere
			}
			p.ReportCode(notFound, g.Object, c.path, "there is no Secret %s, in the namespace of the gateway's pods: the server's TLS handshakes fail%s", full, x.elsewhere(full, pod.namespace))
			continue
		}
		if err := x.check(p, secret, c.ca); err != nil {
			p.Report(g.Object, c.path, "Secret %s is no credential that a gateway can use: %v", full, err).
				Because(secret, nil, "is the gateway's credential")
		} else {
			x.withoutAuthority(p, g, c, full, secret)
		}
	}
}

// elsewhere names a Secret of the same name in another namespace.
func (x *secrets) elsewhere(full, namespace string) string {
	_, name, _ := strings.Cut(full, "/")
	for _, other := range sortedKeys(x.objects) {
		if ns, same, _ := strings.Cut(other, "/"); same == name && ns != namespace {
			return "; " + other + " is not read by pods in " + namespace
		}
	}
	return ""
}

// check tells what keeps a gateway from using a Secret. Its messages show
// nothing of what is in there.
func (x *secrets) check(p *analyze.Pass, o *mesh.Object, ca bool) error {
	var s corev1.Secret
	if err := o.Decode(&s); err != nil {
		return errors.New("its data cannot be read: expected base64")
	}
	if ca {
		return checkCertificates(entryOf(&s, "ca.crt", "cacert"), "ca.crt", p.Now())
	}
	certs, key := entryOf(&s, "cert", corev1.TLSCertKey), entryOf(&s, "key", corev1.TLSPrivateKeyKey)
	if key == nil {
		return errors.New("it has no tls.key")
	}
	if err := checkCertificates(certs, "tls.crt", p.Now()); err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(certs, key); err != nil {
		return errors.New("tls.key is no private key of the certificate in tls.crt")
	}
	return nil
}

func checkCertificates(text []byte, name string, now time.Time) error {
	if len(text) == 0 {
		return fmt.Errorf("it has no %s", name)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s is no certificate in PEM", name)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return fmt.Errorf("the certificate in %s cannot be read", name)
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate in %s has expired at %s", name, c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate in %s is not valid before %s", name, c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
