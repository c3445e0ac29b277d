package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is what runs the same pods: a Deployment and its like, a pod, or a
// machine that a WorkloadEntry or WorkloadGroup describes.
type Workload struct {
	*Object
	PodLabels, PodAnnotations map[string]string
	ServiceAccount            string // empty only for a WorkloadEntry without one
	Containers                []corev1.Container
	Membership                Membership
	// Address is a WorkloadEntry's; other workloads have theirs from the
	// cluster.
	Address string
	// EntryPorts are a machine's port numbers by the names of Service ports.
	EntryPorts map[string]uint32
	// Locality and Weight are a machine's, as load balancing sees them.
	Locality string
	Weight   uint32
	// Replicas is how many pods or machines there are: one, unless the object
	// says so. A WorkloadGroup has none before they register.
	Replicas int
}

// decodeWorkload reads the pod template of an object that runs pods. It is nil
// for one that has the pods of another object, such as a Rollout that refers to
// a Deployment.
func decodeWorkload(o *Object, path []string) (*Workload, error) {
	text, replicas := o.text, 1
	for _, field := range path {
		var fields map[string]json.RawMessage
		err := json.Unmarshal(text, &fields)
		if err == nil && fields[field] == nil && fields["workloadRef"] != nil {
			return nil, nil //nolint:nilnil // no pods of its own
		}
		if err != nil || fields[field] == nil {
			return nil, o.fault(path, "", fmt.Errorf("expected a pod template at %s", strings.Join(path, ".")))
		}
		if n, err := strconv.ParseUint(string(fields["replicas"]), 10, 31); err == nil {
			replicas = int(n)
		}
		text = fields[field]
	}
	var pod struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Spec     corev1.PodSpec    `json:"spec"`
	}
	if err := json.Unmarshal(text, &pod); err != nil {
		fault := o.document.ExplainAt(o.Object, append(o.path[:len(o.path):len(o.path)], path...), fmt.Errorf("error unmarshaling JSON: while decoding JSON: %w", err))
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) && mismatch.Field != "" && len(path) > 0 {
			mismatch.Field = strings.Join(path, ".") + "." + mismatch.Field // as the object has it
		}
		return nil, fault
	}
	w := &Workload{
		Object: o, PodLabels: pod.Metadata.Labels, PodAnnotations: pod.Metadata.Annotations,
		ServiceAccount: orDefault(pod.Spec.ServiceAccountName), Containers: pod.Spec.Containers, Replicas: replicas,
	}
	w.Membership = podMembership(w, &pod.Spec, path)
	return w, nil
}

func orDefault(account string) string {
	if account == "" {
		return "default"
	}
	return account
}

// decodeWorkloadEntry reads a machine outside of the cluster. It speaks mTLS if
// its label says so or, without one, if it names its account (EC-86).
func decodeWorkloadEntry(o *Object) (*Workload, error) {
	r, err := decodeResource(o, &networking.WorkloadEntry{})
	if r == nil {
		return nil, err
	}
	w := machine(o, r.Spec, r.Spec.Labels)
	w.Membership = Membership{Sidecar: r.Spec.ServiceAccount != "", Reason: NamesAccount, At: o.Locate("spec", "serviceAccount")}
	if !w.Membership.Sidecar {
		w.Membership = Membership{Reason: NamesNoAccount, At: o.Location}
	}
	if mode, ok := w.PodLabels[tlsModeLabel]; ok {
		w.Membership = Membership{Sidecar: mode == istioTLSMode, Reason: TLSModeLabel, At: o.Locate("spec", "labels", tlsModeLabel)}
	}
	return w, err
}

// decodeWorkloadGroup reads the template that machines register with. They run
// a sidecar: it is what registers them.
func decodeWorkloadGroup(o *Object) (*Workload, error) {
	r, err := decodeResource(o, &networking.WorkloadGroup{})
	if r == nil {
		return nil, err
	}
	labels := map[string]string{}
	for _, from := range []map[string]string{r.Spec.GetTemplate().GetLabels(), r.Spec.GetMetadata().GetLabels()} {
		for key, value := range from {
			labels[key] = value
		}
	}
	template := r.Spec.GetTemplate()
	if template == nil {
		template = &networking.WorkloadEntry{}
	}
	w := machine(o, template, labels)
	w.Replicas = 0
	w.ServiceAccount = orDefault(w.ServiceAccount)
	w.PodAnnotations = r.Spec.GetMetadata().GetAnnotations()
	w.Membership = Membership{Sidecar: true, Reason: RegistersItself, At: o.Location}
	return w, err
}

func machine(o *Object, entry *networking.WorkloadEntry, labels map[string]string) *Workload {
	return &Workload{
		Object: o, PodLabels: labels, ServiceAccount: entry.ServiceAccount,
		Address: entry.Address, EntryPorts: entry.Ports, Locality: entry.Locality, Weight: entry.Weight, Replicas: 1,
	}
}

func (w *Workload) isMachine() bool { return w.Kind == "WorkloadEntry" || w.Kind == "WorkloadGroup" }

// Identity is the SPIFFE ID of the workload's sidecar (DR-22).
func (w *Workload) Identity(trustDomain string) string {
	return spiffeID(trustDomain, w.Namespace, w.ServiceAccount)
}

func spiffeID(trustDomain, namespace, account string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", trustDomain, namespace, account)
}

// Port resolves a Service's port to the workload's: a machine's own list of
// ports comes first, and a name is looked up in the containers (EC-39). It is 0
// if there is no such port.
func (w *Workload) Port(p ServicePort) int32 {
	if number, ok := w.EntryPorts[p.Name]; ok && number <= 65535 {
		return int32(number)
	}
	if p.Target.Type == intstr.Int {
		return p.Target.IntVal
	}
	for _, c := range w.Containers {
		for _, port := range c.Ports {
			if port.Name == p.Target.StrVal {
				return port.ContainerPort
			}
		}
	}
	return 0
}

// ClaimsTLS tells whether clients take the workload for one that speaks mTLS:
// its pods carry the label that injection adds (DR-11).
func (w *Workload) ClaimsTLS() bool {
	if mode, ok := w.PodLabels[tlsModeLabel]; ok {
		return mode == istioTLSMode
	}
	return w.Membership.Sidecar
}
