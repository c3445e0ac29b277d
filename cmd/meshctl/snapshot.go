package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/internal/cluster"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// snapshotFlags say which objects make up the mesh: manifests, or a cluster's.
type snapshotFlags struct {
	input          inputFlags
	meshConfig     string
	namespace      string
	allNamespaces  bool
	podTemplates   []string
	assumeInjected bool

	fromCluster    bool
	access         cluster.Access
	istioNamespace string
	revision       string
}

func (f *snapshotFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.input.register(flags)
	f.input.whole = true
	flags.StringVar(&f.meshConfig, "mesh-config", "", "mesh config: the raw config, its ConfigMap, or a stream that holds it")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of objects and of names that come without one (default \"default\")")
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "look for names that come without a namespace in all of them")
	flags.StringSliceVar(&f.podTemplates, "pod-template", nil, "another kind that runs pods: Kind.group=path, such as CloneSet.apps.kruise.io=spec.template; repeatable")
	flags.BoolVar(&f.assumeInjected, "assume-injected", true, "take a workload for one with a sidecar where nothing in the manifests tells")
	flags.BoolVar(&f.fromCluster, "from-cluster", false, "read the objects and the mesh config of a cluster; nothing there is changed")
	flags.StringVar(&f.access.Kubeconfig, "kubeconfig", "", "kubeconfig file, with --from-cluster")
	flags.StringVar(&f.access.Context, "context", "", "kubeconfig context, with --from-cluster")
	flags.DurationVar(&f.access.Timeout, "cluster-timeout", 10*time.Second, "how long to wait for each answer of the cluster")
	flags.StringVar(&f.istioNamespace, "istio-namespace", "istio-system", "namespace of the control plane, with --from-cluster")
	flags.StringVar(&f.revision, "revision", "", "control plane revision, with --from-cluster")
}

// complete refuses flags that cannot be meant, before anything is read, and
// insists on some input.
func (f *snapshotFlags) complete(cmd *cobra.Command) error {
	if err := f.validate(cmd); err != nil || f.fromCluster {
		return err
	}
	return f.input.complete(cmd, nil)
}

// given tells whether the flags say which mesh it is.
func (f *snapshotFlags) given() bool {
	return len(f.input.filenames) > 0 || f.input.kustomize != "" || f.fromCluster
}

// validate is complete for commands that can do without input.
func (f *snapshotFlags) validate(cmd *cobra.Command) error {
	if _, err := f.templates(); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	if f.allNamespaces && f.namespace != "" {
		return usagef(cmd, "--namespace and --all-namespaces exclude each other")
	}
	if f.fromCluster {
		if len(f.input.filenames) > 0 || f.input.kustomize != "" {
			return usagef(cmd, "--from-cluster and manifests exclude each other")
		}
		return nil
	}
	for _, name := range []string{"kubeconfig", "context", "revision", "istio-namespace"} {
		if typed(cmd, name) {
			return usagef(cmd, "--%s is for --from-cluster", name)
		}
	}
	return nil
}

// defaultNamespace is that of names that come without one; "" is all.
func (f *snapshotFlags) defaultNamespace() string {
	switch {
	case f.allNamespaces:
		return ""
	case f.namespace == "":
		return "default"
	}
	return f.namespace
}

func (f *snapshotFlags) templates() ([]mesh.PodTemplate, error) {
	var all []mesh.PodTemplate
	for _, text := range f.podTemplates {
		t, err := mesh.ParsePodTemplate(text)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// options say how to read manifests.
func (f *snapshotFlags) options(meshConfig string) (mesh.Options, error) {
	templates, err := f.templates()
	if err != nil {
		return mesh.Options{}, err
	}
	config, err := readMeshConfig(meshConfig)
	return mesh.Options{Config: config, Namespace: f.namespace, PodTemplates: templates, AssumeOutside: !f.assumeInjected}, err
}

// load reads the mesh.
func (f *snapshotFlags) load(ctx context.Context, streams genericiooptions.IOStreams) (*mesh.Snapshot, error) {
	o, objects, err := f.read(ctx, streams)
	if err != nil {
		return nil, err
	}
	s, err := mesh.Build(objects, o)
	if err != nil || f.fromCluster {
		return s, err
	}
	return s, warn(streams.ErrOut, s)
}

// read reads what the mesh is made of: manifests, or the objects of a cluster.
func (f *snapshotFlags) read(ctx context.Context, streams genericiooptions.IOStreams) (mesh.Options, []*manifest.Stream, error) {
	o, err := f.options(f.meshConfig)
	if err != nil {
		return o, nil, err
	}
	if f.fromCluster {
		return f.readCluster(ctx, o)
	}
	objects, err := f.input.load(ctx, streams.In, streams.ErrOut)
	return o, objects, err
}

// warn tells what may not be meant.
func warn(w io.Writer, s *mesh.Snapshot) error {
	var lines []string
	for _, warning := range s.Warnings {
		lines = append(lines, "warning: "+warning)
	}
	return printer.Lines(w, lines...)
}

// readMeshConfig reads a file, or a ConfigMap in it; it is nil for "".
func readMeshConfig(file string) (*meshconfig.MeshConfig, error) {
	return readMeshConfigOf(file, "")
}

// readMeshConfigOf is readMeshConfig for one of several control planes.
func readMeshConfigOf(file, revision string) (*meshconfig.MeshConfig, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // the default is meant
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	if text, err = inject.ExtractConfigMap(file, text, inject.MeshConfigMap, revision, "mesh"); err != nil {
		return nil, err
	}
	config, err := mesh.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return config, nil
}

// readMeshNetworks reads a file that holds a MeshNetworks, and gives its text
// too.
func readMeshNetworks(file string) (*meshconfig.MeshNetworks, []byte, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, nil, err
	}
	networks, err := mesh.ParseNetworks(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return networks, text, nil
}

// readCluster reads the objects of a cluster and, unless a file gives it, its
// mesh config.
func (f *snapshotFlags) readCluster(ctx context.Context, o mesh.Options) (mesh.Options, []*manifest.Stream, error) {
	client, err := cluster.Connect(f.access)
	if err != nil {
		return o, nil, err
	}
	if o.Config == nil {
		name := inject.MeshConfigMap
		if f.revision != "" && f.revision != "default" {
			name += "-" + f.revision
		}
		m, err := client.ConfigMap(ctx, f.istioNamespace, name)
		if err != nil {
			return o, nil, err
		}
		if o.Config, err = mesh.ParseConfig([]byte(m.Data["mesh"])); err != nil {
			return o, nil, fmt.Errorf("ConfigMap %s/%s: %w", f.istioNamespace, name, err)
		}
	}
	var objects []*manifest.Stream
	for _, resource := range cluster.MeshResources() {
		list, err := client.List(ctx, resource)
		if err != nil {
			return o, nil, err
		}
		stream, err := manifest.Read(resource.Plural, list)
		if err != nil {
			return o, nil, err
		}
		objects = append(objects, stream)
	}
	return o, objects, nil
}
