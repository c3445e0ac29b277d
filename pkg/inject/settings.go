package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// Identity is where the proxy's key and certificate come from.
type Identity string

// The identities: a token that istiod exchanges for a certificate, or the
// Secret istio.<service account> that an authority has filled.
const (
	TokenIdentity  Identity = "token"
	SecretIdentity Identity = "secret"
)

// Set is one change of a value: a path of names and what to put there.
type Set struct {
	Path  []string
	Value any
}

// ParseSet reads "a.b.c=value", the manner of helm's --set: a backslash makes
// a dot part of a name, and the value is a YAML scalar, list or map. The
// prefix "values." may be left out.
func ParseSet(s string) (Set, error) {
	name, text, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return Set{}, fmt.Errorf("setting %q: expected path=value, such as global.proxy.logLevel=debug", s)
	}
	const dot = "\x00"
	path := strings.Split(strings.ReplaceAll(name, `\.`, dot), ".")
	for i := range path {
		path[i] = strings.ReplaceAll(path[i], dot, ".")
		if path[i] == "" {
			return Set{}, fmt.Errorf("setting %q: empty name in the path", s)
		}
	}
	if path[0] == "values" && len(path) > 1 {
		path = path[1:]
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return Set{}, fmt.Errorf("setting %q: %w", s, err)
	}
	switch value.(type) {
	case map[string]any, []any:
		// An address such as fe80:: is no map; those are written in brackets.
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
			value = text
		}
	}
	return Set{Path: path, Value: value}, nil
}

// With is a copy of the values with the changes made.
func (v *Values) With(sets ...Set) (*Values, error) {
	text, err := json.Marshal(v.tree)
	if err != nil {
		return nil, err
	}
	if text, err = WithSets(text, sets); err != nil {
		return nil, err
	}
	return ParseValues(text)
}

// Overlaid is a copy of the values with others laid over them, as helm lays a
// values file over a chart's defaults: maps are merged, all else is replaced.
func (v *Values) Overlaid(over *Values) (*Values, error) {
	text, err := json.Marshal(overlaid(v.tree, over.tree))
	if err != nil {
		return nil, err
	}
	return ParseValues(text)
}

func overlaid(base, over map[string]any) map[string]any {
	all := maps.Clone(base)
	for key, value := range over {
		below, isMap := all[key].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			value = overlaid(below, above)
		}
		all[key] = value
	}
	return all
}

// WithSets makes changes to a YAML or JSON mapping. Without any the text stays
// as it is.
func WithSets(text []byte, sets []Set) ([]byte, error) {
	if len(sets) == 0 {
		return text, nil
	}
	tree := map[string]any{}
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	for _, s := range sets {
		at := tree
		for _, name := range s.Path[:len(s.Path)-1] {
			next, ok := at[name].(map[string]any)
			if !ok {
				if at[name] != nil {
					return nil, fmt.Errorf("setting %s: %q is not a map", strings.Join(s.Path, "."), name)
				}
				next = map[string]any{}
				at[name] = next
			}
			at = next
		}
		at[s.Path[len(s.Path)-1]] = s.Value
	}
	return json.Marshal(tree)
}

// WithIdentity makes the sidecar take its identity from there. Today's agent
// still honours the mounted Secret when FILE_MOUNTED_CERTS is set.
func WithIdentity(identity Identity, values *Values, config *meshconfig.MeshConfig) (*Values, *meshconfig.MeshConfig, error) {
	if identity != SecretIdentity {
		return values, config, nil
	}
	values, err := values.With(Set{Path: []string{"global", "mountMtlsCerts"}, Value: true})
	if err != nil {
		return nil, nil, err
	}
	proxy := proto.Clone(config.DefaultConfig).(*meshconfig.ProxyConfig)
	if proxy.ProxyMetadata == nil {
		proxy.ProxyMetadata = map[string]string{}
	}
	proxy.ProxyMetadata["FILE_MOUNTED_CERTS"] = "true"
	return values, withProxyConfig(config, proxy), nil
}
