package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshctl/meshctl/internal/cluster"
	"github.com/meshctl/meshctl/pkg/inject"
	"github.com/meshctl/meshctl/pkg/inject/profile"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// injectorFlags say which sidecar to add: the embedded default one, that of
// configuration files, or a cluster's.
type injectorFlags struct {
	injectConfig, valuesFile, meshConfigFile string

	fromCluster    bool
	kubeconfig     string
	context        string
	impersonate    cluster.Impersonation
	clusterTimeout time.Duration
	istioNamespace string

	revision         string
	set              []string
	hub, tag         string
	trustDomain      string
	cni              bool
	resources        resourceFlags
	nativeSidecars   string
	kubeVersion      string
	compliancePolicy string
	identity         string
	proxyUID         int64
	proxyGID         int64
	webhookRules     bool
	podTemplates     []string
	templateEnv      bool
	namespace        string
}

// resourceFlags are what the proxy asks for and may use.
type resourceFlags struct{ cpu, memory, cpuLimit, memoryLimit string }

func (f *injectorFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.injectConfig, "inject-config", "", "injection config: the raw config, its ConfigMap, or a stream that holds it")
	flags.StringVar(&f.valuesFile, "values", "", "installation values, in the same forms: those of --inject-config (default: the ones in its ConfigMap), or else changes of the embedded ones")
	flags.StringVar(&f.meshConfigFile, "mesh-config", "", "mesh config, in the same forms")
	flags.BoolVar(&f.fromCluster, "from-cluster", false, "read all three from the ConfigMaps of a cluster")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file, with --from-cluster")
	flags.StringVar(&f.context, "context", "", "kubeconfig context, with --from-cluster")
	flags.DurationVar(&f.clusterTimeout, "cluster-timeout", 10*time.Second, "how long to wait for the cluster")
	flags.StringVar(&f.istioNamespace, "istio-namespace", "istio-system", "namespace of the control plane")
	flags.StringVar(&f.revision, "revision", "", "control plane revision")
	flags.StringArrayVar(&f.set, "set", nil, "set a value of the installation, or of the mesh config: path=value, such as global.proxy.logLevel=debug or meshConfig.trustDomain=example.com; repeatable")
	flags.StringVar(&f.hub, "hub", "", "image registry of the proxy")
	flags.StringVar(&f.tag, "tag", "", "image tag of the proxy")
	flags.StringVar(&f.trustDomain, "trust-domain", "", "trust domain of the mesh")
	flags.BoolVar(&f.cni, "cni", false, "the cluster has the Istio CNI agent: no privileged init container")
	flags.StringVar(&f.resources.cpu, "proxy-cpu", "", "CPU that the proxy requests")
	flags.StringVar(&f.resources.memory, "proxy-memory", "", "memory that the proxy requests")
	flags.StringVar(&f.resources.cpuLimit, "proxy-cpu-limit", "", "CPU that the proxy may use")
	flags.StringVar(&f.resources.memoryLimit, "proxy-memory-limit", "", "memory that the proxy may use")
	flags.StringVar(&f.nativeSidecars, "native-sidecars", "auto", "proxy as init container that keeps running: true, false, or auto (true from --kube-version 1.33 on)")
	flags.StringVar(&f.kubeVersion, "kube-version", "", "Kubernetes version of the cluster, for --native-sidecars=auto")
	flags.StringVar(&f.compliancePolicy, "compliance-policy", "", "compliance policy of the proxy, such as fips-140-3")
	flags.StringVar(&f.identity, "identity", string(inject.TokenIdentity), "where the proxy's certificate comes from: token (istiod signs), or secret (istio.<service account>)")
	flags.Int64Var(&f.proxyUID, "proxy-uid", 0, "user ID of the proxy, for OpenShift; 0 is 1337")
	flags.Int64Var(&f.proxyGID, "proxy-gid", 0, "group ID of the proxy, for OpenShift; 0 is 1337")
	flags.BoolVar(&f.webhookRules, "webhook-rules", false, "obey policy, selectors and default templates of the injection config, as the cluster's webhook does")
	flags.StringSliceVar(&f.podTemplates, "pod-template", nil, "inject another kind too: Kind.group=path, such as Rollout.argoproj.io=spec.template; repeatable")
	flags.BoolVar(&f.templateEnv, "template-env", false, "let templates read this machine's environment, as istioctl does")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of objects that name none")
}

