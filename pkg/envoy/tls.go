package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/policy"
)

// tlsSocket is the name of the transport socket that speaks TLS.
const tlsSocket = "envoy.transport_sockets.tls"

// ciphers are istiod's for inbound mTLS (PA-18).
func ciphers() []string {
	return []string{
		"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256",
		"ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-GCM-SHA256",
	}
}

// downstreamTLS ends the mesh's mTLS: it wants a client certificate of one of
// the mesh's trust domains (EC-89, PA-18).
func (g *Generator) downstreamTLS(m *policy.Model, http bool) *corev3.TransportSocket {
	mtls := g.snapshot.Config.GetMeshMTLS()
	params := &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		CipherSuites: ciphers(),
	}
	if mtls.GetMinProtocolVersion() == meshconfig.MeshConfig_TLSConfig_TLSV1_3 {
		params.TlsMinimumProtocolVersion = tlsv3.TlsParameters_TLSv1_3
	}
	if suites := mtls.GetCipherSuites(); len(suites) > 0 {
		params.CipherSuites = suites
	}
	if curves := mtls.GetEcdhCurves(); len(curves) > 0 {
		params.EcdhCurves = curves
	}
	alpn := []string{"h2", "http/1.1"}
	if !http {
		alpn = append([]string{"istio-peer-exchange"}, alpn...)
	}
	var domains []*matcherv3.StringMatcher
	for _, domain := range m.TrustDomains {
		domains = append(domains, stringMatcher(policy.StringMatch{Form: policy.Prefix, Value: "spiffe://" + domain + "/"}))
	}
	return &corev3.TransportSocket{Name: tlsSocket, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(&tlsv3.DownstreamTlsContext{
		RequireClientCertificate: wrapperspb.Bool(true),
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams: params, AlpnProtocols: alpn,
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{sdsSecret(workloadSecret)},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchSubjectAltNames: domains}, // istiod writes the older field
				ValidationContextSdsSecretConfig: sdsSecret(rootSecret),
			}},
		},
	})}}
}
