package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Mode is how inbound traffic reaches the proxy (INJ-104).
type Mode string

// The interception modes.
const (
	Redirect Mode = "REDIRECT"
	TProxy   Mode = "TPROXY"
	None     Mode = "NONE"
)

// Config is what the arguments of istio-init say (INJ-100, INJ-101).
type Config struct {
	OutboundPort string // -p: where outbound TCP goes
	InboundPort  string // -z: where inbound TCP goes
	UID, GID     string // -u, -g: whose traffic is not captured
	Mode         Mode   // -m

	IncludeCIDRs []string // -i: outbound destinations to capture; "*" is all, none is nothing
	ExcludeCIDRs []string // -x: outbound destinations to leave alone

	IncludeInPorts  []string // -b: inbound ports to capture; "*" is all
	ExcludeInPorts  []string // -d: inbound ports to leave alone, with -b "*"
	IncludeOutPorts []string // -q: outbound ports to capture whatever their destination
	ExcludeOutPorts []string // -o: outbound ports to leave alone

	VirtualInterfaces []string // -k: interfaces whose inbound traffic is outbound (virtual machines)
	ExcludeInterfaces []string // -c: interfaces to leave alone

	// These come by the container's environment (INJ-103).
	DNS           bool     // capture DNS
	DNSServers    []string // capture only DNS to these; none is any
	DropInvalid   bool     // drop what connection tracking calls invalid
	DualStack     bool     // IPv6 rules too
	OwnerGroups   []string // capture only traffic of these groups; none is all
	NoOwnerGroups []string // and not of these
	LoopbackCIDR  string   // what of loopback is left alone

	// Validates tells that the rules are only checked, and set up by the CNI
	// agent (INJ-105).
	Validates bool
}

// tunnelPort carries traffic between proxies, which is not captured again.
const tunnelPort = "15008"

// setting is where a flag's value goes.
type setting func(c *Config, value string) error

// flags are istio-init's own, short and long.
func flags() map[string]setting {
	text := func(field func(*Config) *string, check func(string) error) setting {
		return func(c *Config, v string) error {
			*field(c) = v
			return check(v)
		}
	}
	list := func(field func(*Config) *[]string, check func(string) error) setting {
		return func(c *Config, v string) error {
			*field(c) = split(v)
			for _, item := range *field(c) {
				if err := check(item); err != nil {
					return err
				}
			}
			return nil
		}
	}
	f := map[string]setting{
		"-p": text(func(c *Config) *string { return &c.OutboundPort }, port),
		"-z": text(func(c *Config) *string { return &c.InboundPort }, port),
		"-u": text(func(c *Config) *string { return &c.UID }, ids),
		"-g": text(func(c *Config) *string { return &c.GID }, ids),
		"-i": list(func(c *Config) *[]string { return &c.IncludeCIDRs }, cidrOrAll),
		"-x": list(func(c *Config) *[]string { return &c.ExcludeCIDRs }, cidr),
		"-b": list(func(c *Config) *[]string { return &c.IncludeInPorts }, portOrAll),
		"-d": list(func(c *Config) *[]string { return &c.ExcludeInPorts }, port),
		"-q": list(func(c *Config) *[]string { return &c.IncludeOutPorts }, port),
		"-o": list(func(c *Config) *[]string { return &c.ExcludeOutPorts }, port),
		"-k": list(func(c *Config) *[]string { return &c.VirtualInterfaces }, device),
		"-c": list(func(c *Config) *[]string { return &c.ExcludeInterfaces }, device),
		"-m": func(c *Config, v string) error {
			c.Mode = Mode(v)
			if c.Mode != Redirect && c.Mode != TProxy && c.Mode != None {
				return fmt.Errorf("expected REDIRECT, TPROXY or NONE")
			}
			return nil
		},
	}
	for long, short := range map[string]string{
		"--envoy-port": "-p", "--inbound-capture-port": "-z", "--proxy-uid": "-u", "--proxy-gid": "-g",
		"--istio-inbound-interception-mode": "-m", "--istio-service-cidr": "-i", "--istio-service-exclude-cidr": "-x",
		"--istio-inbound-ports": "-b", "--istio-local-exclude-ports": "-d", "--istio-outbound-ports": "-q",
		"--istio-local-outbound-ports-exclude": "-o", "--kube-virt-interfaces": "-k", "--istio-exclude-interfaces": "-c",
	} {
		f[long] = f[short]
	}
	return f
}

