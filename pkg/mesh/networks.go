package mesh

import (
	"encoding/json"
	"fmt"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// ParseNetworks reads the networks of a mesh, as the ConfigMap istio holds them
// under meshNetworks.
func ParseNetworks(text []byte) (*meshconfig.MeshNetworks, error) {
	var fields map[string]json.RawMessage
	if err := yaml.UnmarshalStrict(text, &fields); err != nil {
		return nil, fmt.Errorf("mesh networks: %w", err)
	}
	networks := &meshconfig.MeshNetworks{}
	if err := strict.unmarshal(fields, networks); err != nil {
		return nil, fmt.Errorf("mesh networks: %w", strict.fieldError(fields, networks.ProtoReflect(), err))
	}
	return networks, nil
}
