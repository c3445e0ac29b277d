package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/ca"
	"github.com/meshctl/meshctl/pkg/certs"
	"github.com/meshctl/meshctl/pkg/inject/vm"
	"github.com/meshctl/meshctl/pkg/mesh"
	meshreport "github.com/meshctl/meshctl/pkg/report"
)

// machineForm is the output for machines outside of the cluster.
const machineForm = "vm"

// machineFlags say what is in the bundle of a WorkloadGroup. Their names are the
// peer's, in lower case and with dashes.
type machineFlags struct {
	names          []string
	clusterID      string
	ingressIP      string
	ingressService string
	internalIP     string
	externalIP     string
	autoRegister   bool
	captureDNS     bool
	revision       string
	istioNamespace string

	ingress netip.Addr // ingressIP, parsed
	address vm.Address // internalIP or externalIP, parsed
}

func (f *machineFlags) register(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.names, "name", nil, "-o vm: only the WorkloadGroup of this name, or NAMESPACE/NAME; repeatable")
	flags.StringVar(&f.clusterID, "cluster-id", "Kubernetes", "-o vm: what istiod knows the cluster by")
	flags.StringVar(&f.ingressIP, "ingress-ip", "", "-o vm: address of the gateway that leads to istiod, for the file hosts")
	flags.StringVar(&f.ingressService, "ingress-service", "istio-eastwestgateway", "-o vm: Service of that gateway, as SERVICE or SERVICE.NAMESPACE, if the manifests show its address")
	flags.StringVar(&f.internalIP, "internal-ip", "", "-o vm: address of the machine")
	flags.StringVar(&f.externalIP, "external-ip", "", "-o vm: address by which the machine is reached, but which it does not have itself")
	flags.BoolVar(&f.autoRegister, "autoregister", false, "-o vm: have istiod make a WorkloadEntry when the machine connects")
	flags.BoolVar(&f.captureDNS, "capture-dns", true, "-o vm: answer the machine's DNS queries from the mesh")
	flags.StringVar(&f.revision, "revision", "", "-o vm: control plane revision")
	flags.StringVar(&f.istioNamespace, "istio-namespace", "istio-system", "-o vm: namespace of the control plane")
}

// complete refuses flags that cannot be meant; wanted tells whether bundles are
// asked for.
func (f *machineFlags) complete(cmd *cobra.Command, wanted bool) error {
	if !wanted {
		for _, name := range []string{
			"name", "cluster-id", "ingress-ip", "ingress-service", "internal-ip", "external-ip", "autoregister", "capture-dns", "revision", "istio-namespace",
		} {
			if typed(cmd, name) {
				return usagef(cmd, "--%s is for -o vm=DIRECTORY", name)
			}
		}
		return nil
	}
	switch {
	case f.internalIP != "" && f.externalIP != "":
		return usagef(cmd, "--internal-ip and --external-ip exclude each other")
	case f.ingressIP != "" && typed(cmd, "ingress-service"):
		return usagef(cmd, "--ingress-ip and --ingress-service exclude each other")
	}
	for _, a := range []struct {
		flag, text string
		into       *netip.Addr
	}{{"ingress-ip", f.ingressIP, &f.ingress}, {"internal-ip", f.internalIP, &f.address.IP}, {"external-ip", f.externalIP, &f.address.IP}} {
		if a.text == "" {
			continue
		}
		var err error
		if *a.into, err = vm.ParseAddress(a.text); err != nil {
			return usagef(cmd, "--%s %v", a.flag, err)
		}
	}
	f.address.External = f.externalIP != ""
	return nil
}

