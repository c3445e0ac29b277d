package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// templateData is what templates see. The field names are the contract with
// the templates of clusters (INJ-41).
type templateData struct {
	TypeMeta                 metav1.TypeMeta
	DeploymentMeta           deploymentMeta
	ObjectMeta               metav1.ObjectMeta
	Spec                     corev1.PodSpec
	ProxyConfig              *meshconfig.ProxyConfig
	MeshConfig               *meshconfig.MeshConfig
	Values                   map[string]any
	Revision                 string
	NativeSidecars           bool
	ProxyImage               string
	ProxyInitImage           string
	ProxyUID                 int64
	ProxyGID                 int64
	InboundTrafficPolicyMode string
	CompliancePolicy         string
}

type deploymentMeta struct {
	Name      string
	Namespace string
}

// injection is one pod on its way through the engine.
type injection struct {
	*Injector
	original    *corev1.Pod // as written; not changed
	owner       owner
	mesh        *meshconfig.MeshConfig
	proxyConfig *meshconfig.ProxyConfig
	status      *sidecarStatus // of an earlier injection, nil if there was none
	templates   []string

	pod      *corev1.Pod   // the result so far
	added    sidecarStatus // what the templates alone would make
	warnings []string
}

// begin prepares the injection of a workload's pod.
func (i *Injector) begin(w workload) (*injection, error) {
	n := &injection{
		Injector: i,
		original: &corev1.Pod{ObjectMeta: *w.meta, Spec: *w.spec},
		owner:    w.owner,
		mesh:     i.Mesh,
	}
	if w.bare {
		n.owner = podOwner(n.original)
	}
	n.owner.Namespace = firstOf(n.owner.Namespace, i.Namespace)
	if text, ok := w.meta.Annotations[annotationProxyConfig]; ok {
		config, err := mesh.ApplyProxyConfig(i.Mesh.DefaultConfig, []byte(text))
		if err != nil {
			return nil, &annotationFault{annotationProxyConfig, fmt.Errorf("annotation %s: %w", annotationProxyConfig, err)}
		}
		n.mesh = withProxyConfig(i.Mesh, config)
	}
	n.proxyConfig = n.mesh.DefaultConfig
	n.status = parseStatus(w.meta.Annotations)
	return n, nil
}

// run is the whole engine: render and merge, overrides, post-processing.
func (n *injection) run() error {
	if err := n.validateAnnotations(n.original.Annotations); err != nil {
		return fmt.Errorf("failed to run injection template: %w", err)
	}
	if err := n.applyTemplates(); err != nil {
		return fmt.Errorf("failed to run injection template: %w", err)
	}
	if err := n.applyOverrides(); err != nil {
		return fmt.Errorf("failed to re-apply container: %w", err)
	}
	if err := n.postProcess(); err != nil {
		return fmt.Errorf("failed to process pod: %w", err)
	}
	n.check()
	return nil
}

// applyTemplates renders each selected template and merges it, once onto the
// pod and once onto nothing (INJ-55).
func (n *injection) applyTemplates() error {
	data, err := n.data()
	if err != nil {
		return err
	}
	n.templates = n.selectTemplates(n.original.Annotations)
	merged, err := treeOf(n.original)
	if err != nil {
		return err
	}
	bare := map[string]any{}
	for _, name := range n.templates {
		patch, err := n.render(name, data)
		if err != nil {
			return err
		}
		if len(n.templates) == 1 && !hasDirective(patch) {
			n.added = newStatus(patch, n.Revision) // merged onto nothing, the patch is the pod
		} else if bare, err = n.merge(bare, runtime.DeepCopyJSON(patch)); err != nil {
			return fmt.Errorf("failed applying injection overlay: template %q: %w", name, err)
		} else {
			n.added = newStatus(bare, n.Revision)
		}
		moveProxyToInit(merged, patch)
		if merged, err = n.merge(merged, patch); err != nil {
			return fmt.Errorf("failed parsing generated injected YAML (check Istio sidecar injector configuration): template %q: %w", name, err)
		}
	}
	if n.pod, err = fromTree(merged); err != nil {
		return n.generatedFault(err)
	}
	return nil
}

// generatedFault says that what the templates made is no pod: the manifest,
// which was decoded before, has no part in it.
func (n *injection) generatedFault(err error) error {
	fault := &configFault{
		err:  fmt.Errorf("failed parsing generated injected YAML (check Istio sidecar injector configuration): %w", err),
		hint: "the injection config or its values are at fault, not the manifest",
	}
	if global, _ := n.Values.tree["global"].(map[string]any); global["proxy"] == nil {
		fault.hint = `the values have no "global.proxy" block: give the whole "values" of the injector's ConfigMap`
	}
	return fault
}

