package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshctl/meshctl/pkg/envoy"
)

// Describe says in words what a configuration enforces on what comes in, and how
// it calls others.
func Describe(d *envoy.Dump) []string {
	s := summarize(d, d.Clusters)
	lines := []string{}
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, port := range slices.Sorted(maps.Keys(s.modes)) {
		verb := map[mode]string{strict: "mTLS only", permissive: "mTLS and plaintext", disable: "plaintext only"}[s.modes[port]]
		if port == 0 {
			say("inbound ports without chains of their own take %s", verb)
		} else {
			say("inbound :%d takes %s", port, verb)
		}
	}
	if s.domains != nil {
		say("clients are of the trust domains %s", strings.Join(s.domains, ", "))
	}
	if s.paths != "" {
		say("paths are normalized by %s", s.paths)
	}
	for _, issuer := range slices.Sorted(maps.Keys(s.issuers)) {
		say("tokens of issuer %q are verified", issuer)
	}
	for _, tcp := range []bool{false, true} {
		if s.stages[ruleKey{tcp: tcp, action: "ALLOW"}] {
			say("%s is denied where no ALLOW rule matches", traffic(tcp))
		}
	}
	n := &narrator{}
	for _, key := range slices.SortedFunc(maps.Keys(s.rules), compareKeys) {
		say("%s on %s: %s", n.ruleName(key), traffic(key.tcp), ruleWords(s.rules[key]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.clients)) {
		say("%s is called by %s", clusterWords(name), s.clients[name])
	}
	return lines
}
