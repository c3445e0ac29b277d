package validation

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	"github.com/meshctl/meshctl/pkg/mesh"
)

// AuthorizationPolicy checks V-AP-1..V-AP-23.
func AuthorizationPolicy(p *mesh.AuthorizationPolicy) []Problem {
	c := &checker{}
	if !c.dryRun(p.Object, &p.Spec.Action) {
		return c.problems
	}
	c.selection(p.Spec.Selector, p.Spec.TargetRef, p.Spec.TargetRefs)
	c.action(p.Spec)
	for i, r := range p.Spec.Rules {
		path := below([]string{"spec", "rules"}, i)
		c.sources(r, path)
		c.operations(r, path)
		c.conditions(r, path)
		if p.Spec.Action == security.AuthorizationPolicy_CUSTOM {
			c.customRule(r, path)
		}
		if p.Spec.Action == security.AuthorizationPolicy_DENY {
			c.deniesTCP(r, path)
		}
	}
	return c.problems
}

// action checks what the action asks for (V-AP-1..V-AP-3, V-AP-8).
func (c *checker) action(spec *security.AuthorizationPolicy) {
	spot := []string{"spec"}
	custom := spec.Action == security.AuthorizationPolicy_CUSTOM
	switch {
	case custom && len(spec.Rules) == 0, spec.Action == security.AuthorizationPolicy_DENY && len(spec.Rules) == 0:
		c.refuse(spot, "%s without rules matches nothing: write an empty rule, {}, to match every request", spec.Action)
	case custom && spec.GetProvider().GetName() == "":
		c.refuse(spot, "CUSTOM needs provider.name: the extension provider of the mesh config that decides")
	}
	if !custom && spec.GetProvider() != nil {
		c.refuse(below(spot, "provider"), "a provider is for the action CUSTOM, not for %s", spec.Action)
	}
}

// texts is a list of texts by the name of its field.
type texts struct {
	name   string
	values []string
}

func sourceTexts(s *security.Source) []texts {
	return []texts{
		{"principals", s.GetPrincipals()},
		{"notPrincipals", s.GetNotPrincipals()},
		{"requestPrincipals", s.GetRequestPrincipals()},
		{"notRequestPrincipals", s.GetNotRequestPrincipals()},
		{"namespaces", s.GetNamespaces()},
		{"notNamespaces", s.GetNotNamespaces()},
		{"serviceAccounts", s.GetServiceAccounts()},
		{"notServiceAccounts", s.GetNotServiceAccounts()},
		{"trustDomains", s.GetTrustDomains()},
		{"notTrustDomains", s.GetNotTrustDomains()},
		{"ipBlocks", s.GetIpBlocks()},
		{"notIpBlocks", s.GetNotIpBlocks()},
		{"remoteIpBlocks", s.GetRemoteIpBlocks()},
		{"notRemoteIpBlocks", s.GetNotRemoteIpBlocks()},
	}
}

func operationTexts(o *security.Operation) []texts {
	return []texts{
		{"ports", o.GetPorts()},
		{"notPorts", o.GetNotPorts()},
		{"methods", o.GetMethods()},
		{"notMethods", o.GetNotMethods()},
		{"paths", o.GetPaths()},
		{"notPaths", o.GetNotPaths()},
		{"hosts", o.GetHosts()},
		{"notHosts", o.GetNotHosts()},
	}
}

// isEmpty tells that no list has values.
func isEmpty(lists []texts) bool {
	return !slices.ContainsFunc(lists, func(l texts) bool { return len(l.values) > 0 })
}

// sources checks the callers of a rule (V-AP-9..V-AP-14).
func (c *checker) sources(r *security.Rule, path []string) {
	for i, from := range r.GetFrom() {
		at := below(path, "from", i)
		s := from.GetSource()
		if s == nil {
			c.refuse(at, "an item of from needs a source")
			continue
		}
		at = below(at, "source")
		lists := sourceTexts(s)
		if isEmpty(lists) {
			c.refuse(at, "the source is empty: name callers, or leave from out to mean all")
		}
		accounts := len(s.ServiceAccounts)+len(s.NotServiceAccounts) > 0
		if accounts && len(s.Principals)+len(s.NotPrincipals)+len(s.Namespaces)+len(s.NotNamespaces) > 0 {
			c.refuse(at, "serviceAccounts cannot stand beside principals or namespaces in one source")
		}
		for _, l := range lists {
			c.sourceValues(l, below(at, l.name))
		}
	}
}

func (c *checker) sourceValues(l texts, path []string) {
	bare := strings.ToLower(strings.TrimPrefix(l.name, "not"))
	for i, value := range l.values {
		at := below(path, i)
		if value == "" {
			c.refuse(at, "an empty value matches nothing: take it away")
			continue
		}
		switch bare {
		case "ipblocks", "remoteipblocks":
			c.address(value, at)
		case "serviceaccounts":
			c.account(value, at)
		case "trustdomains":
			c.trustDomain(value, at, true)
		}
	}
	if bare == "serviceaccounts" && len(l.values) > mostAccounts {
		c.refuse(path, "%d service accounts: %d are the most", len(l.values), mostAccounts)
	}
}

