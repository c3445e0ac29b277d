package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// prometheusEnv hands the application's own scrape settings to the agent,
// which serves its metrics and the proxy's as one (INJ-65).
const prometheusEnv = "ISTIO_PROMETHEUS_ANNOTATIONS"

type scrapeConfig struct {
	Scrape  string         `json:"scrape"`
	Path    string         `json:"path"`
	Port    string         `json:"port"`
	Targets []scrapeTarget `json:"targets,omitempty"`
}

type scrapeTarget struct {
	Port string `json:"port"`
	Path string `json:"path"`
}

// prometheusAnnotations reads the scrape settings in all spellings of their
// keys; of several spellings the last in order of keys counts.
func prometheusAnnotations(annotations map[string]string) scrapeConfig {
	var c scrapeConfig
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		switch sanitize(key) {
		case "prometheus_io_scrape":
			c.Scrape = annotations[key]
		case "prometheus_io_path":
			c.Path = annotations[key]
		case "prometheus_io_port":
			c.Port = annotations[key]
		}
	}
	return c
}

func clearPrometheus(annotations map[string]string) {
	maps.DeleteFunc(annotations, func(key, _ string) bool {
		switch sanitize(key) {
		case "prometheus_io_scrape", "prometheus_io_path", "prometheus_io_port":
			return true
		}
		return false
	})
}

// mergePrometheus points Prometheus at the agent (INJ-65..INJ-67).
func (n *injection) mergePrometheus() error {
	proxy := sidecarOf(&n.pod.Spec)
	n.setSecurePort(proxy)
	config := prometheusAnnotations(n.pod.Annotations)
	port := agentPort(n.mesh)
	if !n.mergesPrometheus(config) || config.Port == port {
		return nil
	}
	if err := n.addTargets(&config); err != nil {
		return err
	}
	if proxy != nil && (config.Scrape != "" || config.Path != "" || config.Port != "" || config.Targets != nil) {
		text, err := json.Marshal(config)
		if err != nil {
			return err
		}
		proxy.Env = append(proxy.Env, corev1.EnvVar{Name: prometheusEnv, Value: string(text)})
	}
	clearPrometheus(n.pod.Annotations)
	setAnnotation(n.pod, annotationPrometheusPort, port)
	setAnnotation(n.pod, annotationPrometheusPath, "/stats/prometheus")
	setAnnotation(n.pod, annotationPrometheusScrape, "true")
	return nil
}

func (n *injection) mergesPrometheus(config scrapeConfig) bool {
	if scrape, err := strconv.ParseBool(config.Scrape); err == nil && !scrape {
		return false
	}
	if v, ok := n.pod.Annotations[annotationMergeMetrics]; ok {
		if merge, err := strconv.ParseBool(v); err == nil {
			return merge
		}
	}
	if merge := n.mesh.GetEnablePrometheusMerge(); merge != nil {
		return merge.GetValue()
	}
	return true
}

// addTargets reads the annotation that names several endpoints (INJ-66).
func (n *injection) addTargets(config *scrapeConfig) error {
	for _, target := range splitList(n.pod.Annotations[annotationScrapeTargets]) {
		if target == "" {
			continue
		}
		port, path, _ := strings.Cut(target, ":")
		port = strings.TrimSpace(port)
		if err := n.checkScrapePort(port); err != nil {
			return &annotationFault{annotationScrapeTargets, err}
		}
		config.Targets = append(config.Targets, scrapeTarget{port, firstOf(path, "/metrics")})
	}
	if len(config.Targets) > 0 {
		config.Port, config.Path = config.Targets[0].Port, config.Targets[0].Path
		return nil
	}
	if config.Port != "" {
		if reason := n.reservedPort(config.Port); reason != "" {
			return &annotationFault{annotationPrometheusPort, scrapePortError(config.Port, reason)}
		}
	}
	return nil
}

func (n *injection) checkScrapePort(port string) error {
	if p, err := strconv.Atoi(port); err != nil || p < 1 || p > 65535 {
		return fmt.Errorf("invalid prometheus scrape configuration: annotation %s: port %q is not in the range 1..65535", annotationScrapeTargets, port)
	}
	if reason := n.reservedPort(port); reason != "" {
		return scrapePortError(port, reason)
	}
	return nil
}

func scrapePortError(port, reason string) error {
	return fmt.Errorf("invalid prometheus scrape configuration: port %s is reserved for Istio (%s) and cannot be scraped", port, reason)
}

// reservedPort says what a port of the sidecar is for, "" for other ports.
func (n *injection) reservedPort(port string) string {
	if port == agentPort(n.mesh) {
		return "agent status port"
	}
	return map[string]string{
		"15000": "Envoy admin",
		"15001": "Envoy outbound",
		"15004": "agent debug",
		"15006": "Envoy inbound",
		"15008": "HBONE mTLS tunnel",
		"15020": "merged Prometheus telemetry",
		"15021": "health checks",
		"15053": "DNS proxy",
		"15090": "Envoy Prometheus telemetry",
	}[port]
}

// setSecurePort announces the proxy's mTLS metrics port, if it has one
// (INJ-67).
func (n *injection) setSecurePort(proxy *corev1.Container) {
	if proxy == nil {
		return
	}
	i := slices.IndexFunc(proxy.Env, func(e corev1.EnvVar) bool { return e.Name == "ENVOY_SECURE_MERGED_METRICS_PORT" })
	if i < 0 || proxy.Env[i].Value == "" || proxy.Env[i].Value == "0" {
		return
	}
	for key := range n.pod.Annotations {
		if sanitize(key) == sanitize(annotationSecurePort) {
			return
		}
	}
	setAnnotation(n.pod, annotationSecurePort, proxy.Env[i].Value)
}