// render executes a template and reads what comes out.
func (n *injection) render(name string, data *templateData) (map[string]any, error) {
	t, err := n.template(name)
	if err != nil {
		return nil, &annotationFault{annotationTemplates, err}
	}
	var text boundedBuffer
	if err := t.Execute(&text, data); err != nil {
		return nil, fmt.Errorf("template %q: %w", name, err)
	}
	tree, err := n.decoder.Tree(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("failed applying injection overlay: template %q renders no valid YAML: %w", name, err)
	}
	patch, ok := tree.(map[string]any)
	if !ok && tree != nil {
		return nil, fmt.Errorf("failed applying injection overlay: template %q renders no pod, but %T", name, tree)
	}
	return patch, nil
}

func (n *injection) data() (*templateData, error) {
	pod, err := n.stripped()
	if err != nil {
		return nil, err
	}
	g := &n.Values.known.Global
	typeOf, hasType := pod.Annotations[annotationProxyImageType]
	imageType := firstOf(n.proxyConfig.GetImage().GetImageType(), g.Variant)
	initType := g.Variant
	if hasType {
		imageType, initType = typeOf, typeOf
	}
	mode := "passthrough"
	if n.mesh.GetInboundTrafficPolicy().GetMode() == meshconfig.MeshConfig_InboundTrafficPolicy_LOCALHOST {
		mode = "localhost"
	}
	return &templateData{
		TypeMeta:                 n.owner.TypeMeta,
		DeploymentMeta:           deploymentMeta{n.owner.Name, n.owner.Namespace},
		ObjectMeta:               pod.ObjectMeta,
		Spec:                     pod.Spec,
		ProxyConfig:              n.proxyConfig,
		MeshConfig:               n.mesh,
		Values:                   n.Values.tree,
		Revision:                 n.Revision,
		NativeSidecars:           n.Layout == Native,
		ProxyImage:               imageReference(g.Hub, g.Proxy.Image, n.Values.tag(), imageType),
		ProxyInitImage:           imageReference(g.Hub, g.ProxyInit.Image, n.Values.tag(), initType),
		ProxyUID:                 orDefault(n.ProxyUID),
		ProxyGID:                 orDefault(n.ProxyGID),
		InboundTrafficPolicyMode: mode,
		CompliancePolicy:         n.CompliancePolicy,
	}, nil
}

func orDefault(id int64) int64 {
	if id == 0 {
		return defaultProxyID
	}
	return id
}

// withProxyConfig is config with another DefaultConfig, sharing all else.
func withProxyConfig(config *meshconfig.MeshConfig, proxy *meshconfig.ProxyConfig) *meshconfig.MeshConfig {
	clone := &meshconfig.MeshConfig{}
	from, to := config.ProtoReflect(), clone.ProtoReflect()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		to.Set(field, value)
		return true
	})
	clone.DefaultConfig = proxy
	return clone
}

// podOwner names a bare pod's workload as istiod does, from its controller
// (INJ-43).
func podOwner(pod *corev1.Pod) owner {
	o := owner{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Name: pod.Name, Namespace: pod.Namespace}
	if pod.GenerateName == "" {
		return o
	}
	c := slices.IndexFunc(pod.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Controller != nil && *r.Controller })
	if c < 0 {
		return o
	}
	controller := pod.OwnerReferences[c]
	o.APIVersion, o.Kind, o.Name = controller.APIVersion, controller.Kind, controller.Name
	switch controller.Kind {
	case "ReplicaSet":
		if name, ok := cutHash(controller.Name, pod.Labels["pod-template-hash"]); ok {
			o.Kind, o.Name = "Deployment", name
		} else if name, ok := cutHash(controller.Name, pod.Labels["rollouts-pod-template-hash"]); ok {
			o.Kind, o.APIVersion, o.Name = "Rollout", "v1alpha1", name
		}
	case "ReplicationController":
		if config := pod.Labels["deploymentconfig"]; config != "" {
			o.Kind, o.Name = "DeploymentConfig", config
		}
	case "Job":
		if name, ok := cutTimestamp(controller.Name); ok {
			o.Kind, o.APIVersion, o.Name = "CronJob", "batch/v1", name
		}
	}
	o.Name = firstOf(o.Name, pod.Name)
	return o
}

func cutHash(name, hash string) (string, bool) {
	if hash == "" || !strings.HasSuffix(name, hash) {
		return "", false
	}
	return strings.TrimSuffix(name, "-"+hash), true
}

// cutTimestamp takes off the 8 to 10 digits that a CronJob gives its Jobs.
func cutTimestamp(name string) (string, bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || len(name)-i-1 < 8 || len(name)-i-1 > 10 {
		return "", false
	}
	if strings.Trim(name[i+1:], "0123456789") != "" {
		return "", false
	}
	return name[:i], true
}

// treeOf is v as a JSON tree, numbers as the templates' are.
func treeOf(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	err = json.Unmarshal(text, &tree)
	return tree, err
}

// fromTree is the pod of a JSON tree.
func fromTree(tree map[string]any) (*corev1.Pod, error) {
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(text, pod); err != nil {
		return nil, err
	}
	return pod, nil
}
