package authz

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
	"github.com/meshctl/meshctl/pkg/mesh"
	"github.com/meshctl/meshctl/pkg/policy"
)

// Case is a row of cases.json: policies, and the filters that they became for
// one workload.
type Case struct {
	ID       string   `json:"id"`
	Chain    string   `json:"chain"` // http or tcp
	Input    string   `json:"input"`
	Want     []string `json:"want"` // a file for each filter, in their order
	Workload struct {
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"workload"`
	MeshConfig json.RawMessage `json:"meshConfig"`

	dir string
}

// Load reads the cases of a folder.
func Load(dir string) ([]Case, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		return nil, err
	}
	var cases []Case
	if err := json.Unmarshal(text, &cases); err != nil {
		return nil, fmt.Errorf("cases.json: %w", err)
	}
	for i := range cases {
		cases[i].dir = dir
	}
	return cases, nil
}

func (c *Case) http() bool { return c.Chain == "http" }

func (c *Case) seed() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.ID)) // never fails
	return h.Sum64()
}

// golden are the filters that istiod wrote.
func (c *Case) golden() ([]configuredFilter, error) {
	var all []configuredFilter
	for _, name := range c.Want {
		text, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			return nil, err
		}
		filters, err := parseFilters(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, filters...)
	}
	return all, nil
}

// ours is our own side of a case.
type ours struct {
	model    *policy.Model
	stages   *policy.Stages // those of the case's chain
	tables   map[string]table
	policies []*mesh.AuthorizationPolicy
}

// compile builds the mesh of a case, and the model of its workload.
func (c *Case) compile() (*ours, error) {
	input, err := os.ReadFile(filepath.Join(c.dir, c.Input))
	if err != nil {
		return nil, err
	}
	config := mesh.DefaultConfig()
	if len(c.MeshConfig) > 0 {
		if config, err = mesh.ParseConfig(c.MeshConfig); err != nil {
			return nil, err
		}
	}
	fixture, err := c.fixture(config)
	if err != nil {
		return nil, err
	}
	var streams []*manifest.Stream
	for name, text := range map[string][]byte{c.Input: input, "fixture.yaml": fixture} {
		stream, err := manifest.Read(name, text)
		if err != nil {
			return nil, err
		}
		streams = append(streams, stream)
	}
	s, err := mesh.Build(streams, mesh.Options{Config: config, Namespace: c.Workload.Namespace})
	if err != nil {
		return nil, err
	}
	o := &ours{model: policy.Compile(s, s.Workload(c.Workload.Namespace, workloadName))}
	o.stages = &o.model.TCP
	if c.http() {
		o.stages = &o.model.HTTP
	}
	for _, ns := range []string{s.RootNamespace(), c.Workload.Namespace} {
		o.policies = append(o.policies, s.AuthorizationPolicies(ns)...)
	}
	o.tables, err = stageTables(o.stages)
	return o, err
}

const workloadName = "workload"

// object is a manifest.
type object map[string]any

// fixture is what a case takes for granted: its workload, the services of its
// external authorizers, and tokens that are good whoever issued them.
func (c *Case) fixture(config *meshconfig.MeshConfig) ([]byte, error) {
	named := func(name, namespace string) object { return object{"name": name, "namespace": namespace} }
	template := object{"metadata": object{"labels": c.Workload.Labels}, "spec": object{"containers": []object{{"name": "app", "image": "app"}}}}
	objects := []object{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named(workloadName, c.Workload.Namespace), "spec": object{"template": template}},
		{
			"apiVersion": "v1", "kind": "Service", "metadata": named(workloadName, c.Workload.Namespace),
			"spec": object{"selector": c.Workload.Labels, "ports": []object{{"name": c.Chain, "port": 8080}}},
		},
		{
			"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": named("any-token", c.Workload.Namespace),
			"spec": object{"jwtRules": []object{{"jwks": "{}", "fromHeaders": []object{{"name": tokenHeader}}}}},
		},
	}
	for _, p := range config.GetExtensionProviders() {
		host := p.GetEnvoyExtAuthzHttp().GetService() + p.GetEnvoyExtAuthzGrpc().GetService()
		host = host[strings.Index(host, "/")+1:]
		name, ns, ok := hostParts(host)
		service := object{"apiVersion": "v1", "kind": "Service", "metadata": named(name, ns), "spec": object{"ports": []object{{"port": 9000}}}}
		same := func(o object) bool {
			return o["kind"] == "Service" && fmt.Sprint(o["metadata"]) == fmt.Sprint(service["metadata"])
		}
		if ok && !slices.ContainsFunc(objects, same) {
			objects = append(objects, service)
		}
	}
	var text []byte
	for _, o := range objects {
		document, err := yaml.Marshal(o)
		if err != nil {
			return nil, err
		}
		text = append(append(text, "---\n"...), document...)
	}
	return text, nil
}

// hostParts takes the full host name of a Service apart.
func hostParts(host string) (name, namespace string, ok bool) {
	rest, ok := strings.CutSuffix(host, ".svc.cluster.local")
	name, namespace, hasNamespace := strings.Cut(rest, ".")
	return name, namespace, ok && hasNamespace
}
