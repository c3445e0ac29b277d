package printer

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// YAML writes v as YAML, with the fields that it has as JSON.
func YAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if text, err = yaml.JSONToYAML([]byte(yamlReadable(string(text)))); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// yamlReadable escapes what JSON may hold as it is and YAML may not.
func yamlReadable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
