package manifest

import (
	"encoding/json"
	"strings"
	"unicode"
)

// Requoted is a new text in the quotes of an old scalar. It is false if the old
// one has none, or its quotes cannot hold the text.
func Requoted(old string, value any) (string, bool) {
	text, isText := value.(string)
	if !isText || old == "" {
		return "", false
	}
	switch old[0] {
	case '\'':
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return "", false // within single quotes nothing can be escaped
		}
		return "'" + strings.ReplaceAll(text, "'", "''") + "'", true
	case '"':
		var quoted strings.Builder
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(false)
		if encoder.Encode(text) != nil {
			return "", false
		}
		return strings.TrimSuffix(quoted.String(), "\n"), true
	}
	return "", false
}
