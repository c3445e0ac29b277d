package validation

import (
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// DestinationRule checks V-DR-1..V-DR-6, and V-M-1.
func DestinationRule(p *mesh.DestinationRule) []Problem {
	c := &checker{}
	if !c.dryRun(p.Object, nil) {
		return c.problems
	}
	spec := []string{"spec"}
	if why := hostFault(p.Spec.Host); why != "" {
		c.refuse(below(spec, "host"), "host %q: %s", p.Spec.Host, why)
	}
	if p.Spec.TrafficPolicy != nil {
		c.trafficPolicy(p.Spec.TrafficPolicy, p.Namespace, below(spec, "trafficPolicy"))
	}
	c.subsets(p)
	c.exportTo(p.Spec.ExportTo, p.Namespace, p.Spec.WorkloadSelector != nil)
	if s := p.Spec.WorkloadSelector; s != nil {
		c.labels(s.MatchLabels, below(spec, "workloadSelector"), below(spec, "workloadSelector", "matchLabels"))
	}
	return c.problems
}

const label = `[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?`

var (
	hostLabel = regexp.MustCompile(`^` + label + `$`)
	firstHost = regexp.MustCompile(`^(\*|(\*|\*-)?` + label + `)$`)
	numeric   = regexp.MustCompile(`^[+-]?[0-9]+$`)
)

// The bounds of names (RFC 1123).
const (
	longestHost  = 255
	longestLabel = 63
)

// hostFault says what is wrong with a host name, whose first label may be or
// begin with a star (V-DR-1).
func hostFault(host string) string {
	first, rest, more := strings.Cut(host, ".")
	switch {
	case host == "":
		return "a host is needed"
	case len(host) > longestHost:
		return "too long"
	case !firstHost.MatchString(first) || len(first) > longestLabel:
		return "expected letters, digits and dashes between the dots, and a star only at the beginning"
	case !more:
		return ""
	}
	labels := strings.Split(rest, ".")
	if numeric.MatchString(labels[len(labels)-1]) {
		return "the last part of a host name is no number"
	}
	if labels[len(labels)-1] == "" {
		labels = labels[:len(labels)-1] // a name that ends with a dot
	}
	if slices.ContainsFunc(labels, func(l string) bool { return !hostLabel.MatchString(l) || len(l) > longestLabel }) {
		return "expected letters, digits and dashes between the dots, and a star only at the beginning"
	}
	return ""
}

// trafficPolicy checks V-DR-2 and V-DR-4.
func (c *checker) trafficPolicy(t *networking.TrafficPolicy, namespace string, path []string) {
	if t.OutlierDetection == nil && t.ConnectionPool == nil && t.LoadBalancer == nil && t.Tls == nil &&
		len(t.PortLevelSettings) == 0 && t.Tunnel == nil && t.ProxyProtocol == nil && t.RetryBudget == nil {
		c.refuse(path, "the traffic policy is empty: say something, or leave it out")
	}
	if t.Tunnel != nil && t.ProxyProtocol != nil {
		c.refuse(below(path, "proxyProtocol"), "tunnel and proxyProtocol exclude each other")
	}
	c.outlier(t.OutlierDetection, below(path, "outlierDetection"))
	c.clientTLS(t.Tls, namespace, below(path, "tls"))
	for i, p := range t.PortLevelSettings {
		at := below(path, "portLevelSettings", i)
		if p.GetPort() == nil {
			c.refuse(at, "the settings of a port need port.number")
		}
		if p.GetOutlierDetection() == nil && p.GetConnectionPool() == nil && p.GetLoadBalancer() == nil && p.GetTls() == nil {
			c.refuse(at, "the settings of the port are empty: say something, or leave them out")
		}
		c.outlier(p.GetOutlierDetection(), below(at, "outlierDetection"))
		c.clientTLS(p.GetTls(), namespace, below(at, "tls"))
	}
}

// outlier warns of a field that has successors (V-DR-6).
func (c *checker) outlier(o *networking.OutlierDetection, path []string) {
	if o.GetConsecutiveErrors() != 0 { //nolint:staticcheck // that it is deprecated is the point
		c.warn(below(path, "consecutiveErrors"), "consecutiveErrors is old: write consecutiveGatewayErrors or consecutive5xxErrors")
	}
}

// clientTLS checks how clients speak TLS (V-DR-4).
func (c *checker) clientTLS(t *networking.ClientTLSSettings, namespace string, path []string) {
	simple, mutual := t.GetMode() == networking.ClientTLSSettings_SIMPLE, t.GetMode() == networking.ClientTLSSettings_MUTUAL
	if t == nil {
		return
	}
	c.credential(t.CredentialName, namespace, below(path, "credentialName")) // in every mode, though only two read it
	if !simple && !mutual {
		return
	}
	if t.GetInsecureSkipVerify().GetValue() {
		if t.CaCertificates != "" || simple && t.CredentialName != "" || len(t.SubjectAltNames) > 0 {
			c.refuse(below(path, "insecureSkipVerify"), "insecureSkipVerify checks no certificate: caCertificates, credentialName and subjectAltNames have nothing to say")
		}
	}
	if t.CredentialName != "" {
		if t.ClientCertificate != "" || t.PrivateKey != "" || t.CaCertificates != "" || t.CaCrl != "" {
			c.refuse(below(path, "credentialName"), "credentialName has all of certificate, key and CA: leave out the files")
		}
		return
	}
	if mutual && t.ClientCertificate == "" {
		c.refuse(path, "MUTUAL needs clientCertificate, or a credentialName")
	}
	if mutual && t.PrivateKey == "" {
		c.refuse(path, "MUTUAL needs privateKey, or a credentialName")
	}
}

// credential checks a reference to a ConfigMap.
func (c *checker) credential(name, namespace string, path []string) {
	reference, ok := strings.CutPrefix(name, "configmap://")
	if !ok {
		return
	}
	of, named, both := strings.Cut(reference, "/")
	switch {
	case !both || of == "" || named == "" || strings.Contains(named, "/"):
		c.refuse(path, "%q: expected configmap://NAMESPACE/NAME", name)
	case of != namespace:
		c.refuse(path, "%q: the ConfigMap must be in the rule's own namespace, %s", name, namespace)
	}
}

// subsets checks V-DR-3.
func (c *checker) subsets(p *mesh.DestinationRule) {
	seen := map[string]bool{}
	for i, s := range p.Spec.Subsets {
		path := below([]string{"spec", "subsets"}, i)
		name := s.GetName()
		switch {
		case name == "":
			c.refuse(path, "a subset needs a name")
		case !hostLabel.MatchString(name) || len(name) > longestLabel:
			c.refuse(below(path, "name"), "subset %q: expected letters, digits and dashes", name)
		case seen[name]:
			c.refuse(below(path, "name"), "another subset is called %q", name)
		}
		seen[name] = true
		for key, value := range s.GetLabels() {
			if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
				c.refuse(below(path, "labels", key), "%s=%s is no label", key, value)
			}
		}
		if s.GetTrafficPolicy() != nil {
			c.trafficPolicy(s.TrafficPolicy, p.Namespace, below(path, "trafficPolicy"))
		}
	}
}

// exportTo checks who may see an object (V-DR-5).
func (c *checker) exportTo(to []string, namespace string, selects bool) {
	path := []string{"spec", "exportTo"}
	seen := map[string]bool{}
	for i, entry := range to {
		named := entry
		if entry == "." {
			named = namespace
		}
		switch {
		case seen[named]:
			c.refuse(below(path, i), "%q stands there already", entry)
		case entry == "~":
			c.refuse(below(path, i), "~ (nobody) is for ServiceEntries only")
		case entry != "*" && (!hostLabel.MatchString(named) || len(named) > longestLabel):
			c.refuse(below(path, i), "%q: expected *, . or a namespace", entry)
		}
		seen[named] = true
	}
	switch {
	case seen["*"] && len(to) > 1:
		c.refuse(path, "* is everybody: it stands alone")
	case selects && len(to) > 0 && (!seen[namespace] || len(seen) > 1):
		c.refuse(path, "a rule with a workloadSelector is for its own namespace: expected .")
	}
}
