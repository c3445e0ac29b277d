package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// Names that injection gives a meaning to.
const (
	proxyContainer      = "istio-proxy"
	initContainer       = "istio-init"
	validationContainer = "istio-validation"
	coreDumpContainer   = "enable-core-dump"
	autoImage           = "auto" // asks for the injected image
	defaultProxyID      = 1337
)

// Options say how to inject. Config, Values and Mesh are required.
type Options struct {
	Config *Config
	Values *Values
	Mesh   *meshconfig.MeshConfig

	// Revision is the control plane's; empty prints as "default" (INJ-30).
	Revision string
	// Layout places the proxy where pods do not say it themselves.
	Layout Layout
	// CompliancePolicy is istiod's COMPLIANCE_POLICY (INJ-50).
	CompliancePolicy string
	// ProxyUID and ProxyGID run the proxy on OpenShift (INJ-63); 0 is 1337.
	ProxyUID, ProxyGID int64
	// Obey chooses whose rules apply to pods that say nothing.
	Obey Rules
	// Reinject says what becomes of a sidecar that is already there.
	Reinject Reinjection
	// PodTemplates opens kinds of other API groups.
	PodTemplates []mesh.PodTemplate
	// Namespace is that of objects which name none.
	Namespace string
	// Selector picks workloads by the labels of their objects; nil picks all.
	Selector labels.Selector
	// Getenv is the environment that templates see; nil is an empty one.
	Getenv func(string) string
}

// Layout is where the proxy container stands (INJ-49).
type Layout string

// The layouts: an ordinary container beside the application, or an init
// container with restartPolicy Always (Kubernetes 1.29 and later).
const (
	Classic Layout = "classic"
	Native  Layout = "native"
)

// Rules are whose behaviour the injector has.
type Rules string

// The command injects all that does not object (INJ-23); the webhook obeys
// policy, selectors, default templates, aliases and injectedAnnotations.
const (
	CommandRules Rules = "command"
	WebhookRules Rules = "webhook"
)

// Reinjection is what becomes of a sidecar that is already there.
type Reinjection string

// Overlay merges the new sidecar over the old one, as the peer does (INJ-72);
// Clean takes the old one out first.
const (
	Overlay Reinjection = "overlay"
	Clean   Reinjection = "clean"
)

// Injector adds sidecars to workloads. It is safe for concurrent use.
type Injector struct {
	Options
	config     Config // Options.Config as the rules see it
	templates  map[string]*template.Template
	never      []labels.Selector
	always     []labels.Selector
	validators map[string]func(string) error
	kinds      map[string]kind
	podSchema  strategicpatch.LookupPatchMeta
	baseConfig string // protoToJSON of the mesh's own ProxyConfig
	decoder    manifest.Decoder
}

// New checks the options and parses every template, also those that no pod
// asks for (INJ-40).
func New(o Options) (*Injector, error) {
	if o.Config == nil || o.Values == nil || o.Mesh == nil {
		return nil, errors.New("inject: config, values and mesh config are required")
	}
	i := &Injector{Options: o, config: *o.Config, validators: validators(), kinds: builtinKinds()}
	if o.Obey != WebhookRules {
		i.config = Config{Templates: o.Config.Templates, Policy: PolicyEnabled}
	}
	var err error
	if i.never, err = compileSelectors("neverInjectSelector", i.config.NeverInjectSelector); err != nil {
		return nil, err
	}
	if i.always, err = compileSelectors("alwaysInjectSelector", i.config.AlwaysInjectSelector); err != nil {
		return nil, err
	}
	if i.podSchema, err = newPodSchema(); err != nil {
		return nil, err
	}
	i.baseConfig = protoToJSON(o.Mesh.DefaultConfig)
	return i, i.parseTemplates()
}

func (i *Injector) parseTemplates() error {
	getenv := i.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	f := functions(getenv)
	f["protoToJSON"] = func(message any) string {
		if message == i.Mesh.DefaultConfig {
			return i.baseConfig
		}
		return protoToJSON(message)
	}
	i.templates = map[string]*template.Template{}
	for _, name := range slices.Sorted(maps.Keys(i.config.Templates)) {
		t, err := template.New("inject").Funcs(f).Parse(i.config.Templates[name])
		if err != nil {
			return fmt.Errorf("injection template %q: %w%s", name, err, templateHint(err))
		}
		i.templates[name] = t
	}
	return nil
}

// templateHint explains the parse errors that stem from another Istio version.
func templateHint(err error) string {
	if strings.Contains(err.Error(), "function") && strings.Contains(err.Error(), "not defined") {
		return " (the template is for another Istio version: its functions are not those of Istio 1.31)"
	}
	return ""
}

// selectTemplates names the templates for a pod (INJ-27).
func (i *Injector) selectTemplates(annotations map[string]string) []string {
	names := i.config.DefaultTemplates
	if len(names) == 0 {
		names = []string{defaultTemplate}
	}
	if asked, ok := annotations[annotationTemplates]; ok {
		names = splitList(asked)
	}
	var selected []string
	for _, name := range names {
		if expansion, ok := i.config.Aliases[name]; ok {
			selected = append(selected, expansion...)
		} else {
			selected = append(selected, name)
		}
	}
	return selected
}

func (i *Injector) template(name string) (*template.Template, error) {
	t, ok := i.templates[name]
	if !ok {
		have := slices.Sorted(maps.Keys(i.templates))
		return nil, fmt.Errorf("requested template %q not found; have %s", name, strings.Join(have, ", "))
	}
	return t, nil
}
