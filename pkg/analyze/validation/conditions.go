package validation

import (
	"regexp"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// conditions checks the "when" of a rule (V-AP-16..V-AP-19).
func (c *checker) conditions(r *security.Rule, path []string) {
	for i, when := range r.GetWhen() {
		at := below(path, "when", i)
		key := when.GetKey()
		if key == "" {
			c.refuse(at, "a condition needs a key")
			continue
		}
		if len(when.GetValues())+len(when.GetNotValues()) == 0 {
			c.refuse(at, "the condition on %s needs values or notValues", key)
			continue
		}
		if why := keyFault(key); why != "" {
			c.refuse(below(at, "key"), "%s: %s", key, why)
			continue
		}
		for _, l := range []texts{{"values", when.GetValues()}, {"notValues", when.GetNotValues()}} {
			c.conditionValues(key, l, below(at, l.name))
		}
	}
}

var mapKey = regexp.MustCompile(`^.+\[.+\]$`)

// keyFault says what is wrong with the key of a condition, if anything (V-AP-17,
// V-AP-18). Keys of maps are known by their beginning, as istiod knows them.
func keyFault(key string) string {
	for _, prefix := range []string{"request.headers", "request.auth.claims", "experimental.envoy.filters."} {
		if strings.HasPrefix(key, prefix) {
			if !mapKey.MatchString(key) {
				return "expected a name in brackets, such as " + strings.TrimSuffix(prefix, ".") + "[name]"
			}
			return ""
		}
	}
	known := []string{
		"source.ip", "remote.ip", "source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal",
		"request.auth.principal", "request.auth.audiences", "request.auth.presenter", "destination.ip", "destination.port", "connection.sni",
	}
	switch {
	case slices.Contains(known, key):
		return ""
	case key == "destination.namespace":
		return "gone from Istio: a policy is for the workloads of its own namespace"
	case key == "destination.name" || key == "destination.user" || strings.HasPrefix(key, "destination.labels["):
		return "gone from Istio: select the workloads with spec.selector"
	}
	return "no such key"
}

func (c *checker) conditionValues(key string, l texts, path []string) {
	if key == "source.serviceAccount" && len(l.values) > mostAccounts {
		c.refuse(path, "%d service accounts: %d are the most", len(l.values), mostAccounts)
	}
	for i, value := range l.values {
		at := below(path, i)
		if value == "" {
			c.refuse(at, "an empty value matches nothing: take it away")
			continue
		}
		switch key {
		case "source.ip", "remote.ip", "destination.ip":
			c.address(value, at)
		case "destination.port":
			c.port(value, at)
		case "source.serviceAccount":
			c.account(value, at)
		case "source.trustDomain":
			c.trustDomain(value, at, false)
		}
	}
}

// customRule refuses what CUSTOM cannot know: it comes before tokens are
// checked, and istiod takes no identities there (V-AP-6).
func (c *checker) customRule(r *security.Rule, path []string) {
	for i, from := range r.GetFrom() {
		for _, l := range sourceTexts(from.GetSource()) {
			if len(l.values) > 0 && !strings.HasSuffix(strings.ToLower(l.name), "ipblocks") {
				c.refuse(below(path, "from", i, "source", l.name), "%s cannot be asked for with the action CUSTOM", l.name)
			}
		}
	}
	identities := []string{"source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal"}
	for i, when := range r.GetWhen() {
		if key := when.GetKey(); slices.Contains(identities, key) || strings.HasPrefix(key, "request.auth.") {
			c.refuse(below(path, "when", i, "key"), "%s cannot be asked for with the action CUSTOM", key)
		}
	}
}
