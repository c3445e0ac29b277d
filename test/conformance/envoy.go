package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// sidecarCase is a row of envoy/cases.json: what istiod told one sidecar.
type sidecarCase struct {
	Workload string   `json:"workload"`
	Inputs   []string `json:"inputs"`
	Mesh     string   `json:"mesh"`
	Want     string   `json:"want"`
}

// sidecar is the configuration of one sidecar, as JSON.
type sidecar struct {
	Listeners, Clusters, Routes, Endpoints []map[string]any
}

// scoreEnvoy counts, as score_envoy.py does, the items of recorded
// configurations that agree after the projection of EC-141. An item that was
// not recorded counts against the score.
func scoreEnvoy(out io.Writer, binary, dir string) (score, total int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		return 0, 0, err
	}
	var cases []sidecarCase
	if err := json.Unmarshal(text, &cases); err != nil {
		return 0, 0, err
	}
	for _, c := range cases {
		want, err := c.recorded(dir)
		if err != nil {
			return score, total, err
		}
		got := c.generated(out, binary, dir)
		for key, item := range want {
			total++
			if reflect.DeepEqual(item, got[key]) {
				score++
			} else {
				_, _ = fmt.Fprintf(out, "MISS envoy %s %s\n", c.Workload, key)
			}
		}
		for key := range got {
			if _, recorded := want[key]; !recorded {
				total++
				_, _ = fmt.Fprintf(out, "EXTRA envoy %s %s\n", c.Workload, key)
			}
		}
	}
	return score, total, nil
}

