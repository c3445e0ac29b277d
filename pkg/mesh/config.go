package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// DefaultConfig is the mesh configuration that istiod starts from (INJ-44).
func DefaultConfig() *meshconfig.MeshConfig {
	return &meshconfig.MeshConfig{
		EnableTracing:                  true,
		ProtocolDetectionTimeout:       durationpb.New(0),
		IngressService:                 "istio-ingressgateway",
		IngressControllerMode:          meshconfig.MeshConfig_STRICT,
		IngressClass:                   "istio",
		TrustDomain:                    "cluster.local",
		EnableAutoMtls:                 wrapperspb.Bool(true),
		OutboundTrafficPolicy:          &meshconfig.MeshConfig_OutboundTrafficPolicy{Mode: meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY},
		InboundTrafficPolicy:           &meshconfig.MeshConfig_InboundTrafficPolicy{Mode: meshconfig.MeshConfig_InboundTrafficPolicy_PASSTHROUGH},
		DefaultConfig:                  DefaultProxyConfig(),
		RootNamespace:                  "istio-system",
		ProxyListenPort:                15001,
		ProxyInboundListenPort:         15006,
		ConnectTimeout:                 durationpb.New(10 * time.Second),
		DefaultServiceExportTo:         []string{"*"},
		DefaultVirtualServiceExportTo:  []string{"*"},
		DefaultDestinationRuleExportTo: []string{"*"},
		DnsRefreshRate:                 durationpb.New(time.Minute),
		EnablePrometheusMerge:          wrapperspb.Bool(true),
		DefaultProviders:               &meshconfig.MeshConfig_DefaultProviders{},
		ExtensionProviders:             builtinProviders(),
	}
}

func builtinProviders() []*meshconfig.MeshConfig_ExtensionProvider {
	return []*meshconfig.MeshConfig_ExtensionProvider{
		{
			Name: "prometheus",
			Provider: &meshconfig.MeshConfig_ExtensionProvider_Prometheus{
				Prometheus: &meshconfig.MeshConfig_ExtensionProvider_PrometheusMetricsProvider{},
			},
		},
		{
			Name: "stackdriver",
			Provider: &meshconfig.MeshConfig_ExtensionProvider_Stackdriver{
				Stackdriver: &meshconfig.MeshConfig_ExtensionProvider_StackdriverProvider{},
			},
		},
		{
			Name: "envoy",
			Provider: &meshconfig.MeshConfig_ExtensionProvider_EnvoyFileAccessLog{
				EnvoyFileAccessLog: &meshconfig.MeshConfig_ExtensionProvider_EnvoyFileAccessLogProvider{Path: "/dev/stdout"},
			},
		},
	}
}

// DefaultProxyConfig is the part of DefaultConfig that every proxy starts from
// (INJ-44).
func DefaultProxyConfig() *meshconfig.ProxyConfig {
	return &meshconfig.ProxyConfig{
		ConfigPath:               "./etc/istio/proxy",
		BinaryPath:               "/usr/local/bin/envoy",
		ClusterName:              &meshconfig.ProxyConfig_ServiceCluster{ServiceCluster: "istio-proxy"},
		DrainDuration:            durationpb.New(45 * time.Second),
		TerminationDrainDuration: durationpb.New(5 * time.Second),
		ProxyAdminPort:           15000,
		ControlPlaneAuthPolicy:   meshconfig.AuthenticationPolicy_MUTUAL_TLS,
		DiscoveryAddress:         "istiod.istio-system.svc:15012",
		StatNameLength:           189,
		StatusPort:               15020,
	}
}

// ParseConfig lays a mesh configuration, YAML or JSON, over the defaults and
// validates the result (INJ-44). Unknown fields are tolerated: newer meshes
// have more of them.
func ParseConfig(text []byte) (*meshconfig.MeshConfig, error) {
	config := DefaultConfig()
	fields, err := topFields(text)
	if err != nil {
		return nil, fmt.Errorf("mesh config: %w", err)
	}
	// These four are merged with the defaults, not replaced.
	merged := map[string]json.RawMessage{}
	for _, key := range []string{"defaultConfig", "defaultProviders", "extensionProviders", "trustDomainAliases"} {
		if raw, ok := fields[key]; ok {
			merged[key] = raw
			delete(fields, key)
		}
	}
	if err := overlay(config, fields); err != nil {
		return nil, fmt.Errorf("mesh config: %w", err)
	}
	if raw, ok := merged["defaultConfig"]; ok {
		if config.DefaultConfig, err = ApplyProxyConfig(config.DefaultConfig, raw); err != nil {
			return nil, fmt.Errorf("mesh config: defaultConfig: %w", err)
		}
		delete(merged, "defaultConfig")
	}
	if err := mergeLists(config, merged); err != nil {
		return nil, fmt.Errorf("mesh config: %w", err)
	}
	if err := validateConfig(config); err != nil {
		return nil, err
	}
	return config, nil
}

