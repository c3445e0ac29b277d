package iptables

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Family is the protocol that rules are for.
type Family string

// The families; their rules are loaded by iptables-restore and
// ip6tables-restore.
const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// Rule is one rule at the end of a chain.
type Rule struct {
	Table, Chain string
	Match        string // everything after "-A CHAIN"
}

// RuleSet is what istio-init sets up, in order: the order is the meaning.
type RuleSet struct {
	Chains map[string][]string // new chains of each table
	Rules  []Rule
	// Routes are the commands that TPROXY needs besides (INJ-104).
	Routes []string
}

// builder collects rules.
type builder struct {
	Config
	set    RuleSet
	family Family
}

func (b *builder) chain(table, name string) {
	if !slices.Contains(b.set.Chains[table], name) {
		b.set.Chains[table] = append(b.set.Chains[table], name)
	}
}

func (b *builder) add(table, chain, format string, args ...any) {
	b.set.Rules = append(b.set.Rules, Rule{table, chain, fmt.Sprintf(format, args...)})
}

// Rules are the rules that the configuration means (INJ-102..INJ-104).
func (c Config) Rules(family Family) RuleSet {
	b := &builder{Config: c, family: family, set: RuleSet{Chains: map[string][]string{}}}
	if c.Mode == None {
		return b.set
	}
	for _, device := range c.ExcludeInterfaces {
		b.add("nat", "PREROUTING", "-i %s -j RETURN", device)
		b.add("nat", "OUTPUT", "-o %s -j RETURN", device)
	}
	b.chain("nat", "ISTIO_INBOUND")
	b.chain("nat", "ISTIO_REDIRECT")
	b.chain("nat", "ISTIO_IN_REDIRECT")
	b.chain("nat", "ISTIO_OUTPUT")
	b.add("nat", "ISTIO_INBOUND", "-p tcp --dport %s -j RETURN", tunnelPort)
	b.add("nat", "ISTIO_REDIRECT", "-p tcp -j REDIRECT --to-ports %s", c.OutboundPort)
	b.add("nat", "ISTIO_IN_REDIRECT", "-p tcp -j REDIRECT --to-ports %s", c.InboundPort)
	b.inbound()
	b.outbound()
	if c.DNS {
		b.dnsZones()
	}
	if c.DropInvalid {
		b.chain("mangle", "ISTIO_DROP")
		b.add("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j ISTIO_DROP")
		b.add("mangle", "ISTIO_DROP", "-j DROP")
	}
	return b.set
}

// inbound captures what reaches the pod.
func (b *builder) inbound() {
	if len(b.IncludeInPorts) == 0 {
		return
	}
	table, target := "nat", "ISTIO_IN_REDIRECT"
	if b.Mode == TProxy {
		table, target = "mangle", "ISTIO_TPROXY"
		b.tproxy()
	}
	b.add(table, "PREROUTING", "-p tcp -j ISTIO_INBOUND")
	if !slices.Contains(b.IncludeInPorts, "*") {
		for _, p := range b.IncludeInPorts {
			b.inboundPort(table, target, "-p tcp --dport "+p)
		}
		return
	}
	// The way out to a terminal must stay open.
	for _, p := range b.ExcludeInPorts {
		b.add(table, "ISTIO_INBOUND", "-p tcp --dport %s -j RETURN", p)
	}
	b.inboundPort(table, target, "-p tcp")
}

func (b *builder) inboundPort(table, target, match string) {
	if b.Mode == TProxy {
		b.add(table, "ISTIO_INBOUND", "%s -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT", match)
	}
	b.add(table, "ISTIO_INBOUND", "%s -j %s", match, target)
}

