package envoy

import (
	"cmp"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/meshctl/meshctl/pkg/policy"
)

// Where endpoints say whether they speak mTLS, and how (EC-86).
const (
	socketMatchMetadata = "envoy.transport_socket_match"
	tlsModeKey          = "tlsMode"
	mutualMode          = "istio"
)

// secure renders what the client's sidecar does about TLS: nothing, always the
// same, or what the endpoint is marked for (EC-86..EC-88).
func (b *clusterBuilder) secure(c *policy.Cluster, config *meshconfig.MeshConfig) {
	if c.Settings != nil && !c.Mutual && c.Settings.Mode != networking.ClientTLSSettings_DISABLE {
		b.askName(c.Settings, c.TLS)
	}
	switch c.TLS {
	case policy.AlwaysTLS:
		b.TransportSocket = b.tlsSocket(c, config)
	case policy.PerEndpointTLS:
		b.TransportSocketMatches = []*clusterv3.Cluster_TransportSocketMatch{
			{Name: "tlsMode-" + mutualMode, Match: tlsModeMatch(), TransportSocket: b.tlsSocket(c, config)},
			{Name: "tlsMode-disabled", Match: &structpb.Struct{}, TransportSocket: rawBuffer()},
		}
	}
	b.announce(c.Policy.GetProxyProtocol())
}

func (b *clusterBuilder) tlsSocket(c *policy.Cluster, config *meshconfig.MeshConfig) *corev3.TransportSocket {
	if c.Mutual {
		return socket(tlsSocket, b.mutualTLS(c))
	}
	return socket(tlsSocket, b.originatedTLS(c, config.GetTlsDefaults()))
}

func tlsModeMatch() *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{tlsModeKey: structpb.NewStringValue(mutualMode)}}
}

func socket(name string, config proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(config)}}
}

func rawBuffer() *corev3.TransportSocket {
	return socket("envoy.transport_sockets.raw_buffer", &rawbufferv3.RawBuffer{})
}

func upstreamContext() *tlsv3.CommonTlsContext {
	return &tlsv3.CommonTlsContext{TlsParams: &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
	}}
}

// mutualTLS is the mesh's own TLS to an upstream, with secure naming (EC-88).
func (b *clusterBuilder) mutualTLS(c *policy.Cluster) *tlsv3.UpstreamTlsContext {
	common := upstreamContext()
	common.AlpnProtocols = []string{"istio-peer-exchange", "istio"}
	if b.isHTTP2() {
		common.AlpnProtocols = append(common.AlpnProtocols, "h2")
	}
	common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{sdsSecret(workloadSecret)}
	common.ValidationContextType = validation(c.Names, "", sdsSecret(rootSecret))
	return &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: c.SNI}
}

// originatedTLS is what a DestinationRule asks for: SIMPLE or MUTUAL (EC-87,
// DR-17).
func (b *clusterBuilder) originatedTLS(c *policy.Cluster, defaults *meshconfig.MeshConfig_TLSConfig) *tlsv3.UpstreamTlsContext {
	s, common := c.Settings, upstreamContext()
	unchecked := s.GetInsecureSkipVerify().GetValue()
	if s.CredentialName != "" {
		if s.Mode == networking.ClientTLSSettings_MUTUAL {
			common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{credential(s.CredentialName)}
		}
		if !unchecked {
			common.ValidationContextType = validation(c.Names, "", credential(s.CredentialName+"-cacert"))
		}
	} else {
		if s.Mode == networking.ClientTLSSettings_MUTUAL {
			common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{sdsSecret("file-cert:" + s.ClientCertificate + "~" + s.PrivateKey)}
		}
		common.ValidationContextType = validation(c.Names, s.CaCrl, sdsSecret("file-root:"+cmp.Or(s.CaCertificates, "system")))
		if unchecked {
			common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{}
		}
	}
	if curves := defaults.GetEcdhCurves(); len(curves) > 0 {
		common.TlsParams.EcdhCurves = curves
	}
	if suites := defaults.GetCipherSuites(); len(suites) > 0 {
		common.TlsParams.CipherSuites = suites
	}
	if b.isHTTP2() {
		common.AlpnProtocols = []string{"h2"}
	}
	return &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: c.SNI}
}

// validation trusts a root, for some names; without names, for all (DR-23).
func validation(names []string, revoked string, root *tlsv3.SdsSecretConfig) *tlsv3.CommonTlsContext_CombinedValidationContext {
	context := &tlsv3.CertificateValidationContext{}
	for _, name := range names {
		exact := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}}
		context.MatchSubjectAltNames = append(context.MatchSubjectAltNames, exact) // istiod writes the older field
	}
	if revoked != "" {
		context.Crl = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: revoked}}
	}
	return &tlsv3.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
		DefaultValidationContext: context, ValidationContextSdsSecretConfig: root,
	}}
}

// credential asks the control plane for a Secret or ConfigMap (EC-90).
func credential(name string) *tlsv3.SdsSecretConfig {
	if !strings.Contains(name, "://") {
		name = "kubernetes://" + name
	}
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}, ResourceApiVersion: corev3.ApiVersion_V3,
	}}
}

// askName takes the server's name from the request where the rule names none,
// and then expects it in the certificate too (EC-87).
func (b *clusterBuilder) askName(s *networking.ClientTLSSettings, use policy.TLSUse) {
	if use == policy.NeverTLS || s.Sni != "" {
		return
	}
	b.options().UpstreamHttpProtocolOptions = &corev3.UpstreamHttpProtocolOptions{
		AutoSni: true, AutoSanValidation: len(s.SubjectAltNames) == 0 && !s.GetInsecureSkipVerify().GetValue(),
	}
}

// announce sends the PROXY protocol before all else.
func (b *clusterBuilder) announce(p *networking.TrafficPolicy_ProxyProtocol) {
	if p == nil {
		return
	}
	wrap := func(inner *corev3.TransportSocket) *corev3.TransportSocket {
		return socket("envoy.transport_sockets.upstream_proxy_protocol", &proxyprotocolv3.ProxyProtocolUpstreamTransport{
			Config: &corev3.ProxyProtocolConfig{Version: corev3.ProxyProtocolConfig_Version(p.Version)}, TransportSocket: inner,
		})
	}
	for _, m := range b.TransportSocketMatches {
		m.TransportSocket = wrap(m.TransportSocket)
	}
	switch {
	case b.TransportSocket != nil:
		b.TransportSocket = wrap(b.TransportSocket)
	case len(b.TransportSocketMatches) == 0:
		b.TransportSocket = wrap(rawBuffer())
	}
}
