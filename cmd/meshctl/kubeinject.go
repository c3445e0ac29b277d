package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/internal/atomicfile"
	"github.com/meshctl/meshctl/internal/cluster"
	"github.com/meshctl/meshctl/internal/printer"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/manifest"
)

// kubeInjectOptions are the flags of istioctl kube-inject (INJ-120).
type kubeInjectOptions struct {
	streams  genericiooptions.IOStreams
	injector injectorFlags

	filename            string
	output              string
	operatorFile        string
	injectConfigMapName string
	meshConfigMapName   string
}

func newKubeInjectCmd(streams genericiooptions.IOStreams, runF func(context.Context, *kubeInjectOptions) error) *cobra.Command {
	o := &kubeInjectOptions{streams: streams}
	cmd := &cobra.Command{
		Use:   "kube-inject -f FILE",
		Short: "Inject with the flags of istioctl kube-inject",
		Long: `Inject with the flag names and meanings of istioctl kube-inject, for scripts
that use it. The engine is that of meshctl inject.

A cluster is asked only if --kubeconfig, --context or the name of a ConfigMap is
given; otherwise what the files leave out is the embedded default. Nothing is
printed before every document is done, and -o may name the input.`,
		Example: `  meshctl kube-inject -f app.yaml --injectConfigFile config.yaml --meshConfigFile mesh.yaml --valuesFile values.json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.filename == "" {
				return usagef(cmd, "filename not specified (see --filename or -f)")
			}
			for _, name := range []string{"webhookConfig", "xds-address"} {
				if typed(cmd, name) {
					return usagef(cmd, "--%s has an istiod inject; meshctl injects itself: give that istiod's ConfigMaps with --injectConfigFile, --valuesFile and --meshConfigFile", name)
				}
			}
			for _, name := range []string{"kubeconfig", "context", "as", "injectConfigMapName", "meshConfigMapName"} {
				o.injector.fromCluster = o.injector.fromCluster || typed(cmd, name)
			}
			if o.injector.fromCluster && o.injector.injectConfig != "" {
				o.injector.fromCluster = false // the files are all there is to read
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.filename, "filename", "f", "", "input file, or - for standard input")
	flags.StringVarP(&o.output, "output", "o", "", "output file; default: standard output")
	flags.StringVar(&o.injector.injectConfig, "injectConfigFile", "", "injection config file")
	flags.StringVar(&o.injector.meshConfigFile, "meshConfigFile", "", "mesh config file")
	flags.StringVar(&o.injector.valuesFile, "valuesFile", "", "injection values file")
	flags.StringVar(&o.operatorFile, "operatorFileName", "", "IstioOperator file with values and mesh config; wins over both files")
	flags.StringVar(&o.injectConfigMapName, "injectConfigMapName", inject.InjectorConfigMap, "ConfigMap of the injection config")
	flags.StringVar(&o.meshConfigMapName, "meshConfigMapName", inject.MeshConfigMap, "ConfigMap of the mesh config")
	flags.StringVarP(&o.injector.revision, "revision", "r", "", "control plane revision")
	flags.StringVarP(&o.injector.istioNamespace, "istioNamespace", "i", "istio-system", "namespace of the control plane")
	flags.StringVarP(&o.injector.kubeconfig, "kubeconfig", "c", "", "kubeconfig file")
	flags.StringVar(&o.injector.context, "context", "", "kubeconfig context")
	flags.StringVar(&o.injector.impersonate.UserName, "as", "", "user to impersonate")
	flags.StringVar(&o.injector.impersonate.UID, "as-uid", "", "UID to impersonate")
	flags.StringSliceVar(&o.injector.impersonate.Groups, "as-group", nil, "group to impersonate; repeatable")
	for _, name := range []string{"webhookConfig", "xds-address"} {
		flags.String(name, "", "refused: it has an istiod inject")
		_ = flags.MarkHidden(name) // fails only for a flag that is not there
	}
	flags.DurationVar(&o.injector.clusterTimeout, "kubeclient-timeout", 15*time.Second, "how long to wait for the cluster")
	flags.StringVar(&o.injector.nativeSidecars, "native-sidecars", "auto", "what the peer reads from ENABLE_NATIVE_SIDECARS")
	flags.StringVar(&o.injector.compliancePolicy, "compliance-policy", "", "what the peer reads from COMPLIANCE_POLICY")
	return cmd
}

func (o *kubeInjectOptions) run(ctx context.Context) error {
	o.injector.identity = string(inject.TokenIdentity)
	source, err := o.source(ctx)
	if err != nil {
		return err
	}
	injector, err := o.injector.build(source)
	if err != nil {
		return err
	}
	in, err := o.open()
	if err != nil {
		return err
	}
	loaded, err := manifest.Loader{Stdin: in}.Load(ctx, []string{"-"})
	if err != nil {
		return err
	}
	loaded.Streams[0].Rename(o.filename)
	outputs, err := inject.Run(ctx, loaded.Streams, injector.Document)
	if err != nil {
		return err
	}
	text, err := outputs[0].Canonical(ctx, &manifest.Encoder{})
	if err != nil {
		return err
	}
	if o.output != "" {
		err = atomicfile.Write(atomicfile.File{Name: o.output, Data: text, Mode: 0o644})
	} else {
		_, err = o.streams.Out.Write(text)
	}
	if err != nil {
		return err
	}
	outcomes := outputs[0].CanonicalOutcomes()
	return printer.Lines(o.streams.ErrOut, append(warningLines(outcomes), skipMessages(outcomes)...)...)
}

// open gives the input. A directory is refused, as the peer does.
func (o *kubeInjectOptions) open() (io.Reader, error) {
	if o.filename == "-" {
		return o.streams.In, nil
	}
	info, err := os.Stat(o.filename)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.filename, errors.Unwrap(err))
	}
	if info.IsDir() {
		return nil, fmt.Errorf("read %s: is a directory", o.filename)
	}
	return os.Open(o.filename)
}

// source follows the peer's order: the operator file, then files, then the
// cluster (INJ-121).
func (o *kubeInjectOptions) source(ctx context.Context) (configSource, error) {
	source := o.injector.fileSource()
	if o.injector.fromCluster {
		client, err := cluster.Connect(o.injector.access())
		if err != nil {
			return nil, err
		}
		named := map[string]string{inject.InjectorConfigMap: o.injectConfigMapName, inject.MeshConfigMap: o.meshConfigMapName}
		remote := o.injector.clusterSource(ctx, client)
		source = func(configMap, key string) ([]byte, string, error) { return remote(named[configMap], key) }
	}
	if o.operatorFile == "" {
		return source, nil
	}
	parts, err := readOperator(o.operatorFile)
	if err != nil {
		return nil, err
	}
	return func(configMap, key string) ([]byte, string, error) {
		if text := parts[key]; text != nil {
			return text, o.operatorFile, nil
		}
		return source(configMap, key)
	}, nil
}

// readOperator takes values and mesh config from an IstioOperator.
func readOperator(file string) (map[string][]byte, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	var operator struct {
		Spec struct {
			Values     json.RawMessage `json:"values"`
			MeshConfig json.RawMessage `json:"meshConfig"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &operator); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return map[string][]byte{"values": operator.Spec.Values, "mesh": operator.Spec.MeshConfig}, nil
}

// skipMessages are the peer's words for what it does not inject (INJ-24).
func skipMessages(outcomes []inject.Outcome) []string {
	var lines []string
	for _, o := range outcomes {
		why := "has sidecar injection disabled"
		switch {
		case !o.Reason.Skipped() || o.Reason == inject.ForeignKind || o.Reason == inject.UnknownKind:
			continue
		case o.Reason == inject.HostNetwork:
			why = "has host networking enabled"
		}
		name := o.Object.Name
		if o.Object.Namespace != "" {
			name = o.Object.Namespace + "/" + name
		}
		lines = append(lines, fmt.Sprintf("===> Skipping injection because %s %q %s", o.Object.Kind, name, why))
	}
	if lines != nil {
		lines = append([]string{""}, lines...)
	}
	return lines
}
