package platform

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// injectedPort is the port that injection adds to pods.
const injectedPort = "http-envoy-prom"

// targetPorts finds ports of Services that lead to a name that none of their
// pods has. Without pods in the files, or with such that injection changes as
// nobody here knows, it is silent.
func targetPorts(p *analyze.Pass) {
	byObject := map[*mesh.Object]*pod{}
	for _, one := range pods(p) {
		byObject[one.Object] = one
	}
	for _, v := range p.Services {
		if v.Entry != nil || len(v.Selector) == 0 {
			continue
		}
		for i, port := range v.Ports {
			if port.Target.Type != intstr.String || port.Target.StrVal == injectedPort {
				continue
			}
			names, of := namedPorts(byObject, p.Selected(v))
			if of == nil || slices.Contains(names, port.Target.StrVal) {
				continue
			}
			hint := fmt.Sprintf("none of their ports has a name: give the one that is meant the name, or write its number in targetPort of Service %s", v.Name)
			if len(names) > 0 {
				hint = mesh.DidYouMean(port.Target.StrVal, names)
			}
			p.Report(v.Object, []string{"spec", "ports", fmt.Sprint(i), "targetPort"}, "no container of the selected pods has a port named %q: nobody answers at port %d; %s", port.Target.StrVal, port.Number, hint).
				Because(of.Object, nil, "is selected")
		}
	}
}

// namedPorts are the names of the ports of workloads, and one of the workloads;
// nil if what they are is not known of them all.
func namedPorts(byObject map[*mesh.Object]*pod, selected []*mesh.Workload) (names []string, of *pod) {
	for _, w := range selected {
		one := byObject[w.Object]
		if one == nil || len(one.Spec.Containers) == 0 {
			return nil, nil
		}
		for _, t := range strings.Split(one.Metadata.Annotations["inject.istio.io/templates"], ",") {
			if t = strings.TrimSpace(t); t != "" && t != "sidecar" && t != "gateway" {
				return nil, nil
			}
		}
		for _, c := range slices.Concat(one.Spec.Containers, one.Spec.InitContainers) {
			for _, port := range c.Ports {
				if port.Name != "" && !slices.Contains(names, port.Name) {
					names = append(names, port.Name)
				}
			}
		}
		of = one
	}
	return names, of
}

// refusedPorts finds ports that no cluster takes: containers' with a number that
// is none, and Services' that only a name or a number could tell apart.
func refusedPorts(p *analyze.Pass) {
	for _, one := range pods(p) {
		for list, containers := range map[string][]container{"containers": one.Spec.Containers, "initContainers": one.Spec.InitContainers} {
			for i, c := range containers {
				for j, port := range c.Ports {
					if port.ContainerPort < 1 || port.ContainerPort > 65535 {
						p.Report(one.Object, one.at("spec", list, fmt.Sprint(i), "ports", fmt.Sprint(j), "containerPort"), "%d is no port: a cluster refuses the %s; expected 1 to 65535", port.ContainerPort, one.Kind)
					}
				}
			}
		}
	}
	for _, v := range p.Services {
		if v.Entry != nil {
			continue
		}
		seen := map[string]bool{}
		for i, port := range v.Ports {
			path := []string{"spec", "ports", fmt.Sprint(i)}
			switch {
			case port.Name == "" && len(v.Ports) > 1:
				p.Report(v.Object, path, "port %d has no name, and the Service has %d ports: a cluster refuses the Service; give each a name", port.Number, len(v.Ports))
			case seen[port.Name]:
				p.Report(v.Object, append(path, "name"), "the Service has two ports named %q: a cluster refuses it; give each a name of its own", port.Name)
			}
			seen[port.Name] = true
		}
	}
}