// Parse reads the arguments of an istio-init or istio-validation container,
// with or without the leading "istio-iptables", and its environment.
func Parse(args []string, env map[string]string) (Config, error) {
	c := Config{OutboundPort: "15001", InboundPort: "15006", UID: "1337", Mode: Redirect, LoopbackCIDR: "127.0.0.1/32"}
	known := flags()
	if len(args) > 0 && args[0] == "istio-iptables" {
		args = args[1:]
	}
	for i := 0; i < len(args); i++ {
		name, value, inline := strings.Cut(args[i], "=")
		set, ok := known[name]
		switch {
		case name == "--run-validation":
			c.Validates = true
			continue
		case !ok && strings.HasPrefix(name, "-"):
			continue // logging, and how rules are applied: not what they are
		case !ok:
			return c, fmt.Errorf("argument %q: expected a flag of istio-iptables", args[i])
		case !inline:
			if i++; i == len(args) {
				return c, fmt.Errorf("flag %s: value missing", name)
			}
			value = args[i]
		}
		if err := set(&c, value); err != nil {
			return c, fmt.Errorf("flag %s: value %q: %w", name, value, err)
		}
	}
	if c.Mode == TProxy {
		c.UID = "1337" // the proxy is root then, and known by its group
	}
	if c.GID == "" {
		c.GID = c.UID
	}
	return c, c.readEnv(env)
}

func (c *Config) readEnv(env map[string]string) error {
	c.DNS = env["REDIRECT_DNS"] == "true" || env["ISTIO_META_DNS_CAPTURE"] == "true"
	c.DropInvalid = env["INVALID_DROP"] == "true"
	c.DualStack = env["ISTIO_DUAL_STACK"] == "true"
	if groups := env["ISTIO_OUTBOUND_OWNER_GROUPS"]; groups != "*" {
		c.OwnerGroups = split(groups)
	}
	c.NoOwnerGroups = split(env["ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"])
	for _, group := range slices.Concat(c.OwnerGroups, c.NoOwnerGroups) {
		if err := word(group); err != nil {
			return fmt.Errorf("owner group %q: %w", group, err)
		}
	}
	if loopback := env["ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"]; loopback != "" {
		c.LoopbackCIDR = loopback
		if err := cidr(loopback); err != nil {
			return fmt.Errorf("environment variable ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: %q: %w", loopback, err)
		}
	}
	return nil
}

func split(v string) []string {
	var items []string
	for _, item := range strings.Split(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func port(v string) error {
	if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("expected a port, 1 to 65535")
	}
	return nil
}

func portOrAll(v string) error {
	if v == "*" {
		return nil
	}
	return port(v)
}

func cidr(v string) error {
	if _, err := netip.ParsePrefix(v); err != nil {
		return fmt.Errorf("expected a CIDR such as 10.0.0.0/8")
	}
	return nil
}

func cidrOrAll(v string) error {
	if v == "*" {
		return nil
	}
	return cidr(v)
}

func ids(v string) error {
	for _, id := range split(v) {
		if _, err := strconv.ParseUint(id, 10, 32); err != nil {
			return fmt.Errorf("expected a numeric ID")
		}
	}
	return nil
}

func device(v string) error {
	if len(v) > 15 {
		return errors.New("expected an interface name of at most 15 characters")
	}
	return word(v)
}

// word keeps what goes into a rule to one harmless word.
func word(v string) error {
	const legal = "_-.+@:0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if strings.Trim(v, legal) != "" {
		return errors.New("expected only letters, digits and the marks _-.+@: in it")
	}
	return nil
}
