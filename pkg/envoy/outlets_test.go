package envoy_test

import (
	"fmt"
	"slices"
	"testing"
)

// TestOutlets: listeners of one address name their service, those for all none
// (EC-95..EC-98).
func TestOutlets(t *testing.T) {
	t.Parallel()
	c := configOf(t, buildMesh(t, cartYAML+"---\n"+podsOnly, ""), "shop/curl")
	pods := c.PodAddresses()
	var got []string
	for _, o := range c.Outlets() {
		switch {
		case pods[o.Address] != "":
			o.Address = "a pod"
		case o.Address != "":
			o.Address = "its own"
		}
		got = append(got, fmt.Sprintf("%s:%d %s", o.Address, o.Port, o.Service))
	}
	slices.Sort(got)
	want := []string{
		":80 ", "a pod:5432 db.shop.svc.cluster.local", "a pod:5432 db.shop.svc.cluster.local",
		"its own:7000 cart.shop.svc.cluster.local", "its own:9000 cart.shop.svc.cluster.local",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
