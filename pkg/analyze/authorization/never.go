package authorization

import (
	"strings"
	"unicode"
)

// never looks for what no request has at the place of the value: a blank in a
// name, a scheme or a path in a host. It tells whether it found some.
func (v spot) never() bool {
	switch v.name {
	case "principals", "source.principal", "namespaces", "source.namespace", "serviceAccounts", "source.serviceAccount", "trustDomains", "source.trustDomain":
		if trimmed := strings.TrimSpace(v.value); strings.ContainsFunc(v.value, unicode.IsSpace) && trimmed != "" {
			r := v.say("MSH0141", "%q has a blank, and no name of the mesh has one: the value matches nothing", v.value)
			if !strings.ContainsFunc(trimmed, unicode.IsSpace) {
				r.SetValue(v.at(v.index), trimmed)
			}
			return true
		}
	case "hosts":
		scheme, host, has := strings.Cut(v.value, "://")
		if !has {
			scheme, host = "", v.value
		}
		name, _, path := strings.Cut(host, "/")
		blank := strings.ContainsFunc(v.value, unicode.IsSpace)
		if !has && !path && !blank {
			return false
		}
		r := v.say("MSH0141", "host %q matches nothing: requests name the host without a scheme, a path or blanks", v.value)
		if (!has || !strings.Contains(scheme, "*")) && name != "" && !strings.ContainsFunc(name, unicode.IsSpace) {
			r.SetValue(v.at(v.index), name)
		}
		return true
	}
	return false
}
