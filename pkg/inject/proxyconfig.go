package inject

import (
	"bytes"
	"encoding/json"
	"reflect"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// protoToJSON is the compact JSON of a message, a ProxyConfig without the
// fields that have their default value (INJ-52). Nil is "{}".
func protoToJSON(message any) string {
	m, ok := message.(proto.Message)
	if !ok || reflect.ValueOf(m).IsNil() {
		return "{}"
	}
	if config, ok := m.(*meshconfig.ProxyConfig); ok {
		m = mesh.WithoutDefaults(config)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return "{}"
	}
	// protojson varies its blanks from build to build on purpose.
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return "{}"
	}
	return compact.String()
}
