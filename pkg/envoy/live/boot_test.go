//go:build envoy

package live_test

import (
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshctl/meshctl/pkg/envoy/live"
)

// TestEnvoySaysWhy: of a message that breaks a rule of its own type Envoy prints
// all first; what counts is the reason behind it.
func TestEnvoySaysWhy(t *testing.T) {
	b := &bootstrapv3.Bootstrap{Admin: &bootstrapv3.Admin{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 70000},
	}}}}}
	p, err := live.Boot(t.Context(), binary(t), t.TempDir(), b, 1, nil)
	if p != nil || err == nil {
		t.Fatal("it runs")
	}
	if text := err.Error(); !strings.Contains(text, "PortValue: value must be less than or equal to 65535") || strings.Contains(text, "goo.gle") || strings.Contains(text, "\n") {
		t.Error(text)
	}
}
