package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// meshConfigPrefix begins the settings of the mesh config, as in istioctl.
const meshConfigPrefix = "meshConfig"

// sets are the changes of the values and of the mesh config that the flags ask
// for; --set comes last.
func (f *injectorFlags) sets() (values, meshConfig []inject.Set, err error) {
	add := func(path string, value any, given bool) {
		if given {
			values = append(values, inject.Set{Path: strings.Split(path, "."), Value: value})
		}
	}
	add("revision", f.revisionName(), f.embedded() && f.revisionName() != "")
	add("global.istioNamespace", f.istioNamespace, f.embedded() && f.istioNamespace != "istio-system")
	add("global.hub", f.hub, f.hub != "")
	add("global.tag", f.tag, f.tag != "")
	add("pilot.cni.enabled", true, f.cni)
	add("global.proxy.resources.requests.cpu", f.resources.cpu, f.resources.cpu != "")
	add("global.proxy.resources.requests.memory", f.resources.memory, f.resources.memory != "")
	add("global.proxy.resources.limits.cpu", f.resources.cpuLimit, f.resources.cpuLimit != "")
	add("global.proxy.resources.limits.memory", f.resources.memoryLimit, f.resources.memoryLimit != "")
	for _, text := range f.set {
		s, err := inject.ParseSet(text)
		if err != nil {
			return nil, nil, err
		}
		if s.Path[0] == meshConfigPrefix && len(s.Path) > 1 {
			meshConfig = append(meshConfig, inject.Set{Path: s.Path[1:], Value: s.Value})
		} else {
			values = append(values, s)
		}
	}
	if f.trustDomain != "" {
		meshConfig = append(meshConfig, inject.Set{Path: []string{"trustDomain"}, Value: f.trustDomain})
	}
	return values, meshConfig, nil
}

func (f *injectorFlags) templates() ([]mesh.PodTemplate, error) {
	templates := mesh.KnownPodTemplates()
	for _, text := range f.podTemplates {
		t, err := mesh.ParsePodTemplate(text)
		if err != nil {
			return nil, err
		}
		templates = append([]mesh.PodTemplate{t}, templates...)
	}
	return templates, nil
}

// istiod is a control plane's host name.
func istiod(revision, namespace string) string {
	name := "istiod"
	if revision != "" {
		name += "-" + revision
	}
	return name + "." + namespace + ".svc"
}

// embedded tells whether the values are our own.
func (f *injectorFlags) embedded() bool {
	return f.injectConfig == "" && !f.fromCluster && f.valuesFile == ""
}

// revisionName is the revision, "" for the default one (INJ-30).
func (f *injectorFlags) revisionName() string {
	if f.revision == "default" {
		return ""
	}
	return f.revision
}

// nativeSince is the Kubernetes minor version from which istiod prefers native
// sidecars (INJ-49).
const nativeSince = 33

func (f *injectorFlags) layout() (inject.Layout, error) {
	switch f.nativeSidecars {
	case "true":
		return inject.Native, nil
	case "false":
		return inject.Classic, nil
	case "auto", "":
	default:
		return "", fmt.Errorf("native sidecars %q: expected true, false or auto", f.nativeSidecars)
	}
	if f.kubeVersion == "" {
		return inject.Classic, nil
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(f.kubeVersion, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(strings.TrimRight(minor, "+"))
	if err != nil {
		return "", fmt.Errorf("kube version %q: expected a version such as 1.33", f.kubeVersion)
	}
	if n >= nativeSince {
		return inject.Native, nil
	}
	return inject.Classic, nil
}
