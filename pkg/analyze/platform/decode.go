package platform

import (
	"encoding/json"
	"fmt"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// decodeAt reads what stands at path of an object.
func decodeAt(o *mesh.Object, path []string, into any) error {
	if len(path) == 0 {
		return o.Decode(into)
	}
	var text json.RawMessage
	if err := o.Decode(&text); err != nil {
		return err
	}
	for _, field := range path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			return err
		}
		if text = fields[field]; text == nil {
			return fmt.Errorf("no field %s", field)
		}
	}
	return json.Unmarshal(text, into)
}