// mergeLists applies the top-level fields that add to the defaults.
func mergeLists(config *meshconfig.MeshConfig, fields map[string]json.RawMessage) error {
	given := &meshconfig.MeshConfig{}
	if err := overlay(given, fields); err != nil {
		return err
	}
	if given.DefaultProviders != nil {
		sub, err := topFields(fields["defaultProviders"])
		if err != nil {
			return err
		}
		if err := overlay(config.DefaultProviders, sub); err != nil {
			return err
		}
	}
	for _, p := range given.ExtensionProviders {
		same := func(q *meshconfig.MeshConfig_ExtensionProvider) bool { return q.Name == p.Name }
		if i := slices.IndexFunc(config.ExtensionProviders, same); i >= 0 {
			config.ExtensionProviders[i].Provider = p.Provider
		} else {
			config.ExtensionProviders = append(config.ExtensionProviders, p)
		}
	}
	slices.Sort(given.TrustDomainAliases)
	config.TrustDomainAliases = slices.Compact(given.TrustDomainAliases)
	return nil
}

// ApplyProxyConfig is base with the fields of text, YAML or JSON, laid over
// it: proxyMetadata is merged by key, proxyHeaders by field, all else replaced
// (INJ-45). base is not changed.
func ApplyProxyConfig(base *meshconfig.ProxyConfig, text []byte) (*meshconfig.ProxyConfig, error) {
	fields, err := topFields(text)
	if err != nil {
		return nil, fmt.Errorf("could not parse proxy config: %w", err)
	}
	config := proto.Clone(base).(*meshconfig.ProxyConfig)
	metadata, headers := config.ProxyMetadata, config.ProxyHeaders
	config.ProxyMetadata, config.ProxyHeaders = nil, nil
	if err := overlay(config, fields); err != nil {
		return nil, fmt.Errorf("could not parse proxy config: %w", err)
	}
	for key, value := range config.ProxyMetadata {
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[key] = value
	}
	config.ProxyMetadata = metadata
	if headers != nil {
		if config.ProxyHeaders != nil {
			given := config.ProxyHeaders.ProtoReflect()
			given.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				headers.ProtoReflect().Set(f, v)
				return true
			})
		}
		config.ProxyHeaders = headers
	}
	return config, nil
}

// WithoutDefaults is a copy without the fields that every proxy starts with
// anyway.
func WithoutDefaults(config *meshconfig.ProxyConfig) *meshconfig.ProxyConfig {
	defaults := DefaultProxyConfig().ProtoReflect()
	clean := proto.Clone(config).(*meshconfig.ProxyConfig)
	m := clean.ProtoReflect()
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if defaults.Has(field) && value.Equal(defaults.Get(field)) {
			m.Clear(field)
		}
		return true
	})
	return clean
}

// topFields is the top level of a YAML or JSON mapping.
func topFields(text []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := yaml.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	return fields, nil
}

// overlay sets in message the fields that are given, zero values included, and
// leaves the others alone. Null counts as not given.
func overlay(message proto.Message, fields map[string]json.RawMessage) error {
	if len(fields) == 0 {
		return nil
	}
	m := message.ProtoReflect()
	given := m.New()
	if err := lenient.unmarshal(fields, given.Interface()); err != nil {
		return lenient.fieldError(fields, m, err)
	}
	descriptors := m.Descriptor().Fields()
	for key, raw := range fields {
		field := descriptors.ByJSONName(key)
		if field == nil {
			field = descriptors.ByTextName(key)
		}
		switch {
		case field == nil || string(raw) == "null":
		case given.Has(field):
			m.Set(field, given.Get(field))
		default:
			m.Clear(field)
		}
	}
	return nil
}

// strictness is what becomes of fields and words that a type does not know.
type strictness bool

const (
	lenient strictness = true // newer meshes have more of them
	strict  strictness = false
)

func (s strictness) unmarshal(fields map[string]json.RawMessage, message proto.Message) error {
	options := protojson.UnmarshalOptions{DiscardUnknown: bool(s)}
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	err = options.Unmarshal(text, message)
	if err == nil {
		return nil
	}
	durations, changed := goDurations(fields, message.ProtoReflect().Descriptor())
	if !changed {
		return err
	}
	if text, err = json.Marshal(durations); err != nil {
		return err
	}
	return options.Unmarshal(text, message)
}

// fieldError names the fields that cannot be read. protojson names a place in
// a text that the user has not written, and varies its blanks on purpose.
func (s strictness) fieldError(fields map[string]json.RawMessage, m protoreflect.Message, err error) error {
	position := regexp.MustCompile(`^proto:[\s\x{a0}]+\(line \d+:\d+\): `)
	plain := func(err error) string { return position.ReplaceAllString(err.Error(), "") }
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if err := s.unmarshal(map[string]json.RawMessage{key: fields[key]}, m.New().Interface()); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s", key, plain(err)))
		}
	}
	if problems == nil {
		return errors.New(plain(err)) // two fields that exclude each other
	}
	return errors.Join(problems...)
}
