package inject

import (
	"bytes"
	"encoding/json"
	"reflect"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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
		m = withoutDefaults(config)
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

func withoutDefaults(config *meshconfig.ProxyConfig) *meshconfig.ProxyConfig {
	defaults := mesh.DefaultProxyConfig().ProtoReflect()
	clean := proto.Clone(config).(*meshconfig.ProxyConfig)
	m := clean.ProtoReflect()
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if defaults.Has(field) && value.Equal(defaults.Get(field)) {
			m.Clear(field)
		}
		return true
	})
	return clean
}
