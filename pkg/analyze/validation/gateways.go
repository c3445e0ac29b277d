package validation

import (
	"net/netip"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// gateway checks a Gateway. A server without a port is for the schema of the
// kind to refuse, not for the webhook.
func (c *checker) gateway(at path, g *networking.Gateway) {
	if len(g.Servers) == 0 {
		c.refuse(at, "a Gateway that listens nowhere: give it servers")
	}
	names := map[string]bool{}
	for i, s := range g.Servers {
		item := at.item("servers", i)
		if s == nil {
			c.refuse(item, "an empty server: take it away")
			continue
		}
		c.server(item, s)
		if name := s.GetPort().GetName(); name != "" {
			if names[name] {
				c.refuse(item.to("port", "name"), "port name %q is there twice: give each server its own", name)
			}
			names[name] = true
		}
	}
}

func (c *checker) server(at path, s *networking.Server) {
	if len(s.Hosts) == 0 {
		c.refuse(at, `a server for no host: give it hosts, such as "*"`)
	}
	for i, host := range s.Hosts {
		c.scopedHost(at.item("hosts", i), host, true)
	}
	c.bind(at.to("bind"), s.Bind)
	if s.Port == nil {
		return
	}
	if s.Port.Name == "" {
		c.refuse(at.to("port"), "a port without a name: give it one")
	}
	c.protocol(at.to("port", "protocol"), s.Port.Protocol)
	c.number(at.to("port", "number"), s.Port.Number, strings.HasPrefix(s.Bind, "unix://"))
	c.serverTLS(at, s)
}

// scopedHost checks a host with a namespace before it, if need be.
func (c *checker) scopedHost(at path, text string, bare bool) {
	namespace, host, scoped := strings.Cut(text, "/")
	if !scoped {
		if !bare {
			c.refuse(at, "%q has no namespace: expected NAMESPACE/HOST, such as */* or ./*", text)
			return
		}
		c.host(at, text)
		return
	}
	if namespace != "*" && namespace != "." && (namespace != "~" || bare) && !hostLabel.MatchString(namespace) {
		c.refuse(at, `%q is no namespace: expected one, "." or "*"`, namespace)
	}
	c.host(at, host)
}

func protocols() []string {
	return []string{"HTTP", "HTTP2", "HTTPS", "TLS", "TCP", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "UDP", "HTTP_PROXY", "HBONE", "DOUBLE-HBONE"}
}

func (c *checker) protocol(at path, name string) {
	if !slices.Contains(protocols(), strings.ToUpper(name)) {
		c.refuse(at, "there is no protocol %q; %s", name, mesh.DidYouMean(name, protocols()))
	}
}

func (c *checker) bind(at path, bind string) {
	if _, err := netip.ParseAddr(bind); err != nil && bind != "" && !strings.HasPrefix(bind, "unix://") {
		c.refuse(at, "%q is no address to listen on: expected an IP address or unix://PATH", bind)
	}
}

// serverTLS checks TLS of a server of a gateway.
func (c *checker) serverTLS(at path, s *networking.Server) {
	protocol := strings.ToUpper(s.Port.Protocol)
	secure := protocol == "HTTPS" || protocol == "TLS"
	t := s.Tls
	if t == nil {
		if secure {
			c.refuse(at, "a server of protocol %s without tls: give it tls", s.Port.Protocol)
		}
		return
	}
	at = at.to("tls")
	plain := slices.Contains([]string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY"}, protocol) &&
		t.Mode == networking.ServerTLSSettings_PASSTHROUGH && t.CaCertificates == "" && t.PrivateKey == "" && t.ServerCertificate == ""
	if !secure && !plain { // an HTTP server may redirect to HTTPS
		c.refuse(at, "a server of protocol %s has no TLS: set port.protocol to HTTPS or TLS", s.Port.Protocol)
	}
	if secure && t.HttpsRedirect {
		c.warn(at.to("httpsRedirect"), "it redirects HTTP, and this server has none: set it on the HTTP server")
	}
	c.serverCertificates(at, t)
	if v := t.MinProtocolVersion; v == networking.ServerTLSSettings_TLSV1_0 || v == networking.ServerTLSSettings_TLSV1_1 {
		c.warn(at.to("minProtocolVersion"), "versions under TLSV1_2 need cipher suites that are not in the default: set TLSV1_2, or cipherSuites too")
	}
	seen := map[string]bool{}
	for i, suite := range t.CipherSuites {
		if seen[suite] {
			c.warn(at.item("cipherSuites", i), "%s is there twice: take it away", suite)
		}
		seen[suite] = true
	}
}

// serverCertificates checks where the certificate of a server comes from.
func (c *checker) serverCertificates(at path, t *networking.ServerTLSSettings) {
	sources := 0
	for _, given := range []bool{t.CredentialName != "", len(t.CredentialNames) > 0, len(t.TlsCertificates) > 0} {
		if given {
			sources++
		}
	}
	if sources > 1 {
		c.refuse(at, "credentialName, credentialNames and tlsCertificates exclude each other: keep one")
	}
	mutual := t.Mode == networking.ServerTLSSettings_MUTUAL || t.Mode == networking.ServerTLSSettings_OPTIONAL_MUTUAL
	switch {
	case t.Mode == networking.ServerTLSSettings_ISTIO_MUTUAL:
		if sources > 0 || t.ServerCertificate != "" || t.PrivateKey != "" || t.CaCertificates != "" {
			c.refuse(at, "mode ISTIO_MUTUAL uses the gateway's own certificate: take the others away")
		}
	case sources > 0 || t.Mode != networking.ServerTLSSettings_SIMPLE && !mutual:
	default:
		if t.ServerCertificate == "" || t.PrivateKey == "" {
			c.refuse(at, "mode %s needs a certificate and its key: give it credentialName, or serverCertificate and privateKey", t.Mode)
		}
		if mutual && t.CaCertificates == "" && t.CaCertCredentialName == "" {
			c.refuse(at, "mode %s needs the CA of the clients: give it credentialName or caCertificates", t.Mode)
		}
	}
}
