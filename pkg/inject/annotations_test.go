package inject_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAnnotations: the values that are refused before anything is rendered
// (injection reference, section 4). An empty want is a value that is accepted.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	const traffic, readiness = "traffic.sidecar.istio.io/", "readiness.status.sidecar.istio.io/"
	tests := []struct{ key, value, want string }{
		{"sidecar.istio.io/interceptionMode", "TPROXY", ""},
		{"sidecar.istio.io/interceptionMode", "tproxy", "interceptionMode invalid, use REDIRECT,TPROXY,NONE: tproxy"},
		{"status.sidecar.istio.io/port", "0", ""},
		{"status.sidecar.istio.io/port", "65536", "value out of range"},
		{readiness + "initialDelaySeconds", "4294967295", ""},
		{readiness + "periodSeconds", "-1", "invalid syntax"},
		{readiness + "failureThreshold", "many", "invalid syntax"},
		{traffic + "includeOutboundIPRanges", "*", ""},
		{traffic + "includeOutboundIPRanges", "", ""},
		{traffic + "includeOutboundIPRanges", "10.0.0.0/8, fd00::/8", ""},
		{traffic + "includeOutboundIPRanges", "10.0.0.1", "includeIPRanges invalid: failed parsing CIDR '10.0.0.1': invalid CIDR address: 10.0.0.1"},
		{traffic + "excludeOutboundIPRanges", "*", "excludeIPRanges invalid: failed parsing CIDR '*': invalid CIDR address: *"},
		{traffic + "includeInboundPorts", "*", ""},
		{traffic + "includeInboundPorts", "80,443", ""},
		{traffic + "includeInboundPorts", "http", "includeInboundPorts invalid"},
		{traffic + "excludeInboundPorts", "*", "excludeInboundPorts invalid"},
		{traffic + "excludeOutboundPorts", "70000", "excludeOutboundPorts invalid"},
		{traffic + "includeOutboundPorts", "abc", ""}, // the peer checks it not
		{traffic + "excludeInterfaces", "eth0,net1@x", ""},
		{traffic + "excludeInterfaces", "a-name-of-16-char", "invalid interface name"},
		{traffic + "kubevirtInterfaces", "net 1", "invalid interface name"},
		{"istio.io/reroute-virtual-interfaces", "net$1", "invalid interface name"},
		{"prometheus.istio.io/merge-metrics", "perhaps", "invalid syntax"},
		{"proxy.istio.io/config", "{statusPort: 0}", "invalid status port"},
		{"proxy.istio.io/config", "{drainDuration: 10s}", ""},
		{"sidecar.istio.io/proxyCPU", "100m", ""},
		{"sidecar.istio.io/proxyMemory", "lots", "not a quantity such as 100m or 128Mi"},
		{"sidecar.istio.io/proxyCPULimit", "1\n", "control characters are not allowed"},
		{"sidecar.istio.io/proxyMemoryLimit", "", "not a quantity"},
		{"sidecar.istio.io/logLevel", "x y", ""},
		{"sidecar.istio.io/rewriteAppHTTPProbers", "perhaps", ""},
	}
	i := defaults(t, config(marker))
	for _, tt := range tests {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			pod := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {%s: %q}}\nspec: {}\n", tt.key, tt.value)
			_, err := i.Document(document(t, pod))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && err == nil:
				t.Error("accepted")
			case tt.want != "":
				column := len("metadata: {name: p, annotations: {") + len(tt.key) + len(": ") + 1
				prefix := fmt.Sprintf("app.yaml:3:%d: Pod p: failed to run injection template: 1 error occurred: * invalid value '%s' for annotation '%s': ", column, tt.value, tt.key)
				if !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %q, want %q and %q", err, prefix, tt.want)
				}
			}
		})
	}
}

// TestProxyConfigAnnotation: what cannot even be merged is told by its field
// (INJ-45).
func TestProxyConfigAnnotation(t *testing.T) {
	t.Parallel()
	got := failure(t, defaults(t, config(marker)), "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {proxy.istio.io/config: \"{concurrency: two}\"}}\nspec: {}\n")
	want := `app.yaml:3:58: Pod p: annotation proxy.istio.io/config: could not parse proxy config: concurrency: invalid value for int32 field value: "two"`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
