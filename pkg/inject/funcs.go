package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// functions are what templates may call: the whole of sprig, overlaid with
// Istio's own (INJ-40, section 3.1). getenv is the environment they see.
func functions(getenv func(string) string) template.FuncMap {
	f := sprig.TxtFuncMap()
	maps.Copy(f, template.FuncMap{
		"annotation":             annotation,
		"appendMultusNetwork":    appendMultusNetwork,
		"applicationPorts":       applicationPorts,
		"contains":               func(needle, hay string) bool { return strings.Contains(hay, needle) },
		"directory":              directory,
		"excludeInboundPort":     excludeInboundPort,
		"excludeInterfaces":      identity,
		"formatDuration":         formatDuration,
		"fromJSON":               fromJSON,
		"includeInboundPorts":    includeInboundPorts,
		"indent":                 indent,
		"isset":                  isset,
		"kubevirtInterfaces":     identity,
		"mergeMaps":              mergeMaps,
		"omit":                   omit,
		"omitNil":                omitNil,
		"otelResourceAttributes": otelResourceAttributes,
		"protoToJSON":            protoToJSON,
		"strdict":                strdict,
		"structToJSON":           structToJSON,
		"toJSON":                 toJSON,
		"toJsonMap":              func(m ...map[string]string) string { return toJSON(mergeMaps(m...)) },
		"toLower":                strings.ToLower,
		"toYaml":                 toYAML,
		"valueOrDefault":         valueOrDefault,
		"env": func(key, fallback string) string {
			return firstOf(getenv(key), fallback)
		},
		// sprig's own versions would read this machine's environment and ask
		// its resolver; a manifest must not depend on either.
		"expandenv":     func(string) (string, error) { return "", errors.New("expandenv is not available in templates") },
		"getHostByName": func(string) (string, error) { return "", errors.New("getHostByName is not available in templates") },
	})
	bound(f)
	return f
}

func annotation(meta metav1.ObjectMeta, name string, fallback any) string {
	if v, ok := meta.Annotations[name]; ok {
		return v
	}
	return fmt.Sprint(fallback)
}

func isset(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

func valueOrDefault(v, fallback any) any {
	if v == nil || v == "" {
		return fallback
	}
	return v
}

// excludeInboundPort adds port, of any type, to a comma-separated list. Port 0
// and the empty port add nothing.
func excludeInboundPort(port any, list string) string {
	p := strings.TrimSpace(fmt.Sprint(port))
	if p == "" || p == "0" {
		return list
	}
	if list == "" {
		return p
	}
	ports := splitList(list)
	for _, known := range ports {
		if known == p {
			return list
		}
	}
	return strings.Join(append(ports, p), ",")
}

func includeInboundPorts(containers []corev1.Container) string {
	return containerPorts(containers, func(corev1.Container) bool { return true })
}

func applicationPorts(containers []corev1.Container) string {
	return containerPorts(containers, func(c corev1.Container) bool { return c.Name != proxyContainer })
}

// containerPorts lists the TCP ports of the containers that are wanted.
func containerPorts(containers []corev1.Container, wanted func(corev1.Container) bool) string {
	var ports []string
	for _, c := range containers {
		for _, p := range c.Ports {
			if wanted(c) && p.Protocol != corev1.ProtocolUDP && p.Protocol != corev1.ProtocolSCTP {
				ports = append(ports, strconv.Itoa(int(p.ContainerPort)))
			}
		}
	}
	return strings.Join(ports, ",")
}

func identity(s string) string { return s }

func toJSON(m map[string]string) string {
	if m == nil {
		return "{}"
	}
	return structToJSON(m)
}

// fromJSON decodes s, the string "{}" standing for what is not JSON.
func fromJSON(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return "{}"
	}
	return v
}