// tproxy hands connections to the proxy with their addresses as they are, by
// mark and routing table (INJ-104).
func (b *builder) tproxy() {
	const mark, outMark, routes = "1337", "1338", "133"
	loopback := b.loopback()
	b.chain("mangle", "ISTIO_INBOUND")
	b.chain("mangle", "ISTIO_DIVERT")
	b.chain("mangle", "ISTIO_TPROXY")
	b.add("mangle", "ISTIO_DIVERT", "-j MARK --set-mark %s", mark)
	b.add("mangle", "ISTIO_DIVERT", "-j ACCEPT")
	b.add("mangle", "ISTIO_TPROXY", "! -d %s -p tcp -j TPROXY --tproxy-mark %s/0xffffffff --on-port %s", loopback, mark, b.InboundPort)
	b.add("mangle", "PREROUTING", "-p tcp -m mark --mark %s -j CONNMARK --save-mark", mark)
	b.add("mangle", "OUTPUT", "-p tcp -o lo -m mark --mark %s -j RETURN", mark)
	b.add("mangle", "OUTPUT", "! -d %s -p tcp -o lo -m owner --uid-owner %s -j MARK --set-mark %s", loopback, b.UID, outMark)
	b.add("mangle", "OUTPUT", "! -d %s -p tcp -o lo -m owner --gid-owner %s -j MARK --set-mark %s", loopback, b.GID, outMark)
	b.add("mangle", "OUTPUT", "-p tcp -m connmark --mark %s -j CONNMARK --restore-mark", mark)
	b.add("mangle", "ISTIO_INBOUND", "-p tcp -m mark --mark %s -j RETURN", mark)
	b.add("mangle", "ISTIO_INBOUND", "-p tcp -s %s -i lo -j RETURN", b.passthrough())
	b.add("mangle", "ISTIO_INBOUND", "-p tcp -i lo -m mark ! --mark %s -j RETURN", outMark)
	ip, local := "ip", "0.0.0.0/0"
	if b.family == IPv6 {
		ip, local = "ip -6", "::/0"
	}
	b.set.Routes = []string{
		fmt.Sprintf("%s rule add fwmark %s lookup %s", ip, mark, routes),
		fmt.Sprintf("%s route add local %s dev lo table %s", ip, local, routes),
	}
}

// loopback is what of the pod's own addresses is never captured.
func (b *builder) loopback() string {
	if b.family == IPv6 {
		return "::1/128"
	}
	return b.LoopbackCIDR
}

// passthrough is the source of what the proxy hands on to the application.
func (b *builder) passthrough() string {
	if b.family == IPv6 {
		return "::6/128"
	}
	return "127.0.0.6/32"
}

// outbound captures what the pod sends (INJ-102).
func (b *builder) outbound() {
	b.add("nat", "OUTPUT", "-j ISTIO_OUTPUT")
	for _, p := range b.ExcludeOutPorts {
		b.add("nat", "ISTIO_OUTPUT", "-p tcp --dport %s -j RETURN", p)
		b.add("nat", "ISTIO_OUTPUT", "-p udp --dport %s -j RETURN", p)
	}
	b.add("nat", "ISTIO_OUTPUT", "-o lo -s %s -j RETURN", b.passthrough())
	for _, uid := range split(b.UID) {
		b.owner("uid", uid)
	}
	for _, gid := range split(b.GID) {
		b.owner("gid", gid)
	}
	b.ownerGroups()
	if b.DNS {
		b.dns()
	}
	b.add("nat", "ISTIO_OUTPUT", "-d %s -j RETURN", b.loopback())
	for _, c := range b.ofFamily(b.ExcludeCIDRs) {
		b.add("nat", "ISTIO_OUTPUT", "-d %s -j RETURN", c)
	}
	for _, device := range b.VirtualInterfaces {
		b.add("nat", "PREROUTING", "-i %s -j RETURN", device)
	}
	for _, p := range b.IncludeOutPorts {
		b.add("nat", "ISTIO_OUTPUT", "-p tcp --dport %s -j ISTIO_REDIRECT", p)
	}
	switch {
	case slices.Contains(b.IncludeCIDRs, "*"):
		b.add("nat", "ISTIO_OUTPUT", "-j ISTIO_REDIRECT")
		for _, device := range b.VirtualInterfaces {
			b.insertFirst("nat", "PREROUTING", fmt.Sprintf("-i %s -j ISTIO_REDIRECT", device))
		}
	default:
		for _, c := range b.ofFamily(b.IncludeCIDRs) {
			for _, device := range b.VirtualInterfaces {
				b.insertFirst("nat", "PREROUTING", fmt.Sprintf("-i %s -d %s -j ISTIO_REDIRECT", device, c))
			}
			b.add("nat", "ISTIO_OUTPUT", "-d %s -j ISTIO_REDIRECT", c)
		}
	}
}

// insertFirst puts a rule before all others of its chain.
func (b *builder) insertFirst(table, chain, match string) {
	b.set.Rules = append([]Rule{{table, chain, match}}, b.set.Rules...)
}

