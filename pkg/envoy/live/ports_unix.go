//go:build unix

package live

import (
	"os"
	"strconv"
	"strings"
)

// firstFreePort is the first that this user may listen on.
func firstFreePort() uint32 {
	const usual = 1024
	if os.Geteuid() == 0 {
		return 0
	}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return usual
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return usual
	}
	return uint32(n)
}