func structToJSON(v any) string {
	if v == nil {
		return "{}"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(text)
}

func toYAML(v any) string {
	text, err := yaml.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// indent indents every line but the first, unlike sprig's.
func indent(spaces int, s string) string {
	return strings.ReplaceAll(s, "\n", "\n"+strings.Repeat(" ", max(spaces, 0)))
}

func directory(file string) string {
	dir, _ := path.Split(file)
	return dir
}

func formatDuration(d *durationpb.Duration) string {
	return d.AsDuration().Round(time.Nanosecond).String()
}

func strdict(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		value := ""
		if i+1 < len(pairs) {
			value = pairs[i+1]
		}
		m[pairs[i]] = value
	}
	return m
}

func mergeMaps(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, m := range all {
		maps.Copy(merged, m)
	}
	return merged
}

func omit(m map[string]string, keys ...string) map[string]string {
	rest := maps.Clone(m)
	for _, k := range keys {
		delete(rest, k)
	}
	return rest
}

// omitNil drops nil values, and the maps and lists that are empty for it.
func omitNil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		rest := map[string]any{}
		for key, value := range v {
			if value = omitNil(value); value != nil {
				rest[key] = value
			}
		}
		if len(rest) == 0 {
			return nil
		}
		return rest
	case []any:
		var rest []any
		for _, value := range v {
			if value = omitNil(value); value != nil {
				rest = append(rest, value)
			}
		}
		if rest == nil {
			return nil
		}
		return rest
	}
	if v == nil || (reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil()) {
		return nil
	}
	return v
}

// appendMultusNetwork adds network, "namespace/name", to the value of the pod
// annotation k8s.v1.cni.cncf.io/networks, a JSON list or a comma-separated one.
func appendMultusNetwork(existing, network string) string {
	if existing == "" {
		return network
	}
	if end := strings.LastIndex(existing, "]"); end >= 0 {
		var networks []map[string]any
		if json.Unmarshal([]byte(existing), &networks) != nil {
			return existing
		}
		namespace, name, ok := strings.Cut(network, "/")
		if !ok {
			namespace, name = "", network
		}
		for _, n := range networks {
			if n["name"] == name && n["namespace"] == namespace {
				return existing
			}
		}
		entry := fmt.Sprintf(`{"name": "%s", "namespace": "%s"}`, name, namespace)
		if len(networks) > 0 {
			entry = ", " + entry
		}
		return existing[:end] + entry + existing[end:]
	}
	for _, n := range splitList(existing) {
		if n == network {
			return existing
		}
	}
	return existing + ", " + network
}

// otelResourceAttributes names the workload as OpenTelemetry's conventions do,
// if a tracing provider of the mesh asks for that.
func otelResourceAttributes(config *meshconfig.MeshConfig, annotations, labels map[string]string, namespace string, containers []corev1.Container) string {
	enriched := false
	for _, p := range config.GetExtensionProviders() {
		if p.GetOpentelemetry().GetServiceAttributeEnrichment() == meshconfig.MeshConfig_ExtensionProvider_OTEL_SEMANTIC_CONVENTIONS {
			enriched = true
		}
	}
	if !enriched {
		return ""
	}
	const prefix = "resource.opentelemetry.io/"
	var attributes []string
	add := func(name string, candidates ...string) {
		if v := firstOf(candidates...); v != "" {
			attributes = append(attributes, name+"="+v)
		}
	}
	version, instance := "", ""
	if len(containers) == 1 {
		version = imageVersion(containers[0].Image)
	}
	if namespace != "" && len(containers) > 0 {
		instance = namespace + ".$(POD_NAME)." + containers[0].Name
	}
	add("service.namespace", annotations[prefix+"service.namespace"], namespace)
	add("service.version", annotations[prefix+"service.version"], labels["app.kubernetes.io/version"], version)
	add("service.instance.id", annotations[prefix+"service.instance.id"], instance)
	return strings.Join(attributes, ",")
}

// imageVersion is the tag of an image reference, its digest, or "tag@digest".
func imageVersion(reference string) string {
	name, digest, _ := strings.Cut(reference, "@")
	tag := ""
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		tag = name[i+1:]
	}
	switch {
	case digest == "":
		return tag
	case tag == "":
		return digest
	}
	return tag + "@" + digest
}
