package platform_test

import (
	"testing"

	"github.com/meshctl/meshctl/pkg/analyze"
)

// TestPorts: a name of a port is looked for in all pods of the Service, and said
// to be missing only where all of them are known.
func TestPorts(t *testing.T) {
	t.Parallel()
	service := func(ports string) string {
		return "Service s shop\nspec: {selector: {app: s}, ports: [" + ports + "]}\n---\n"
	}
	pod := func(name, metadata, spec string) string {
		return "Pod " + name + " shop\nlabels: {app: s}\n" + metadata + "spec: {" + spec + "}\n---\n"
	}
	const named, other = "containers: [{name: a, ports: [{name: web, containerPort: 8080}]}]", "containers: [{name: a, ports: [{name: http, containerPort: 8080}]}]"
	const web = "{name: http, port: 80, targetPort: web}"
	missing, refused := "MSH0330 error Service shop/s", "MSH0331 error Service shop/s"
	cases{
		"a name that is there":               {service(web) + pod("p", "", named), nil},
		"one that no pod has":                {service(web) + pod("p", "", other), []string{missing}},
		"one that another pod has":           {service(web) + pod("p", "", other) + pod("q", "", named), nil},
		"no pods":                            {service(web), nil},
		"containers that nobody knows":       {service(web) + pod("p", "", "containers: []"), nil},
		"a template of one's own":            {service(web) + pod("p", "annotations: {inject.istio.io/templates: 'sidecar,mine'}\n", other), nil},
		"a sidecar's own port":               {service("{name: http-m, port: 80, targetPort: http-envoy-prom}") + pod("p", "", other), nil},
		"one of a native sidecar":            {service(web) + pod("p", "", "initContainers: [{name: i, restartPolicy: Always, ports: [{name: web, containerPort: 1}]}], containers: [{name: a}]"), nil},
		"a number":                           {service("{name: http, port: 80, targetPort: 9}") + pod("p", "", other), nil},
		"two ports, one without a name":      {service("{name: http, port: 80}, {port: 81}"), []string{refused}},
		"two ports of one name":              {service("{name: http, port: 80}, {name: http, port: 81}"), []string{refused}},
		"one port without a name":            {service("{port: 80}"), nil},
		"a port of a container out of range": {pod("p", "", "containers: [{name: a, ports: [{containerPort: 99999}]}]"), []string{"MSH0331 error Pod shop/p"}},
		"ports up to the last":               {pod("p", "", "containers: [{name: a, ports: [{containerPort: 1}, {containerPort: 65535}]}]"), nil},
	}.run(t, analyze.Input{}, "MSH0330", "MSH0331")
}
