package hygiene

import (
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	extensions "istio.io/api/extensions/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	beta "istio.io/api/networking/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"
	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// istioSpecs are Istio's kinds that the snapshot does not decode.
func istioSpecs() map[string]func() proto.Message {
	return map[string]func() proto.Message{
		"telemetry.istio.io/Telemetry":    func() proto.Message { return &telemetry.Telemetry{} },
		"extensions.istio.io/WasmPlugin":  func() proto.Message { return &extensions.WasmPlugin{} },
		"networking.istio.io/EnvoyFilter": func() proto.Message { return &networking.EnvoyFilter{} },
		"networking.istio.io/ProxyConfig": func() proto.Message { return &beta.ProxyConfig{} },
	}
}

// kubernetesKinds are those of Kubernetes that a mesh is made of.
func kubernetesKinds() map[string]func() any {
	return map[string]func() any{
		"v1/Pod": func() any { return &core.Pod{} }, "v1/Service": func() any { return &core.Service{} },
		"v1/ServiceAccount": func() any { return &core.ServiceAccount{} }, "v1/Namespace": func() any { return &core.Namespace{} },
		"v1/ConfigMap": func() any { return &core.ConfigMap{} }, "v1/Secret": func() any { return &core.Secret{} },
		"apps/v1/Deployment": func() any { return &apps.Deployment{} }, "apps/v1/StatefulSet": func() any { return &apps.StatefulSet{} },
		"apps/v1/DaemonSet": func() any { return &apps.DaemonSet{} }, "apps/v1/ReplicaSet": func() any { return &apps.ReplicaSet{} },
		"batch/v1/Job": func() any { return &batch.Job{} }, "batch/v1/CronJob": func() any { return &batch.CronJob{} },
		"networking.k8s.io/v1/Ingress": func() any { return &net.Ingress{} }, "networking.k8s.io/v1/NetworkPolicy": func() any { return &net.NetworkPolicy{} },
		"admissionregistration.k8s.io/v1/MutatingWebhookConfiguration":   func() any { return &admission.MutatingWebhookConfiguration{} },
		"admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": func() any { return &admission.ValidatingWebhookConfiguration{} },
	}
}

// strictly decodes the objects that the snapshot does not decode strictly.
func strictly(p *analyze.Pass) {
	specs, kinds := istioSpecs(), kubernetesKinds()
	for _, o := range p.Objects {
		if spec := specs[analyze.Group(o)+"/"+o.Kind]; spec != nil {
			if _, err := mesh.DecodeSpec(o, spec()); err != nil {
				reportAll(p, err)
			}
			continue
		}
		if kind := kinds[o.APIVersion+"/"+o.Kind]; kind != nil {
			kubernetesFields(p, o, kind())
			continue
		}
		group := analyze.Group(o)
		if known := map[string][]string{"telemetry.istio.io": {"Telemetry"}, "extensions.istio.io": {"WasmPlugin"}}[group]; known != nil {
			p.ReportCode("MSH0302", o, []string{"kind"}, "unknown kind %q of %s; %s", o.Kind, o.APIVersion, mesh.DidYouMean(o.Kind, known))
		}
	}
}

var (
	unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)
	listIndex    = regexp.MustCompile(`\[(\d+)\]`)
)

// kubernetesFields reports the fields that a kind of Kubernetes does not have.
// What cannot be read at all is told by whoever reads it.
func kubernetesFields(p *analyze.Pass, o *mesh.Object, into any) {
	problems, err := strictjson.UnmarshalStrict(o.Text(), into, strictjson.DisallowUnknownFields)
	if err != nil {
		if _, workload := p.WorkloadOf(o); !workload && o.Kind != "Service" {
			p.ReportCode("IST0106", o, nil, "cannot be read: %v", err)
		}
		return
	}
	for _, problem := range problems {
		if m := unknownField.FindStringSubmatch(problem.Error()); m != nil {
			path := strings.Split(listIndex.ReplaceAllString(m[1], ".$1"), ".")
			p.ReportCode("MSH0301", o, path, "unknown field %s: Kubernetes has no such field in a %s", strconv.Quote(m[1]), o.Kind)
		}
	}
}
