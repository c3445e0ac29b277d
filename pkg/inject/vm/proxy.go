package vm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/mesh"
)

const proxyConfigAnnotation = "proxy.istio.io/config"

// proxyConfig is what the agent starts with: the mesh's, then the annotation of
// the group and that of its template, and the metadata that tells istiod who
// calls (INJ-112).
func (b *builder) proxyConfig() (*meshconfig.ProxyConfig, error) {
	config := b.Mesh.GetDefaultConfig()
	if config == nil {
		config = mesh.DefaultProxyConfig()
	}
	if err := b.checkMetadata(config.ProxyMetadata); err != nil {
		return nil, fmt.Errorf("mesh config: defaultConfig: %w", err)
	}
	config, err := mesh.ApplyProxyConfig(config, nil) // a copy
	if err != nil {
		return nil, err
	}
	for _, from := range []struct {
		path        []string
		annotations map[string]string
	}{
		{[]string{"metadata", "annotations", proxyConfigAnnotation}, b.group.Annotations},
		{[]string{"spec", "metadata", "annotations", proxyConfigAnnotation}, b.group.Spec.GetMetadata().GetAnnotations()},
	} {
		text, ok := from.annotations[proxyConfigAnnotation]
		if !ok {
			continue
		}
		if config, err = mesh.ApplyProxyConfig(config, []byte(text)); err == nil {
			err = b.checkMetadata(config.ProxyMetadata)
		}
		if err != nil {
			return nil, fault(b.group, from.path, "", fmt.Errorf("annotation %s: %w", proxyConfigAnnotation, err))
		}
	}
	config.ReadinessProbe = b.group.Spec.GetProbe()
	if config.DiscoveryAddress == mesh.DefaultProxyConfig().DiscoveryAddress {
		config.DiscoveryAddress = b.istiodAddress()
	}
	if config.ProxyMetadata == nil {
		config.ProxyMetadata = map[string]string{}
	}
	return config, b.addMetadata(config)
}

// checkMetadata refuses what cannot be a variable of a shell, and a trust domain
// that is not the certificate's (CA-6).
func (b *builder) checkMetadata(metadata map[string]string) error {
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !isVariable(key) {
			problems = append(problems, fmt.Errorf("proxyMetadata: %q cannot be the name of a variable: only letters, digits and underscores can, and no digit first", key))
		}
		if strings.ContainsRune(metadata[key], 0) {
			problems = append(problems, fmt.Errorf("proxyMetadata: the value of %s has a byte 0, which no variable can hold", key))
		}
	}
	if domain, ok := metadata["TRUST_DOMAIN"]; ok && domain != b.TrustDomain {
		problems = append(problems, fmt.Errorf("proxyMetadata: TRUST_DOMAIN is %q, and the authority's is %q", domain, b.TrustDomain))
	}
	return errors.Join(problems...)
}

