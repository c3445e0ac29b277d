package hygiene

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	strictjson "sigs.k8s.io/json"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/report"
)

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

// strictly reports what is wrong with the objects that the snapshot does not
// decode strictly.
func strictly(p *analyze.Pass) {
	all, kinds := specs(p.Inventory), kubernetesKinds()
	for _, o := range p.Objects {
		names(p, o)
		if kind := kinds[o.APIVersion+"/"+o.Kind]; kind != nil {
			kubernetesFields(p, o, kind())
			continue
		}
		if err := all[o].err; err != nil {
			reportAll(p, err)
		}
		strange(p, o)
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
			document, at := o.Document()
			var fault *report.InputError
			errors.As(document.ExplainAt(o.Object, at, err), &fault)
			if !surveyed(p)[fault.Location] {
				p.ReportFaultOf("IST0106", o, fault)
			}
		}
		return
	}
	for _, problem := range problems {
		if m := unknownField.FindStringSubmatch(problem.Error()); m != nil {
			path := strings.Split(listIndex.ReplaceAllString(m[1], ".$1"), ".")
			if len(path) == 1 && slices.ContainsFunc(headKeys(), func(key string) bool { return strings.EqualFold(key, path[0]) }) {
				continue // told of all objects
			}
			if path[0] == "metadata" {
				continue // told of all objects
			}
			hint := ""
			if near := mesh.Nearest(path[len(path)-1], fieldsAt(reflect.TypeOf(into), path[:len(path)-1])); near != "" {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			p.ReportCode("MSH0301", o, path, "unknown field %s: Kubernetes has no such field in a %s%s", strconv.Quote(m[1]), o.Kind, hint)
		}
	}
}

// surveyed are the places of the faults that the survey of the files has told.
func surveyed(p *analyze.Pass) map[report.Location]bool {
	return analyze.Shared(p.Inventory, "places of faults", func() map[report.Location]bool {
		told := map[report.Location]bool{}
		for _, problem := range p.Problems {
			for _, fault := range faults(problem) {
				told[fault.Location] = true
			}
		}
		return told
	})
}

// fieldsAt are the names of the fields of the type that path leads to.
func fieldsAt(t reflect.Type, path []string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(path) > 0 && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		return fieldsAt(t.Elem(), path[1:])
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, fieldsAt(f.Type, path)...)
		case len(path) > 0 && name == path[0]:
			return fieldsAt(f.Type, path[1:])
		case len(path) == 0 && name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}
