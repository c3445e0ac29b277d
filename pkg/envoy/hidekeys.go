package envoy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
)

// NotShown stands for the secret part of a key where a configuration is shown.
const NotShown = "(not shown)"

// secretMembers are those of a JWK that only who signs may know: of a symmetric
// key the key itself, else the private part.
func secretMembers() []string { return []string{"k", "d", "p", "q", "dp", "dq", "qi", "oth"} }

// Shown is the configuration as it may be shown: what is secret of the keys of
// token rules is not there. It is the same one if none is.
func (c *Config) Shown() *Config {
	shown := *c
	for i, l := range c.Listeners {
		if hidden, found := HideKeys(l); found {
			if &shown.Listeners[0] == &c.Listeners[0] {
				shown.Listeners = slices.Clone(c.Listeners)
			}
			shown.Listeners[i] = hidden.(*listenerv3.Listener) // as it was
		}
	}
	return &shown
}

// Hides tells whether it was shown without the secret part of some key.
func (c *Config) Hides() bool {
	return slices.ContainsFunc(c.Listeners, func(l *listenerv3.Listener) bool {
		found := false
		eachText(proto.CloneOf(l).ProtoReflect(), func(text string) string {
			found = found || hidesKeys(text)
			return text
		})
		return found
	})
}

// HideKeys is a message without what is secret of the keys of token rules, and
// whether there was any.
func HideKeys(m proto.Message) (proto.Message, bool) {
	shown, found := proto.Clone(m), false
	eachText(shown.ProtoReflect(), func(text string) string {
		hidden, ok := hideKeys(text)
		found = found || ok
		return hidden
	})
	if !found {
		return m, false
	}
	return shown, true
}

// hideKeys takes a text that is a JWKS apart. Another form than a list has
// certificates, which are public.
func hideKeys(text string) (string, bool) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || !strings.Contains(text, "kty") && !strings.Contains(text, `\u00`) {
		return text, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	set := map[string]any{}
	if d.Decode(&set) != nil {
		return text, false
	}
	found := false
	list, _ := set["keys"].([]any)
	for _, item := range list {
		members, _ := item.(map[string]any)
		for _, name := range secretMembers() {
			if value, ok := members[name]; ok && value != NotShown {
				members[name], found = NotShown, true
			}
		}
	}
	if !found {
		return text, false
	}
	var hidden bytes.Buffer
	e := json.NewEncoder(&hidden)
	e.SetEscapeHTML(false)
	if e.Encode(set) != nil { // what was read can be written
		return NotShown, true
	}
	return strings.TrimSpace(hidden.String()), true
}

// hidesKeys tells whether a JWKS has keys that are not shown.
func hidesKeys(text string) bool {
	return strings.Contains(text, `"`+NotShown+`"`) && strings.Contains(text, `"keys"`)
}
