package mesh

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// longestConnectTimeout is the most that istiod accepts.
const longestConnectTimeout = time.Hour

// validateConfig is istiod's check of the fields that injection and the
// verdicts read. It reports everything that is wrong.
func validateConfig(config *meshconfig.MeshConfig) error {
	var problems []error
	check := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
	}
	check("invalid proxy listen port", validatePort(config.ProxyListenPort))
	check("invalid proxy inbound listen port", validatePort(config.ProxyInboundListenPort))
	if config.ConnectTimeout != nil {
		check("invalid connect timeout", validateConnectTimeout(config.ConnectTimeout))
	}
	if d := config.ProtocolDetectionTimeout.AsDuration(); d%time.Millisecond != 0 {
		problems = append(problems, errors.New("invalid protocol detection timeout: only durations to ms precision are supported"))
	}
	check("trustDomain", validateTrustDomain(config.TrustDomain))
	for n, alias := range config.TrustDomainAliases {
		check(fmt.Sprintf("trustDomainAliases[%d]", n), validateTrustDomain(alias))
	}
	if config.DefaultConfig == nil {
		problems = append(problems, errors.New("missing default proxy config"))
	} else if err := ValidateProxyConfig(config.DefaultConfig); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// ValidateProxyConfig is istiod's check of a proxy configuration. It reports
// everything that is wrong.
func ValidateProxyConfig(config *meshconfig.ProxyConfig) error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if config.ConfigPath == "" {
		add("config path must be set")
	}
	if config.BinaryPath == "" {
		add("binary path must be set")
	}
	if name, ok := config.ClusterName.(*meshconfig.ProxyConfig_ServiceCluster); ok && name.ServiceCluster == "" {
		add("service cluster must be specified")
	} else if config.ClusterName == nil {
		add("oneof service cluster or tracing service name must be specified")
	}
	if err := validateDuration(config.DrainDuration); err != nil {
		add("invalid drain duration: %w", err)
	} else if config.DrainDuration.AsDuration()%time.Second != 0 {
		add("drain time only supports durations to seconds precision")
	}
	if config.DiscoveryAddress == "" {
		add("discovery address must be set to the proxy discovery service")
	}
	if err := validatePort(config.ProxyAdminPort); err != nil {
		add("invalid proxy admin port: %w", err)
	}
	for _, a := range proxyAddresses(config) {
		if a.address == "" && !a.required {
			continue
		}
		if err := validateProxyAddress(a.address); err != nil {
			add("invalid %s %q: %w", a.what, a.address, err)
		}
	}
	if l := config.GetTracing().GetLightstep(); l != nil && l.AccessToken == "" {
		add("access token is required")
	}
	switch config.ControlPlaneAuthPolicy {
	case meshconfig.AuthenticationPolicy_NONE, meshconfig.AuthenticationPolicy_MUTUAL_TLS:
	default:
		add("invalid authentication policy: unrecognized control plane auth policy %q", config.ControlPlaneAuthPolicy)
	}
	if err := validatePort(config.StatusPort); err != nil {
		add("invalid status port: %w", err)
	}
	return errors.Join(problems...)
}

type proxyAddress struct {
	what     string
	address  string
	required bool
}

// proxyAddresses lists the host:port settings of a proxy configuration.
func proxyAddresses(config *meshconfig.ProxyConfig) []proxyAddress {
	list := []proxyAddress{
		{"discovery address", config.DiscoveryAddress, false},
		{"statsd udp address", config.StatsdUdpAddress, false},
		{"envoy metrics service address", config.GetEnvoyMetricsService().GetAddress(), false},
		{"envoy access log service address", config.GetEnvoyAccessLogService().GetAddress(), false},
	}
	tracing := config.GetTracing()
	if t := tracing.GetLightstep(); t != nil {
		list = append(list, proxyAddress{"lightstep address", t.Address, true})
	}
	if t := tracing.GetZipkin(); t != nil {
		list = append(list, proxyAddress{"zipkin address", t.Address, true})
	}
	if t := tracing.GetDatadog(); t != nil {
		// $(HOST_IP) is filled in on the node.
		list = append(list, proxyAddress{"datadog address", strings.ReplaceAll(t.Address, "$(HOST_IP)", "127.0.0.1"), true})
	}
	return list
}

// validateTrustDomain checks that a trust domain is made of DNS labels; a dot
// may end it.
func validateTrustDomain(domain string) error {
	for label := range strings.SplitSeq(strings.TrimSuffix(domain, "."), ".") {
		if validation.IsDNS1123Label(label) != nil {
			return fmt.Errorf("%q is not a trust domain such as cluster.local", domain)
		}
	}
	return nil
}

func validatePort(port int32) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("port number %d must be in the range 1..65535", port)
	}
	return nil
}

func validateDuration(d *durationpb.Duration) error {
	if d == nil {
		return errors.New("duration is required")
	}
	switch duration := d.AsDuration(); {
	case duration < time.Millisecond:
		return errors.New("duration must be greater than 1ms")
	case duration%time.Millisecond != 0:
		return errors.New("only durations to ms precision are supported")
	}
	return nil
}

func validateConnectTimeout(d *durationpb.Duration) error {
	if err := validateDuration(d); err != nil {
		return err
	}
	if t := d.AsDuration(); t > longestConnectTimeout {
		return fmt.Errorf("time %v must be >1ms and <%v", t, longestConnectTimeout)
	}
	return nil
}

// validateProxyAddress wants host:port; the host may be a DNS name or an IP
// address, an IPv6 address in brackets.
func validateProxyAddress(address string) error {
	i := strings.LastIndex(address, ":")
	if i < 0 {
		return fmt.Errorf("unable to split address %q: missing port in address", address)
	}
	host, port := address[:i], address[i+1:]
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q is not in the range 1..65535", port)
	}
	if strings.HasPrefix(host, "[") {
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
			return fmt.Errorf("invalid IPv6 address %q", host)
		}
		return nil
	}
	if host == "" || strings.ContainsAny(host, " :/_@") {
		return fmt.Errorf("hostname %q is not a DNS name or IP address", host)
	}
	return nil
}