// validate refuses flags that cannot be meant, before any file is opened.
func (f *injectorFlags) validate(cmd *cobra.Command) error {
	if f.fromCluster && f.injectConfig != "" {
		return usagef(cmd, "--from-cluster and --inject-config exclude each other")
	}
	for _, name := range []string{"kubeconfig", "context"} {
		if typed(cmd, name) && !f.fromCluster {
			return usagef(cmd, "--%s is for --from-cluster", name)
		}
	}
	for _, name := range []string{"proxy-cpu", "proxy-memory", "proxy-cpu-limit", "proxy-memory-limit"} {
		flag := cmd.Flags().Lookup(name)
		if flag == nil || flag.Value.String() == "" {
			continue
		}
		if _, err := resource.ParseQuantity(flag.Value.String()); err != nil {
			return usagef(cmd, "--%s %q: expected a quantity such as 100m or 128Mi", name, flag.Value)
		}
	}
	for _, name := range []string{"namespace", "istio-namespace", "revision"} {
		flag := cmd.Flags().Lookup(name)
		if flag != nil && flag.Value.String() != "" && validation.IsDNS1123Label(flag.Value.String()) != nil {
			return usagef(cmd, "--%s %q: expected lower-case letters, digits and -", name, flag.Value)
		}
	}
	if f.proxyUID < 0 || f.proxyGID < 0 {
		return usagef(cmd, "--proxy-uid and --proxy-gid: expected a number from 0 on")
	}
	switch inject.Identity(f.identity) {
	case inject.TokenIdentity, inject.SecretIdentity:
	default:
		return usagef(cmd, "identity %q: expected token or secret", f.identity)
	}
	if _, err := f.layout(); err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	_, _, err := f.sets()
	if err == nil {
		_, err = f.templates()
	}
	if err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	return nil
}

// injector builds the engine that the flags describe.
func (f *injectorFlags) injector(ctx context.Context) (*inject.Injector, error) {
	source := f.fileSource()
	if f.fromCluster {
		client, err := cluster.Connect(f.access())
		if err != nil {
			return nil, err
		}
		source = f.clusterSource(ctx, client)
	}
	return f.build(source)
}

func (f *injectorFlags) access() cluster.Access {
	return cluster.Access{Kubeconfig: f.kubeconfig, Context: f.context, Impersonate: f.impersonate, Timeout: f.clusterTimeout}
}

// build reads the configuration's parts and makes the engine.
func (f *injectorFlags) build(source configSource) (*inject.Injector, error) {
	config, err := f.readConfig(source)
	if err != nil {
		return nil, err
	}
	valueSets, meshSets, err := f.sets()
	if err != nil {
		return nil, err
	}
	values, err := f.readValues(source, valueSets)
	if err != nil {
		return nil, err
	}
	revision := f.revisionName()
	if revision == "" && f.embedded() {
		revision = values.Revision() // of a cluster's values the peer ignores it (INJ-30)
	}
	meshConfig, err := f.readMeshConfig(source, istiod(revision, f.istioNamespace), meshSets)
	if err != nil {
		return nil, err
	}
	values, meshConfig, err = inject.WithIdentity(inject.Identity(f.identity), values, meshConfig)
	if err != nil {
		return nil, err
	}
	layout, err := f.layout()
	if err != nil {
		return nil, err
	}
	templates, err := f.templates()
	if err != nil {
		return nil, err
	}
	o := inject.Options{
		Config: config, Values: values, Mesh: meshConfig,
		Revision: revision, Layout: layout, CompliancePolicy: f.compliancePolicy,
		ProxyUID: f.proxyUID, ProxyGID: f.proxyGID,
		Obey: inject.CommandRules, PodTemplates: templates, Namespace: f.namespace,
	}
	if f.templateEnv {
		o.Getenv = os.Getenv
	}
	if f.webhookRules {
		o.Obey = inject.WebhookRules
	}
	return inject.New(o)
}

