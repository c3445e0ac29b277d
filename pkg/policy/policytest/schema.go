package policytest

import (
	"bytes"
	"encoding/json"
)

// SchemaID is the address of the published schema.
const SchemaID = "https://raw.githubusercontent.com/meshctl/meshctl/main/docs/schema/policytest.schema.json"

// Schema describes a test file's document as JSON Schema, draft 2020-12. It is
// made of the same tables that Parse reads by.
func Schema() ([]byte, error) {
	s := objectSchema(fileFields())
	definitions := schema{} // what both cases and defaults have
	for _, dim := range dimensions() {
		definitions[dim.name] = dim.schema
	}
	s["$defs"] = definitions
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = SchemaID
	s["title"] = Kind
	s["description"] = "Tests of a mesh's policies, run by meshctl policy test."
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return text.Bytes(), err
}
