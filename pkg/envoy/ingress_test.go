package envoy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// inboundMatches are the matches of the inbound listeners' chains, by listener.
func inboundMatches(c *envoy.Config) map[string][]string {
	all := map[string][]string{}
	for _, l := range c.Listeners {
		if l.TrafficDirection != corev3.TrafficDirection_INBOUND {
			continue
		}
		name := l.Name
		if strings.HasPrefix(name, "10.244.") {
			name = "pod" + name[strings.Index(name, "_"):]
		}
		all[name] = []string{}
		for _, chain := range l.FilterChains {
			m := chain.FilterChainMatch
			if m.GetDestinationPort() != nil || l.Name != "virtualInbound" {
				all[name] = append(all[name], fmt.Sprintf("%s:%d", m.GetTransportProtocol(), m.GetDestinationPort().GetValue()))
			}
		}
		slices.Sort(all[name])
		all[name] = slices.Compact(all[name])
	}
	return all
}

// TestIngress: a Sidecar's listeners stand in place of all ports that Services
// declare; some are bound for real (EC-37, EC-38, EC-102).
func TestIngress(t *testing.T) {
	t.Parallel()
	sidecar := func(ingress string) string {
		return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\nspec: {workloadSelector: {labels: {version: v1}}, ingress: [" + ingress + "]}\n"
	}
	const (
		plain = "{port: {number: 1, protocol: HTTP, name: a}, defaultEndpoint: '127.0.0.1:8080'}"
		real  = "{port: {number: 2, protocol: TCP, name: b}, captureMode: NONE, bind: 127.0.0.1, defaultEndpoint: '127.0.0.1:9000'}"
	)
	tests := []struct {
		name, manifests, meshConfig string
		want                        map[string][]string
	}{
		{"those of Services", "", "", map[string][]string{"virtualInbound": {":15006", "raw_buffer:7000", "raw_buffer:8080", "raw_buffer:9000", "tls:7000", "tls:8080", "tls:9000"}}},
		{"the Sidecar's", sidecar(plain), "", map[string][]string{"virtualInbound": {":15006", "raw_buffer:1", "tls:1"}}},
		{"one is bound", sidecar(plain + ", " + real), "", map[string][]string{"virtualInbound": {":15006", "raw_buffer:1", "tls:1"}, "127.0.0.1_2": {"raw_buffer:0", "tls:0"}}},
		{"all are, without interception", sidecar(plain + ", " + real), "defaultConfig: {interceptionMode: NONE}", map[string][]string{"pod_1": {"raw_buffer:0", "tls:0"}, "127.0.0.1_2": {"raw_buffer:0", "tls:0"}}},
		{"none without a Sidecar", "", "defaultConfig: {interceptionMode: NONE}", map[string][]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := inboundMatches(configOf(t, buildMesh(t, shopYAML+tt.manifests, tt.meshConfig), "shop/web-v1"))
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
	c := configOf(t, buildMesh(t, shopYAML+sidecar(real), ""), "shop/web-v1")
	if l := listenerOf(c, "127.0.0.1_2"); l.BindToPort != nil || len(l.ListenerFilters) != 1 || l.ListenerFilters[0].Name != "envoy.filters.listener.tls_inspector" {
		t.Errorf("%v", l)
	}
}
