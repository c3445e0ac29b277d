package mesh

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is what runs the same pods: a Deployment and its like, or a pod.
type Workload struct {
	*Object
	PodLabels, PodAnnotations map[string]string
	ServiceAccount            string
	Containers                []corev1.Container
}

// podTemplates are the fields that lead to a kind's pod template.
func podTemplates() map[string][]string {
	template := []string{"spec", "template"}
	return map[string][]string{
		"Pod":                   nil,
		"Deployment":            template,
		"StatefulSet":           template,
		"DaemonSet":             template,
		"ReplicaSet":            template,
		"ReplicationController": template,
		"Job":                   template,
		"CronJob":               {"spec", "jobTemplate", "spec", "template"},
		"Rollout":               template,
	}
}

// decodeWorkload reads the pod template of an object that runs pods.
func decodeWorkload(o *Object, path []string) (*Workload, error) {
	text := o.text
	for _, field := range path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil || fields[field] == nil {
			return nil, o.fault(path, "", fmt.Errorf("expected a pod template at %s", strings.Join(path, ".")))
		}
		text = fields[field]
	}
	var pod struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Spec     corev1.PodSpec    `json:"spec"`
	}
	if err := json.Unmarshal(text, &pod); err != nil {
		return nil, o.document.ExplainAt(o.Object, append(o.path[:len(o.path):len(o.path)], path...), fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err))
	}
	w := &Workload{
		Object: o, PodLabels: pod.Metadata.Labels, PodAnnotations: pod.Metadata.Annotations,
		ServiceAccount: pod.Spec.ServiceAccountName, Containers: pod.Spec.Containers,
	}
	if w.ServiceAccount == "" {
		w.ServiceAccount = "default"
	}
	return w, nil
}

// Identity is the SPIFFE ID of the workload's sidecar (DR-22).
func (w *Workload) Identity(trustDomain string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", trustDomain, w.Namespace, w.ServiceAccount)
}

// port resolves a Service's target port: a name is looked up in the containers
// (EC-39). It is 0 if there is no such port.
func (w *Workload) port(target intstr.IntOrString) int32 {
	if target.Type == intstr.Int {
		return target.IntVal
	}
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name == target.StrVal {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// Service is a Kubernetes Service.
type Service struct {
	*Object
	Selector map[string]string
	Ports    []ServicePort
	Headless bool
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Name     string
	Number   int32
	Target   intstr.IntOrString // the workload's port
	Protocol Protocol
}

func decodeService(o *Object) (*Service, error) {
	var s struct {
		Spec corev1.ServiceSpec `json:"spec"`
	}
	if err := json.Unmarshal(o.text, &s); err != nil {
		return nil, o.document.ExplainAt(o.Object, o.path, fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err))
	}
	service := &Service{Object: o, Selector: s.Spec.Selector, Headless: s.Spec.ClusterIP == corev1.ClusterIPNone}
	for _, p := range s.Spec.Ports {
		app := ""
		if p.AppProtocol != nil {
			app = *p.AppProtocol
		}
		target := p.TargetPort
		if target.Type == intstr.Int && target.IntVal == 0 {
			target = intstr.FromInt32(p.Port)
		}
		service.Ports = append(service.Ports, ServicePort{
			Name: p.Name, Number: p.Port, Target: target, Protocol: protocolOf(string(p.Protocol), p.Name, app, p.Port),
		})
	}
	return service, nil
}

// Host is the Service's full name.
func (s *Service) Host() string { return s.Name + "." + s.Namespace + ".svc.cluster.local" }
