package inject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshctl/meshctl/pkg/manifest"
)

// The ConfigMaps of an installation, without the revision that may follow, and
// the keys that matter here.
const (
	InjectorConfigMap = "istio-sidecar-injector"
	MeshConfigMap     = "istio"
)

// ExtractConfigMap finds a value in what the user gave for it: a raw value is
// returned as it is; of a ConfigMap, as YAML or JSON, or of a stream or List
// that holds one, the data under key. name selects among ConfigMaps, with or
// without a "-revision" at its end; an exact one wins (INJ-123).
func ExtractConfigMap(source string, text []byte, name, revision, key string) ([]byte, error) {
	stream, err := manifest.Read(source, text)
	if err != nil {
		return nil, err
	}
	var found []configMap
	objects := 0
	for _, d := range stream.Documents {
		raw, err := yaml.YAMLToJSON(d.Text)
		if err != nil {
			if objects > 0 {
				return nil, d.Explain(fmt.Errorf("error converting YAML to JSON: %w", err))
			}
			return text, nil // a bare template need not be YAML
		}
		n, maps := configMaps(raw)
		objects += n
		found = append(found, maps...)
	}
	if objects == 0 {
		return text, nil
	}
	return selectConfigMap(source, found, name, revision, key)
}

type configMap struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Data  map[string]string `json:"data"`
	Items []json.RawMessage `json:"items"`
}

// configMaps collects the ConfigMaps of an object, and counts objects.
func configMaps(raw []byte) (objects int, found []configMap) {
	var c configMap
	if err := json.Unmarshal(raw, &c); err != nil || c.Kind == "" || c.APIVersion == "" {
		// An object whose data is not text is no ConfigMap, but an object.
		if bytes.Contains(raw, []byte(`"apiVersion"`)) && bytes.Contains(raw, []byte(`"kind"`)) && err != nil {
			return 1, nil
		}
		return 0, nil
	}
	if c.Kind == "ConfigMap" {
		return 1, []configMap{c}
	}
	objects = 1
	for _, item := range c.Items {
		n, maps := configMaps(item)
		objects += n
		found = append(found, maps...)
	}
	return objects, found
}

func selectConfigMap(source string, found []configMap, name, revision, key string) ([]byte, error) {
	exact := name
	if revision != "" && revision != "default" {
		exact = name + "-" + revision
	}
	var candidates []string
	var fallback *configMap
	for i, c := range found {
		if _, ok := c.Data[key]; !ok {
			continue
		}
		if c.Metadata.Name == exact {
			return []byte(c.Data[key]), nil
		}
		if c.Metadata.Name == name || strings.HasPrefix(c.Metadata.Name, name+"-") || len(found) == 1 {
			candidates = append(candidates, c.Metadata.Name)
			fallback = &found[i]
		}
	}
	switch len(candidates) {
	case 0:
		return nil, fmt.Errorf("%s: no ConfigMap %q with key %q in it", source, exact, key)
	case 1:
		return []byte(fallback.Data[key]), nil
	}
	return nil, fmt.Errorf("%s: several ConfigMaps have key %q (%s): choose with --revision", source, key, strings.Join(candidates, ", "))
}