func (c sidecarCase) recorded(dir string) (map[string]any, error) {
	var s sidecar
	for name, into := range map[string]*[]map[string]any{"listeners": &s.Listeners, "clusters": &s.Clusters, "routes": &s.Routes, "endpoints": &s.Endpoints} {
		text, err := os.ReadFile(filepath.Join(dir, c.Want, name+".json"))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.items(), nil
}

func (c sidecarCase) generated(out io.Writer, binary, dir string) map[string]any {
	ctx, cancel := context.WithTimeout(context.Background(), 4*caseTimeout)
	defer cancel()
	args := []string{"envoy", "config", "--workload", c.Workload, "-o", "json"}
	for _, input := range c.Inputs {
		args = append(args, "-f", filepath.Join(dir, input))
	}
	if c.Mesh != "" {
		args = append(args, "--mesh-config", filepath.Join(dir, c.Mesh))
	}
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var s sidecar
	if err == nil {
		err = json.Unmarshal(stdout.Bytes(), &s)
	}
	if err != nil {
		_, _ = fmt.Fprintf(out, "MISS envoy %s: %v: %s\n", c.Workload, err, stderr.String())
	}
	return s.items()
}

// anAddress is a made up address, or one with a port.
var anAddress = regexp.MustCompile(`^(\d+\.\d+\.\d+\.\d+|vip:.*)(:\d+)?$`)

// items are the parts that are compared, by what they are and their keys.
func (s sidecar) items() map[string]any {
	all := map[string]any{}
	for _, l := range s.Listeners {
		name := text(l["name"])
		address, _, _ := strings.Cut(name, "_")
		if !anAddress.MatchString(address) || strings.HasPrefix(name, "0.0.0.0") {
			all["listener "+name] = true
		}
		if name != "virtualInbound" {
			continue
		}
		for _, chain := range list(l["filterChains"]) {
			all["chain "+matchKey(chain["filterChainMatch"])] = map[string]any{
				"tls": meaning(dig(chain, "transportSocket", "typedConfig")), "auth": policyFilters(chain),
			}
		}
	}
	for _, c := range s.Clusters {
		kind := c["type"]
		if kind == nil {
			kind = "STATIC"
		}
		all["cluster "+text(c["name"])] = map[string]any{"type": kind, "tls": meaning(c["transportSocket"]), "matches": meaning(c["transportSocketMatches"])}
	}
	for _, r := range s.Routes {
		all["route "+text(r["name"])] = virtualHosts(r)
	}
	for _, e := range s.Endpoints {
		all["endpoints "+text(e["clusterName"])] = endpointLines(e)
	}
	return all
}

// meaning drops what no verdict depends on.
func meaning(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, value := range v {
			switch key {
			case "statPrefix", "altStatName", "transportSocketConnectTimeout", "accessLog", "tracing", "initialFetchTimeout", "resourceApiVersion", "sdsConfig":
			default:
				kept[key] = meaning(value)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = meaning(v[i])
		}
		return kept
	}
	return v
}

// matchKey names a filter chain by what it takes.
func matchKey(match any) string {
	m, _ := meaning(match).(map[string]any)
	for key, value := range m {
		if items, ok := value.([]any); ok {
			slices.SortFunc(items, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			m[key] = items
		}
	}
	key, _ := json.Marshal(m) // of JSON, so it can be written
	return string(key)
}

// policyFilters are the filters of a chain that carry policy, in order, and what
// of its connection manager or proxy matters.
func policyFilters(chain map[string]any) []any {
	carries := regexp.MustCompile(`(RBAC|JwtAuthentication|ExtAuthz)$`)
	var all []any
	for _, f := range list(chain["filters"]) {
		config, _ := f["typedConfig"].(map[string]any)
		kind := text(config["@type"])
		filters := []map[string]any{f}
		if strings.HasSuffix(kind, "HttpConnectionManager") {
			filters = list(config["httpFilters"])
		}
		for _, one := range filters {
			if c, ok := one["typedConfig"].(map[string]any); ok && carries.MatchString(text(c["@type"])) {
				all = append(all, meaning(c))
			}
		}
		switch {
		case strings.HasSuffix(kind, "HttpConnectionManager"):
			kept := map[string]any{}
			for _, key := range []string{"normalizePath", "mergeSlashes", "pathWithEscapedSlashesAction", "forwardClientCertDetails", "useRemoteAddress"} {
				if v, ok := config[key]; ok {
					kept[key] = v
				}
			}
			all = append(all, kept)
		case strings.HasSuffix(kind, "TcpProxy"):
			all = append(all, config["cluster"])
		}
	}
	return all
}

func virtualHosts(r map[string]any) []any {
	hosts := list(r["virtualHosts"])
	slices.SortFunc(hosts, func(a, b map[string]any) int { return strings.Compare(text(a["name"]), text(b["name"])) })
	var all []any
	for _, v := range hosts {
		var domains []string
		for _, d := range texts(v["domains"]) {
			if !anAddress.MatchString(d) {
				domains = append(domains, d)
			}
		}
		slices.Sort(domains)
		var routes []any
		for _, route := range list(v["routes"]) {
			action, _ := route["route"].(map[string]any)
			where := any(map[string]any{"cluster": action["cluster"], "weightedClusters": meaning(action["weightedClusters"])})
			if action == nil {
				where = len(route)
			}
			routes = append(routes, []any{meaning(route["match"]), where})
		}
		all = append(all, []any{v["name"], domains, routes})
	}
	return all
}

func endpointLines(e map[string]any) []string {
	var lines []string
	for _, group := range list(e["endpoints"]) {
		for _, one := range list(group["lbEndpoints"]) {
			port := dig(one, "endpoint", "address", "socketAddress", "portValue")
			mode := dig(one, "metadata", "filterMetadata", "envoy.transport_socket_match", "tlsMode")
			lines = append(lines, fmt.Sprint(port, " ", mode))
		}
	}
	slices.Sort(lines)
	return lines
}

func dig(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func list(v any) []map[string]any {
	items, _ := v.([]any)
	var all []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

func texts(v any) []string {
	items, _ := v.([]any)
	var all []string
	for _, item := range items {
		all = append(all, text(item))
	}
	return all
}
