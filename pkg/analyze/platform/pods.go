package platform

import (
	"slices"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// proxyName is the name of the sidecar's container.
const proxyName = "istio-proxy"

// pod is what an object's pods are made from: a Pod itself, or a template.
type pod struct {
	*mesh.Object
	template []string // the way to it; empty for a Pod
	podContent
}

type podContent struct {
	Metadata struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		HostNetwork     bool            `json:"hostNetwork"`
		SecurityContext securityContext `json:"securityContext"`
		Containers      []container     `json:"containers"`
		InitContainers  []container     `json:"initContainers"`
	} `json:"spec"`
}

type container struct {
	Name            string          `json:"name"`
	Image           string          `json:"image"`
	SecurityContext securityContext `json:"securityContext"`
	Ports           []struct {
		Name          string `json:"name"`
		ContainerPort int64  `json:"containerPort"`
	} `json:"ports"`
	Env []struct {
		Name      string `json:"name"`
		Value     string `json:"value"`
		ValueFrom any    `json:"valueFrom"`
	} `json:"env"`
}

type securityContext struct {
	RunAsUser int64 `json:"runAsUser"` // 0 is the image's, or root
}

// at is the way to a field of the pod.
func (p *pod) at(path ...string) []string { return append(slices.Clone(p.template), path...) }

// proxy finds the sidecar, and the list that it is in.
func (p *pod) proxy() (c *container, list string, position int) {
	isProxy := func(c container) bool { return c.Name == proxyName }
	if i := slices.IndexFunc(p.Spec.Containers, isProxy); i >= 0 {
		return &p.Spec.Containers[i], "containers", i
	}
	if i := slices.IndexFunc(p.Spec.InitContainers, isProxy); i >= 0 {
		return &p.Spec.InitContainers[i], "initContainers", i
	}
	return nil, "", 0
}

// pods are all Pods and templates of such, in the order of the files. What
// cannot be read is left out: other rules say so.
func pods(p *analyze.Pass) []*pod {
	return analyze.Shared(p.Inventory, "platform.pods", func() []*pod {
		templates := map[string][]string{}
		for _, t := range slices.Concat(mesh.BuiltinPodTemplates(), mesh.KnownPodTemplates(), p.Options.PodTemplates) {
			templates[t.Group+"/"+t.Kind] = t.Path
		}
		var all []*pod
		for _, o := range p.Objects {
			path, runs := templates[analyze.Group(o)+"/"+o.Kind]
			if !runs {
				continue
			}
			one := &pod{Object: o, template: path}
			if decodeAt(o, path, &one.podContent) == nil {
				all = append(all, one)
			}
		}
		return all
	})
}

// podsOf are those of one kind.
func podsOf(p *analyze.Pass, kind string) []*pod {
	return slices.DeleteFunc(slices.Clone(pods(p)), func(one *pod) bool { return one.Kind != kind })
}

// namespaces are the Namespaces of the files by name.
func namespaces(p *analyze.Pass) map[string]*mesh.Object {
	return analyze.Shared(p.Inventory, "platform.namespaces", func() map[string]*mesh.Object {
		all := map[string]*mesh.Object{}
		for _, o := range p.Kind("", "Namespace") {
			all[o.Name] = o
		}
		return all
	})
}

// isSystem tells a namespace that is Kubernetes' or Istio's own: nobody asks for
// sidecars there.
func isSystem(p *analyze.Pass, namespace string) bool {
	return slices.Contains([]string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage", "istio-system", p.RootNamespace()}, namespace)
}