// addMetadata adds what istiod knows the machine by (INJ-112).
func (b *builder) addMetadata(config *meshconfig.ProxyConfig) error {
	labels := b.labels()
	service := cmp.Or(labels["service.istio.io/canonical-name"], labels["app.kubernetes.io/name"], labels["app"], b.group.Name)
	revision := cmp.Or(labels["service.istio.io/canonical-revision"], labels["app.kubernetes.io/version"], labels["version"], "latest")
	labels["service.istio.io/canonical-name"], labels["service.istio.io/canonical-revision"] = service, revision
	labelText, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	metadata := config.ProxyMetadata
	maps.Copy(metadata, map[string]string{
		"CANONICAL_SERVICE":        service,
		"CANONICAL_REVISION":       revision,
		"POD_NAMESPACE":            b.group.Namespace,
		"SERVICE_ACCOUNT":          account(b.group),
		"TRUST_DOMAIN":             b.TrustDomain,
		"ISTIO_META_CLUSTER_ID":    b.ClusterID,
		"ISTIO_META_MESH_ID":       config.MeshId,
		"ISTIO_META_NETWORK":       b.template().Network,
		"ISTIO_META_WORKLOAD_NAME": b.group.Name,
		"ISTIO_METAJSON_LABELS":    string(labelText),
	})
	if ports := b.ports(); len(ports) > 0 {
		text, err := json.Marshal(ports)
		if err != nil {
			return err
		}
		metadata["ISTIO_META_POD_PORTS"] = string(text)
	}
	delete(metadata, "ISTIO_META_DNS_CAPTURE")
	if b.CaptureDNS {
		metadata["ISTIO_META_DNS_CAPTURE"] = "true"
	}
	if fileMounted(metadata) { // the agent looks for these here, not in its environment
		for key, file := range map[string]string{"KEY": "key.pem", "CERT_CHAIN": "cert-chain.pem", "ROOT_CERT": "root-cert.pem"} {
			if key = "ISTIO_META_TLS_CLIENT_" + key; metadata[key] == "" {
				metadata[key] = certificates + "/" + file
			}
		}
	}
	if b.AutoRegister {
		metadata["ISTIO_META_AUTO_REGISTER_GROUP"] = b.group.Name
	}
	return nil
}

// labels are those of the machines: the group's metadata says them, and what its
// template says goes over it.
func (b *builder) labels() map[string]string {
	all := maps.Clone(b.group.Spec.GetMetadata().GetLabels())
	if all == nil {
		all = map[string]string{}
	}
	own := b.template().Labels
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if said, ok := all[key]; ok && said != own[key] {
			b.note([]string{"spec", "template", "labels", key}, "label %s is %q here and %q in spec.metadata.labels: this one counts", key, own[key], said)
		}
		all[key] = own[key]
	}
	return all
}

// port is one of a machine's, as istiod reads it. A group does not say protocols.
type port struct {
	Name     string `json:"name,omitempty"`
	Number   uint32 `json:"containerPort"`
	Protocol string `json:"protocol"`
}

// ports are those of the template, sorted by name.
func (b *builder) ports() []port {
	var all []port
	own := b.template().Ports
	for _, name := range slices.Sorted(maps.Keys(own)) {
		all = append(all, port{Name: name, Number: own[name]})
	}
	return all
}

// meshText is the config as the agent reads it, without what it starts with
// anyway. The discovery address is always told.
func meshText(config *meshconfig.ProxyConfig) ([]byte, error) {
	told := mesh.WithoutDefaults(config)
	told.DiscoveryAddress = config.DiscoveryAddress
	text, err := protojson.Marshal(told)
	if err != nil {
		return nil, err
	}
	// protojson varies its blanks from build to build on purpose.
	var all bytes.Buffer
	all.WriteString(`{"defaultConfig":`)
	if err := json.Compact(&all, text); err != nil {
		return nil, err
	}
	all.WriteByte('}')
	return writeYAML(escaped(all.String()))
}

// writeYAML is a text of JSON as YAML. If that does not read back, since the
// writer breaks lines at odd characters, it stays JSON, which is YAML too.
func writeYAML(text []byte) ([]byte, error) {
	lines, err := yaml.JSONToYAML(text)
	if err != nil {
		return nil, err
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(text, &want), yaml.Unmarshal(lines, &got)); err == nil && reflect.DeepEqual(want, got) {
		return lines, nil
	}
	var plain bytes.Buffer
	err = json.Indent(&plain, text, "", "  ")
	plain.WriteByte('\n')
	return plain.Bytes(), err
}

// escaped writes by number what JSON takes as it is and YAML does not, or takes
// for the end of a line. In JSON it stands in texts only.
func escaped(text string) []byte {
	var all bytes.Buffer
	for _, r := range text {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || r == '\ufeff' || r == '\ufffe' || r == '\uffff' {
			fmt.Fprintf(&all, `\u%04x`, r)
			continue
		}
		all.WriteRune(r)
	}
	return all.Bytes()
}
