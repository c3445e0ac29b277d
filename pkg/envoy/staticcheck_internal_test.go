package envoy

import "testing"

// TestTemplates: those that an Envoy dies of are told from those that it takes
// (DP-55, DP-57).
func TestTemplates(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"/api/*": "", "/**": "", "/api/*/b/**": "", "/api/**/b": "", "/*/": "", "/": "", "/*.html": "",
		"*/x": "it does not begin with a slash", "**": "it does not begin with a slash", "": "it does not begin with a slash",
		"/x//*": "a segment is empty", "//x": "a segment is empty",
		"/**/*": "a wildcard stands behind **", "/**/a/**": "a wildcard stands behind **",
		"/a?": "it has a question mark or a blank", "/a b": "it has a question mark or a blank",
	} {
		got := ""
		if err := checkTemplate(template); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
}
