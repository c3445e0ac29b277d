package envoy_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// TestDumpOfSeveral: what an Envoy tells that runs several workloads is read as
// the configuration of each, in the names that it has alone.
func TestDumpOfSeveral(t *testing.T) {
	t.Parallel()
	read := func(places ...envoy.Place) []*envoy.Dump {
		o := staticOptions()
		o.AccessLog = ""
		b, err := envoy.Static(places, o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		all, err := envoy.ParseConfig("bootstrap.json", text)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	place := func(workload, address string) envoy.Place {
		p := staticPlace(t, grpcProvider, workload)
		p.Address = netip.MustParseAddr(address)
		p.Outbound = &envoy.Outbound{Address: netip.MustParseAddr(address).Next(), Services: map[string]netip.Addr{}, Peers: map[string]netip.Addr{}, Shift: func(port uint32) uint32 { return port }}
		return p
	}
	web, curl := place("shop/web-v1", "127.64.0.2"), place("shop/curl", "127.64.1.2")
	together := read(web, curl)
	var names []string
	for _, d := range together {
		names = append(names, d.Workload)
	}
	if text := strings.Join(names, " "); text != "shop/curl shop/web-v1" {
		t.Fatalf("workloads %s", text)
	}
	for i, p := range []envoy.Place{curl, web} {
		alone := read(p)
		if len(alone) != 1 {
			t.Fatalf("%d configurations of one workload", len(alone))
		}
		if diff := cmp.Diff(alone[0].Config, together[i].Config, protocmp.Transform(), sentOnly()); diff != "" {
			t.Errorf("%s: %s", p.Config.Workload, diff)
		}
	}
}