// configSource gives the text of a part of the configuration; nil says that
// the embedded one is meant. what names the part in errors.
type configSource func(configMap, key string) (text []byte, what string, err error)

// fileSource reads the files that the flags name, each once: a pipe has its
// content only once.
func (f *injectorFlags) fileSource() configSource {
	texts := map[string][]byte{}
	return func(configMap, key string) ([]byte, string, error) {
		file := map[string]string{"config": f.injectConfig, "values": f.valuesFile, "mesh": f.meshConfigFile}[key]
		shared := false
		if file == "" && key == "values" {
			// The injector's ConfigMap holds its values beside its config.
			file, shared = f.injectConfig, true
		}
		if file == "" {
			return nil, "", nil
		}
		text, ok := texts[file]
		if !ok {
			var err error
			if text, err = os.ReadFile(file); err != nil { //nolint:gosec // the user names the file
				return nil, file, err
			}
			texts[file] = text
		}
		found, err := inject.ExtractConfigMap(file, text, configMap, f.revision, key)
		if shared && (err != nil || string(found) == string(text)) {
			return nil, file, nil // no ConfigMap: config only
		}
		return found, file, err
	}
}

func (f *injectorFlags) clusterSource(ctx context.Context, client *cluster.Client) configSource {
	files := f.fileSource()
	return func(configMap, key string) ([]byte, string, error) {
		if (key == "values" && f.valuesFile != "") || (key == "mesh" && f.meshConfigFile != "") {
			return files(configMap, key)
		}
		name := configMap
		if r := f.revisionName(); r != "" {
			name += "-" + r
		}
		m, err := client.ConfigMap(ctx, f.istioNamespace, name)
		if err != nil {
			return nil, name, err
		}
		text, ok := m.Data[key]
		if !ok {
			return nil, name, fmt.Errorf("ConfigMap %s/%s has no key %q", f.istioNamespace, name, key)
		}
		return []byte(text), "ConfigMap " + name, nil
	}
}

func (f *injectorFlags) readConfig(source configSource) (*inject.Config, error) {
	text, what, err := source(inject.InjectorConfigMap, "config")
	if err != nil {
		return nil, err
	}
	if text == nil {
		return profile.Config(), nil
	}
	config, err := inject.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return config, nil
}

func (f *injectorFlags) readValues(source configSource, sets []inject.Set) (*inject.Values, error) {
	text, what, err := source(inject.InjectorConfigMap, "values")
	if err != nil {
		return nil, err
	}
	if text == nil {
		if f.injectConfig != "" {
			return nil, fmt.Errorf("%s: the injection config comes without its values: give them with --values, or give the whole ConfigMap", f.injectConfig)
		}
		text, what = profile.Values(), "embedded values"
	}
	values, err := inject.ParseValues(text)
	if err != nil {
		return nil, fmt.Errorf("%s: values: %w", what, err)
	}
	if f.injectConfig == "" && !f.fromCluster {
		// Our own templates need our own values, where the file is silent.
		if values, err = profileValues(values); err != nil {
			return nil, err
		}
	}
	if len(sets) == 0 {
		return values, nil
	}
	return values.With(sets...)
}

// profileValues lays values over the embedded ones.
func profileValues(values *inject.Values) (*inject.Values, error) {
	base, err := inject.ParseValues(profile.Values())
	if err != nil {
		return nil, err
	}
	return base.Overlaid(values)
}

func (f *injectorFlags) readMeshConfig(source configSource, istiod string, sets []inject.Set) (*meshconfig.MeshConfig, error) {
	text, what, err := source(inject.MeshConfigMap, "mesh")
	if err != nil {
		return nil, err
	}
	if text == nil {
		what = "embedded mesh config"
		// An installation's own mesh config says where its istiod is.
		text = fmt.Appendf(nil, "rootNamespace: %q\ndefaultConfig: {discoveryAddress: %q}\n", f.istioNamespace, istiod+":15012")
	}
	if text, err = inject.WithSets(text, sets); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	config, err := mesh.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return config, nil
}