// address checks an IP address or a block of such (V-AP-12).
func (c *checker) address(value string, path []string) {
	var err error
	if strings.Contains(value, "/") {
		_, err = netip.ParsePrefix(value)
	} else {
		_, err = netip.ParseAddr(value)
	}
	if err != nil {
		c.refuse(path, "%q is neither an IP address nor a block such as 10.0.0.0/8", value)
	}
}

// The bounds of service accounts (V-AP-13).
const (
	mostAccounts   = 16
	longestAccount = 320
)

// account checks "account" or "namespace/account" (V-AP-13).
func (c *checker) account(value string, path []string) {
	parts := strings.Split(value, "/")
	switch {
	case strings.Contains(value, "*"):
		c.refuse(path, "a service account is no pattern: %q has a star", value)
	case len(value) > longestAccount:
		c.refuse(path, "a service account has at most %d characters", longestAccount)
	case len(parts) > 2 || slices.Contains(parts, ""):
		c.refuse(path, "%q: expected ACCOUNT or NAMESPACE/ACCOUNT", value)
	}
}

// trustDomain checks a trust domain or a pattern of such (V-AP-14).
func (c *checker) trustDomain(value string, path []string, bare bool) {
	stars := strings.Count(value, "*")
	switch {
	case stars > 1 || stars == 1 && !strings.HasPrefix(value, "*") && !strings.HasSuffix(value, "*"):
		c.refuse(path, "%q: a star stands first or last, and once", value)
	case bare && strings.Contains(value, "/"):
		c.refuse(path, "%q: a trust domain has no slash", value)
	}
}

// operations checks what a rule allows to do (V-AP-9, V-AP-10, V-AP-12, V-AP-15,
// V-AP-21, V-AP-22).
func (c *checker) operations(r *security.Rule, path []string) {
	for i, to := range r.GetTo() {
		at := below(path, "to", i)
		o := to.GetOperation()
		if o == nil {
			c.refuse(at, "an item of to needs an operation")
			continue
		}
		at = below(at, "operation")
		lists := operationTexts(o)
		if isEmpty(lists) {
			c.refuse(at, "the operation is empty: name what is done, or leave to out to mean all")
		}
		for _, l := range lists {
			for i, value := range l.values {
				c.operationValue(l.name, value, below(at, l.name, i))
			}
		}
	}
}

func (c *checker) operationValue(field, value string, path []string) {
	switch {
	case value == "":
		c.refuse(path, "an empty value matches nothing: take it away")
	case field == "ports" || field == "notPorts":
		c.port(value, path)
	case field == "paths" || field == "notPaths":
		if why := pathFault(value); why != "" {
			c.refuse(path, "path %q: %s", value, why)
		}
	}
}

func (c *checker) port(value string, path []string) {
	if n, err := strconv.ParseUint(value, 10, 32); err != nil || n > maxPort {
		c.refuse(path, "%q is no port: expected a number up to %d", value, maxPort)
	}
}

var segment = regexp.MustCompile(`^[a-zA-Z0-9-._~%!$&'()+,;:@=]+$`)

// pathFault says what is wrong with the template in a path, if anything
// (V-AP-21, V-AP-22).
func pathFault(path string) string {
	template := strings.Contains(path, "{*}") || strings.Contains(path, "{**}")
	open := false // {**} was there
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		switch {
		case part == "{*}" || part == "{**}":
			if open {
				return "nothing of a template can follow {**}"
			}
			open = part == "{**}"
		case strings.ContainsAny(part, "{}"):
			return "braces are for {*} and {**}, which are whole segments"
		case template && !segment.MatchString(part):
			return fmt.Sprintf("beside {*} and {**} a segment is plain text, and %q is not", part)
		}
	}
	return ""
}

// deniesTCP warns of a DENY rule that denies all of a TCP port, because it asks
// for nothing that such a port knows (V-AP-23).
func (c *checker) deniesTCP(r *security.Rule, path []string) {
	tcpSource, ports := false, false
	for _, from := range r.GetFrom() {
		s := from.GetSource()
		tcpSource = tcpSource || len(s.GetPrincipals())+len(s.GetNotPrincipals())+len(s.GetNamespaces())+len(s.GetNotNamespaces())+
			len(s.GetServiceAccounts())+len(s.GetNotServiceAccounts())+len(s.GetIpBlocks())+len(s.GetNotIpBlocks())+
			len(s.GetRemoteIpBlocks())+len(s.GetNotRemoteIpBlocks()) > 0
	}
	for _, to := range r.GetTo() {
		ports = ports || len(to.GetOperation().GetPorts())+len(to.GetOperation().GetNotPorts()) > 0
	}
	if len(r.GetTo()) > 0 && !ports || len(r.GetTo()) == 0 && len(r.GetFrom()) > 0 && !tcpSource {
		c.warn(path, "this DENY rule asks for HTTP only, which TCP ports do not know: it denies everything on them. Name the ports that it is for")
	}
}
