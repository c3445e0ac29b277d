package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httpauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	networkauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	yamlv3 "go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// filter is a filter of a chain: an RBAC filter, or one that asks an external
// authorizer.
type filter struct {
	name                 string
	rules, shadow        table // nil if they are not there
	action, shadowAction rbacv3.RBAC_Action
	prefix               string // of what the shadow rules write
	authorizer           *authorizer
}

// authorizer asks where the metadata of another filter says so.
type authorizer struct {
	filter   string
	keys     []string
	enabled  value
	failOpen bool
	status   int // if it cannot be reached
}

// configuredFilter is a filter as a listener has it.
type configuredFilter struct {
	name   string
	config proto.Message
}

// parseFilters reads the documents of a file, each a filter.
func parseFilters(text []byte) ([]configuredFilter, error) {
	var all []configuredFilter
	documents := yamlv3.NewDecoder(bytes.NewReader(text))
	for {
		var fields map[string]any
		if err := documents.Decode(&fields); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if fields == nil {
			continue
		}
		config, err := json.Marshal(fields["typedConfig"])
		if err != nil {
			return nil, err
		}
		var typed anypb.Any
		if err := protojson.Unmarshal(config, &typed); err != nil {
			return nil, err
		}
		m, err := typed.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		all = append(all, configuredFilter{fmt.Sprint(fields["name"]), m})
	}
}

// readChain reads filters in their order.
func readChain(filters []configuredFilter) (chain, error) {
	var c chain
	for _, f := range filters {
		one, err := readFilter(f.name, f.config)
		if err != nil {
			return nil, err
		}
		c = append(c, one)
	}
	return c, nil
}

// readFilter reads one filter.
func readFilter(name string, m proto.Message) (filter, error) {
	switch m := m.(type) {
	case *httprbacv3.RBAC:
		if m.GetMatcher() != nil || m.GetShadowMatcher() != nil {
			return filter{}, unknown(m)
		}
		return readRBAC(name, m.GetRules(), m.GetShadowRules(), m.GetShadowRulesStatPrefix())
	case *networkrbacv3.RBAC:
		if m.GetMatcher() != nil || m.GetShadowMatcher() != nil {
			return filter{}, unknown(m)
		}
		return readRBAC(name, m.GetRules(), m.GetShadowRules(), m.GetShadowRulesStatPrefix())
	case *httpauthzv3.ExtAuthz:
		status := int(m.GetStatusOnError().GetCode())
		if status == 0 {
			status = 403
		}
		return readAuthorizer(name, m.GetFilterEnabledMetadata(), m.GetFailureModeAllow(), status)
	case *networkauthzv3.ExtAuthz:
		return readAuthorizer(name, m.GetFilterEnabledMetadata(), m.GetFailureModeAllow(), 0)
	}
	return filter{}, fmt.Errorf("filter %s: %T is not known here", name, m)
}

func readRBAC(name string, rules, shadow *rbacv3.RBAC, prefix string) (filter, error) {
	f := filter{name: name, action: rules.GetAction(), shadowAction: shadow.GetAction(), prefix: prefix}
	var err error
	if rules != nil {
		if f.rules, err = readTable(rules); err != nil {
			return f, err
		}
	}
	if shadow != nil {
		f.shadow, err = readTable(shadow)
	}
	return f, err
}

func readAuthorizer(name string, enabled *matcherv3.MetadataMatcher, failOpen bool, status int) (filter, error) {
	if enabled == nil || enabled.GetInvert() {
		return filter{}, fmt.Errorf("filter %s: asks whatever the rules say", name)
	}
	v, err := readValue(enabled.GetValue())
	return filter{name: name, authorizer: &authorizer{filter: enabled.GetFilter(), keys: pathOf(enabled), enabled: v, failOpen: failOpen, status: status}}, err
}

const (
	askPrefix    = "istio_ext_authz_"
	dryRunPrefix = "istio_dry_run_"
	customID     = "istio-ext-authz-"
)

// custom tells an RBAC filter of CUSTOM policies (EC-81, EC-81a): it writes for
// an authorizer, or denies in its place.
func (f *filter) custom() bool {
	if f.authorizer != nil {
		return false
	}
	if f.prefix == askPrefix {
		return true
	}
	for _, r := range f.rules {
		if !strings.HasPrefix(r.id, customID) {
			return false
		}
	}
	return f.prefix == "" && f.action == rbacv3.RBAC_DENY
}

// tables names the tables of a chain, so that they can be found on the other
// side.
func (c chain) tables() map[string]table {
	tables := map[string]table{}
	customs := 0
	for i := range c {
		f := &c[i]
		if f.custom() {
			put(tables, fmt.Sprintf("CUSTOM %d denies", customs), f.rules)
			put(tables, fmt.Sprintf("CUSTOM %d asks", customs), f.shadow)
			customs++
			continue
		}
		put(tables, f.action.String(), f.rules)
		put(tables, f.shadowAction.String()+dryRunSuffix, f.shadow)
	}
	return tables
}

const dryRunSuffix = " dry run"

func put(tables map[string]table, name string, t table) {
	if t == nil {
		return
	}
	if tables[name] == nil {
		tables[name] = table{} // there, though it may have no rules
	}
	tables[name] = append(tables[name], t...)
}
