package diff

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tagger tags the changes of one workload.
type tagger struct {
	before, after *summary // nil if the side does not have the workload
}

// tags are those of a change, each once.
func (t *tagger) tags(c *Change) []Tag {
	inbound := !strings.HasPrefix(c.Key[0], "outbound") && strings.Contains(c.Key[0], "listener") || strings.HasPrefix(c.Key[0], "extension ")
	switch {
	case t.before == nil:
		return []Tag{Routing} // a workload that was not there
	case c.matches == equal:
		return []Tag{Cosmetic}
	case c.Op == Renamed:
		return []Tag{renameTag(c, inbound)}
	}
	if t.after == nil {
		if inbound {
			return []Tag{Looser}
		}
		return []Tag{Routing}
	}
	var all []Tag
	switch c.Kind {
	case "JWT provider":
		if worded(c) {
			for _, p := range t.after.providerChanges(t.before.providers[c.issuer()], t.after.providers[c.issuer()]) {
				all = append(all, p.tag)
			}
		}
	case bypassKind:
		all = []Tag{upIf(c.Fields[0].After == passesWords)}
	case "rule", "shadow rule":
		all = ruleTags(c)
	case "chain":
		if inbound && c.Op != Changed {
			all = t.chainTags(c)
		}
	case "secret":
		if all = []Tag{Looser}; c.Op == Changed && slices.ContainsFunc(c.Fields, func(f Field) bool { return strings.Contains(f.Before+f.After, "spiffe://") }) {
			all = []Tag{Cosmetic} // a certificate that was rotated
		}
	}
	if c.Kind == "listener filter" && strings.HasSuffix(c.Key[len(c.Key)-1], "_inspector") {
		all = t.inspectorTags()
	}
	if all == nil && c.Op != Changed {
		all = []Tag{t.partTag(c, inbound)}
		if c.Kind == "filter" && strings.HasSuffix(c.Key[len(c.Key)-1], ".jwt_authn") && t.after.tokensLetIn() {
			all = []Tag{Looser, Tighter}
		}
	}
	if all == nil {
		for _, f := range c.Fields {
			if tag, ok := t.clientTag(c, f.Path); ok {
				all = append(all, tag)
				continue
			}
			all = append(all, fieldTag(c, f, inbound))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// upIf is tighter where something was taken away or added that lets less in.
func upIf(tighter bool) Tag {
	if tighter {
		return Tighter
	}
	return Looser
}

// partTag is the tag of a part that is new or gone.
func (t *tagger) partTag(c *Change, inbound bool) Tag {
	own := c.Key[len(c.Key)-1]
	added := c.Op == Added
	switch c.Kind {
	case "JWT provider":
		return upIf(!added)
	case "filter":
		return t.filterTag(c, own, inbound)
	case "transport socket":
		if tag, ok := t.clientTag(c, ""); ok {
			return tag
		}
		tls := slices.ContainsFunc(c.Fields, func(f Field) bool { return strings.HasSuffix(f.Before+f.After, "UpstreamTlsContext") })
		return upIf(tls == added)
	}
	if inbound {
		return Looser
	}
	return Routing
}

func (t *tagger) filterTag(c *Change, own string, inbound bool) Tag {
	name, action, _ := strings.Cut(strings.TrimPrefix(own, "filter "), " ")
	action, _, _ = strings.Cut(action, " ")
	added := c.Op == Added
	switch {
	case name == "istio.stats" || name == "istio.metadata_exchange" || action == "LOG" || strings.HasSuffix(name, ".grpc_stats"):
		return Cosmetic
	case action != "":
		if !decides(c, action) {
			return Cosmetic
		}
		return upIf(added)
	case strings.HasSuffix(name, ".ext_authz"):
		return upIf(added)
	case strings.HasSuffix(name, ".jwt_authn"):
		return upIf(added)
	case !inbound && slices.Contains([]string{"envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.router", "envoy.filters.network.tcp_proxy"}, name):
		return Routing
	}
	return Looser
}

// decides tells whether an RBAC filter that came or went does anything but show
// what it would do: without rules, only ALLOW does.
func decides(c *Change, action string) bool {
	part := map[string]string{"ALLOW": "typedConfig.rules", "DENY": "rule ", "CUSTOM": "shadow rule "}[action]
	return slices.ContainsFunc(c.Fields, func(f Field) bool { return strings.HasPrefix(f.Path, part) })
}

// clientTag is that of how a cluster is called, where that changes as a whole;
// path is a field, "" for a part.
func (t *tagger) clientTag(c *Change, path string) (Tag, bool) {
	name, ok := strings.CutPrefix(c.Key[0], "cluster ")
	old, now := t.before.clients[name], t.after.clients[name]
	if !ok || old == "" || now == "" || old == now || c.Kind != "transport socket" && !strings.HasPrefix(path, "transportSocket") {
		return "", false
	}
	return callTag(old, now), true
}

// callTag compares two ways to call others.
func callTag(old, now string) Tag {
	ranks := []string{"plaintext", "mTLS where the endpoint has it", "TLS", "mTLS"}
	return upIf(slices.Index(ranks, now) > slices.Index(ranks, old))
}

// chainTags compare what the port takes. A chain that comes or goes under the same
// mode changes what requests are seen as.
func (t *tagger) chainTags(c *Change) []Tag {
	port, ok := chainPort(c.Key[len(c.Key)-1])
	if !ok {
		return []Tag{Looser}
	}
	if port == 0 {
		port = cmp.Or(t.after.own[c.Key[0]], t.before.own[c.Key[0]])
	}
	c.unlike = !maps.Equal(t.before.filtersOf(port), t.after.filtersOf(port)) || t.readOtherwise(port)
	tags := t.before.mode(port).to(t.after.mode(port))
	if c.unlike || tags == nil || kindWords(t.before.kindsOf(port)) != kindWords(t.after.kindsOf(port)) {
		tags = append(tags, Looser)
	}
	return tags
}

// readOtherwise tells whether what a port takes is read by other options.
func (t *tagger) readOtherwise(port uint32) bool {
	_, had := t.before.modes[port]
	_, has := t.after.modes[port]
	old, was := t.before.kinds[port]["HTTP"]
	now, is := t.after.kinds[port]["HTTP"]
	return had && has && was && is && old != now
}

// inspectorTags are those of what looks at the first bytes: it comes and goes with
// the modes of ports.
func (t *tagger) inspectorTags() []Tag {
	if t.after.blind {
		return []Tag{Looser}
	}
	var all []Tag
	for _, port := range ports(t.before, t.after) {
		all = append(all, t.before.mode(port).to(t.after.mode(port))...)
	}
	switch {
	case all != nil:
		return all
	case t.before.blind:
		return []Tag{Looser}
	}
	return []Tag{Cosmetic} // chains decide, and they have what they need
}

// chainPort is the port in a chain's key; 0 is all others.
func chainPort(key string) (uint32, bool) {
	text, found := strings.CutPrefix(key, "chain :")
	text, _, _ = strings.Cut(text, " ")
	if text == "*" {
		return 0, found
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// ruleTags are those of a rule of an RBAC filter.
func ruleTags(c *Change) []Tag {
	action := "ALLOW"
	if len(c.Key) > 1 {
		action = filterAction(c.Key[len(c.Key)-2])
	}
	if action == "LOG" || c.Kind == "shadow rule" && action != "CUSTOM" {
		return []Tag{Cosmetic}
	}
	restricts := action != "ALLOW"
	if c.whole && action == "ALLOW" {
		return []Tag{upIf(c.Op == Added)}
	}
	if c.matches == narrower || c.matches == wider {
		return []Tag{upIf((c.matches == wider) == restricts)}
	}
	if c.Op != Changed {
		return []Tag{upIf((c.Op == Added) == restricts)}
	}
	var all []Tag
	for _, f := range c.Fields {
		if f.Path != "what" && f.Path != "who" {
			return []Tag{Looser}
		}
		old, now := strings.Split(f.Before, "\n"), strings.Split(f.After, "\n")
		gained, lost := len(common(now, old)) < len(now), len(common(old, now)) < len(old)
		if gained {
			all = append(all, upIf(restricts))
		}
		if lost {
			all = append(all, upIf(!restricts))
		}
	}
	return all
}

// cosmetic fields decide nothing.
func cosmetic(c *Change, path string) bool {
	if c.Kind == "chain" && path == "name" {
		return true
	}
	for _, name := range []string{
		"statPrefix", "altStatName", "operation", "shadowRulesStatPrefix", "maxConnectionsToAcceptPerSocketEvent", "transportSocketConnectTimeout", "emitFilterState",
	} {
		if strings.HasSuffix(path, "."+name) || path == name {
			return true
		}
	}
	for _, part := range []string{"tracing", "accessLog", "trackClusterStats", "requestIdExtension", "metadata.filterMetadata[istio]", "serverName"} {
		if strings.HasPrefix(strings.TrimPrefix(path, "typedConfig."), part) {
			return true
		}
	}
	return false
}

// fieldTag is the tag of a field that has another value.
func fieldTag(c *Change, f Field, inbound bool) Tag {
	name := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
	switch {
	case cosmetic(c, f.Path):
		return Cosmetic
	case (c.Kind == "filter" || c.Kind == "extension") && slices.Contains(stageFields(), f.Path):
		return stageTag(c, f)
	case name == "normalizePath" || name == "mergeSlashes" || name == "requireClientCertificate":
		return upIf(f.After == "true")
	case name == "pathWithEscapedSlashesAction":
		return upIf(f.After == "UNESCAPE_AND_FORWARD" || f.After == "REJECT_REQUEST")
	case name == "matchSubjectAltNames" || name == "matchTypedSubjectAltNames" || name == "audiences":
		return setTag(f)
	case strings.Contains(f.Path, "envoy.transport_socket_match"):
		return upIf(f.After != "")
	case strings.HasPrefix(f.Path, "transportSocket."):
		return socketTag(f, name, inbound)
	case strings.HasPrefix(f.Path, "route.retryPolicy."), f.Path == "typedConfig.http2ProtocolOptions" && strings.Trim(f.Before+f.After, "{}") == "":
		return Routing
	case strings.Contains(f.Path, "typedPerFilterConfig"):
		return Looser
	case inbound:
		return Looser
	}
	return Routing
}

// stageFields are those of the stages of an RBAC filter. The action is in the
// filter's key.
func stageFields() []string {
	return []string{"typedConfig.rules", "typedConfig.shadowRules", "typedConfig.rules.action", "typedConfig.shadowRules.action"}
}

// stageTag is that of the stage of an RBAC filter that comes or goes; its rules
// are told by themselves.
func stageTag(c *Change, f Field) Tag {
	if filterAction(c.Key[len(c.Key)-1]) == "ALLOW" && f.Path == "typedConfig.rules" {
		return upIf(f.After != "")
	}
	return Cosmetic
}

func socketTag(f Field, name string, inbound bool) Tag {
	switch {
	case name == "@type" && (f.Before == "" || strings.HasSuffix(f.Before, "RawBuffer")):
		return Tighter
	case name == "alpnProtocols", name == "sni":
		if !inbound {
			return Routing
		}
	}
	return upIf(f.Before == "")
}

// setTag is for sets of what is accepted; an empty one accepts all.
func setTag(f Field) Tag {
	old, now := elements(f.Before), elements(f.After)
	switch {
	case len(now) == 0:
		return Looser
	case len(old) == 0:
		return Tighter
	}
	return upIf(len(common(now, old)) == len(now))
}

func elements(list string) []string {
	var raw []json.RawMessage
	if json.Unmarshal([]byte(list), &raw) != nil {
		return nil
	}
	var all []string
	for _, r := range raw {
		all = append(all, string(r))
	}
	return all
}