// machines makes the bundles of all WorkloadGroups that are asked for.
func (o *caIssueOptions) machines(cmd *cobra.Command, dir string) error {
	a, err := o.read(cmd)
	if err != nil {
		return err
	}
	config, err := o.config(a.TrustDomain())
	if err != nil {
		return err
	}
	streams, err := o.input.load(cmd.Context(), o.streams.In, o.streams.ErrOut)
	if err != nil {
		return err
	}
	objects, err := mesh.ReadObjects(streams, o.namespace)
	if err != nil {
		return err
	}
	groups, err := o.machine.groups(objects)
	if err != nil {
		return err
	}
	ingress, notes, err := o.machine.gateway(cmd, objects)
	if err != nil {
		return err
	}
	ids, bundles, more, err := makeBundles(groups, vm.Options{
		Mesh: config, TrustDomain: a.TrustDomain(), ClusterID: o.machine.clusterID, Revision: o.machine.revision, IstioNamespace: o.machine.istioNamespace,
		Ingress: ingress, Address: o.machine.address, AutoRegister: o.machine.autoRegister, CaptureDNS: o.machine.captureDNS,
	})
	if err != nil {
		return err
	}
	requests, err := o.requests(ids)
	if err != nil {
		return err
	}
	if err := printer.Lines(o.streams.ErrOut, append(notes, more...)...); err != nil {
		return err
	}
	return o.folders(cmd, ca.DeliverOptions{Dir: dir, Layout: ca.Files, Bundles: bundles}, requests)
}

// makeBundles makes a bundle a group, and names whom it is for.
func makeBundles(groups []*mesh.WorkloadGroup, options vm.Options) (ids []certs.ID, bundles []ca.Bundle, notes []string, err error) {
	var problems []error
	for _, group := range groups {
		bundle, err := vm.New(group, options)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		id, err := vm.Identity(group, options.TrustDomain)
		problems = append(problems, err)
		ids, bundles = append(ids, id), append(bundles, ca.Bundle{Folder: vm.Folder(group), Files: bundle.Files})
		for _, note := range bundle.Notes {
			notes = append(notes, "note: "+note)
		}
	}
	return ids, bundles, notes, errors.Join(problems...)
}

// groups are those that are asked for.
func (f *machineFlags) groups(objects []*mesh.Object) ([]*mesh.WorkloadGroup, error) {
	all, err := mesh.WorkloadGroups(objects)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &meshreport.InputError{Err: errors.New("the manifests have no WorkloadGroup"), Hint: "give the file that has it with -f"}
	}
	var known []string
	for _, g := range all {
		known = append(known, g.Name, g.Namespace+"/"+g.Name)
	}
	for _, name := range f.names {
		if !slices.Contains(known, name) {
			return nil, &meshreport.InputError{Err: fmt.Errorf("the manifests have no WorkloadGroup %q", name), Hint: mesh.DidYouMean(name, known)}
		}
	}
	chosen := slices.DeleteFunc(all, func(g *mesh.WorkloadGroup) bool {
		return f.names != nil && !slices.Contains(f.names, g.Name) && !slices.Contains(f.names, g.Namespace+"/"+g.Name)
	})
	if f.address.IP.IsValid() && len(chosen) > 1 {
		return nil, &meshreport.InputError{Err: fmt.Errorf("%s is the address of one machine, and there are %d WorkloadGroups", f.address.IP, len(chosen)), Hint: "choose one with --name"}
	}
	return chosen, nil
}

// gateway is the address of what leads to istiod; the zero value if that is not
// known, and was not asked for by name.
func (f *machineFlags) gateway(cmd *cobra.Command, objects []*mesh.Object) (address netip.Addr, notes []string, err error) {
	if f.ingress.IsValid() {
		return f.ingress, nil, nil
	}
	name, namespace, ok := strings.Cut(f.ingressService, ".")
	if !ok {
		namespace = f.istioNamespace
	}
	address, err = vm.Ingress(objects, namespace, name)
	if err == nil || typed(cmd, "ingress-service") {
		return address, nil, err
	}
	return netip.Addr{}, []string{"note: no file hosts is written, since no address of a gateway is known: give --ingress-ip, unless the machines find istiod by DNS"}, nil
}
