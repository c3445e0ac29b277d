package inject

import (
	"encoding/json"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errNoTemplate is the peer's text for a controller without spec.template
// (INJ-13).
var errNoTemplate = errors.New("spec.template is required value")

// workload is a decoded object that runs pods, opened at its pod template.
type workload struct {
	object any // what is written back
	owner  owner
	own    *metav1.ObjectMeta // of the object itself; nil if it is not known
	meta   *metav1.ObjectMeta // where injection puts labels and annotations
	spec   *corev1.PodSpec
	bare   bool // the object is itself a pod
}

// owner is what the workload is called, as the templates see it.
type owner struct {
	metav1.TypeMeta
	Name      string
	Namespace string
}

// kind decodes one kind of object. open fails when there is no pod template.
type kind struct {
	groups []string // API groups under which this is the built-in kind
	open   func(text []byte) (workload, error)
}

// builtinKinds are the kinds that kube-inject knows (INJ-5). Old groups decode
// into today's types, whose pod templates have the same shape (INJ-6).
func builtinKinds() map[string]kind {
	apps := []string{"apps", "extensions", ""}
	batch := []string{"batch", ""}
	core := []string{""}
	return map[string]kind{
		"Pod": {core, open(func(o *corev1.Pod) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return o.TypeMeta, &o.ObjectMeta, &o.ObjectMeta, &o.Spec
		})},
		"ReplicationController": {core, open(func(o *corev1.ReplicationController) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, o.Spec.Template)
		})},
		"Deployment": {apps, open(func(o *appsv1.Deployment) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, &o.Spec.Template)
		})},
		"DaemonSet": {apps, open(func(o *appsv1.DaemonSet) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, &o.Spec.Template)
		})},
		"ReplicaSet": {apps, open(func(o *appsv1.ReplicaSet) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, &o.Spec.Template)
		})},
		"StatefulSet": {apps, open(func(o *appsv1.StatefulSet) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, &o.Spec.Template)
		})},
		"Job": {batch, open(func(o *batchv1.Job) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, &o.Spec.Template)
		})},
		// The peer writes a CronJob's labels and annotations to the job
		// template, not to the pod template, and reads them there (INJ-15).
		"CronJob": {batch, open(func(o *batchv1.CronJob) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return o.TypeMeta, &o.ObjectMeta, &o.Spec.JobTemplate.ObjectMeta, &o.Spec.JobTemplate.Spec.Template.Spec
		})},
		"DeploymentConfig": {[]string{"apps.openshift.io", ""}, open(func(o *deploymentConfig) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
			return podTemplate(o.TypeMeta, &o.ObjectMeta, o.Spec.Template)
		})},
	}
}

// podTemplate gives the places of a controller that has a pod template.
func podTemplate(t metav1.TypeMeta, own *metav1.ObjectMeta, pod *corev1.PodTemplateSpec) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec) {
	if pod == nil {
		return t, own, nil, nil
	}
	return t, own, &pod.ObjectMeta, &pod.Spec
}

// open makes a decoder of places, which tells where an object of type T keeps
// its type, its own metadata, its pods' metadata and their spec.
func open[T any](places func(*T) (metav1.TypeMeta, *metav1.ObjectMeta, *metav1.ObjectMeta, *corev1.PodSpec)) func([]byte) (workload, error) {
	return func(text []byte) (workload, error) {
		object := new(T)
		if err := json.Unmarshal(text, object); err != nil {
			return workload{}, err
		}
		typeMeta, own, meta, spec := places(object)
		if spec == nil {
			return workload{}, errNoTemplate
		}
		return workload{
			object: object,
			owner:  owner{TypeMeta: typeMeta, Name: own.Name, Namespace: own.Namespace},
			own:    own,
			meta:   meta,
			spec:   spec,
			bare:   own == meta,
		}, nil
	}
}

// group is the API group of apiVersion, "" for the core group.
func group(apiVersion string) string {
	g, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return g
}