// owner leaves the proxy's own traffic alone, but for what the application
// sends to itself through its service address.
func (b *builder) owner(kind, id string) {
	tunnel := "! --dport " + tunnelPort
	if b.DNS {
		tunnel = "-m multiport ! --dports 53," + tunnelPort
	}
	b.add("nat", "ISTIO_OUTPUT", "-o lo ! -d %s -p tcp %s -m owner --%s-owner %s -j ISTIO_IN_REDIRECT", b.loopback(), tunnel, kind, id)
	if b.DNS {
		b.add("nat", "ISTIO_OUTPUT", "-o lo -p tcp ! --dport 53 -m owner ! --%s-owner %s -j RETURN", kind, id)
	} else {
		b.add("nat", "ISTIO_OUTPUT", "-o lo -m owner ! --%s-owner %s -j RETURN", kind, id)
	}
	b.add("nat", "ISTIO_OUTPUT", "-m owner --%s-owner %s -j RETURN", kind, id)
}

// ownerGroups narrows capture to the traffic of some groups (INJ-103).
func (b *builder) ownerGroups() {
	if len(b.OwnerGroups) > 0 {
		var match strings.Builder
		for _, group := range b.OwnerGroups {
			fmt.Fprintf(&match, "-m owner ! --gid-owner %s ", group)
		}
		b.add("nat", "ISTIO_OUTPUT", "%s-j RETURN", match.String())
		return
	}
	for _, group := range b.NoOwnerGroups {
		b.add("nat", "ISTIO_OUTPUT", "-m owner --gid-owner %s -j RETURN", group)
	}
}

// dns sends name lookups to the agent (INJ-103).
func (b *builder) dns() {
	const agent = "15053"
	for _, server := range b.dnsServers() {
		b.add("nat", "ISTIO_OUTPUT", "-p tcp --dport 53%s -j REDIRECT --to-ports %s", server, agent)
	}
	for _, owner := range b.owners() {
		b.add("nat", "OUTPUT", "-p udp --dport 53 %s -j RETURN", owner)
	}
	for _, server := range b.dnsServers() {
		b.add("nat", "OUTPUT", "-p udp --dport 53%s -j REDIRECT --to-port %s", server, agent)
	}
}

// dnsZones keeps the agent's own lookups apart from the application's in
// connection tracking.
func (b *builder) dnsZones() {
	for _, owner := range b.owners() {
		b.add("raw", "OUTPUT", "-p udp --dport 53 %s -j CT --zone 1", owner)
		b.add("raw", "OUTPUT", "-p udp --sport 15053 %s -j CT --zone 2", owner)
	}
	for _, server := range b.dnsServers() {
		b.add("raw", "OUTPUT", "-p udp --dport 53%s -j CT --zone 2", server)
	}
	for _, server := range b.dnsServers() {
		b.add("raw", "PREROUTING", "-p udp --sport 53%s -j CT --zone 1", strings.Replace(server, "-d ", "-s ", 1))
	}
}

// owners match the proxy's own traffic.
func (b *builder) owners() []string {
	var all []string
	for _, uid := range split(b.UID) {
		all = append(all, "-m owner --uid-owner "+uid)
	}
	for _, gid := range split(b.GID) {
		all = append(all, "-m owner --gid-owner "+gid)
	}
	return all
}

// dnsServers match each server, or any.
func (b *builder) dnsServers() []string {
	if len(b.DNSServers) == 0 {
		return []string{""}
	}
	var all []string
	for _, server := range b.DNSServers {
		if a, err := netip.ParseAddr(server); err == nil && a.Is4() == (b.family == IPv4) {
			all = append(all, fmt.Sprintf(" -d %s/%d", server, a.BitLen()))
		}
	}
	return all
}

// ofFamily keeps the prefixes of the rules' own family.
func (b *builder) ofFamily(cidrs []string) []string {
	var own []string
	for _, c := range cidrs {
		if p, err := netip.ParsePrefix(c); err == nil && p.Addr().Is4() == (b.family == IPv4) {
			own = append(own, c)
		}
	}
	return own
}

// Write prints the rules for iptables-restore, TPROXY's routing commands as
// comments before them.
func Write(w io.Writer, set RuleSet) error {
	var out strings.Builder
	for _, command := range set.Routes {
		fmt.Fprintf(&out, "# also: %s\n", command)
	}
	for _, table := range []string{"raw", "mangle", "nat"} {
		body := ""
		for _, r := range set.Rules {
			if r.Table == table {
				body += "-A " + r.Chain + " " + r.Match + "\n"
			}
		}
		if body == "" {
			continue
		}
		fmt.Fprintf(&out, "*%s\n", table)
		for _, chain := range set.Chains[table] {
			fmt.Fprintf(&out, "-N %s\n", chain)
		}
		out.WriteString(body + "COMMIT\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}
