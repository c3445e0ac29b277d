package vm

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

// errNoService is a gateway that is not among the objects.
var errNoService = errors.New("it is not in the manifests")

// Ingress is the address of a gateway's Service, as a cluster has assigned it: its
// load balancer's, or the first of its external ones.
func Ingress(objects []*mesh.Object, namespace, name string) (netip.Addr, error) {
	wrong := func(o *mesh.Object, err error) (netip.Addr, error) {
		e := &report.InputError{Subject: "Service " + namespace + "/" + name, Err: err, Hint: "give the gateway's address with --ingress-ip"}
		if o != nil {
			e.Location = o.Locate()
		}
		return netip.Addr{}, e
	}
	i := slices.IndexFunc(objects, func(o *mesh.Object) bool {
		return o.APIVersion == "v1" && o.Kind == "Service" && o.Namespace == namespace && o.Name == name
	})
	if i < 0 {
		return wrong(nil, errNoService)
	}
	var service corev1.Service
	if err := objects[i].Decode(&service); err != nil {
		return wrong(objects[i], err)
	}
	text := ""
	if balancers := service.Status.LoadBalancer.Ingress; len(balancers) > 0 {
		if text = balancers[0].IP; text == "" {
			return wrong(objects[i], fmt.Errorf("its load balancer has a name only, %q, and hosts need an address", balancers[0].Hostname))
		}
	} else if len(service.Spec.ExternalIPs) > 0 {
		text = service.Spec.ExternalIPs[0]
	}
	if text == "" {
		return wrong(objects[i], errors.New("it has no address: a file shows one only if it was read from a cluster"))
	}
	address, err := ParseAddress(text)
	if err != nil {
		return wrong(objects[i], err)
	}
	return address, nil
}

// ParseAddress reads an address by which others can reach one machine.
func ParseAddress(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return address, fmt.Errorf("%q: expected an IP address", text)
	case address.Zone() != "":
		return address, fmt.Errorf("%q: a zone means something on its own machine only", text)
	case address.IsUnspecified(), address.IsMulticast():
		return address, fmt.Errorf("%q: expected the address of one machine", text)
	}
	return address.Unmap(), nil
}
