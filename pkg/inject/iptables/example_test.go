package iptables_test

import (
	"fmt"

	"github.com/meshctl/meshctl/pkg/inject/iptables"
)

func ExampleConfig_Bypasses() {
	config, err := iptables.Parse([]string{"istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-b", "*", "-d", "7000"}, nil)
	if err != nil {
		panic(err)
	}
	for _, b := range config.Bypasses() {
		if b.Traffic == "port 7000" {
			fmt.Println(b.Direction, b.Traffic, "-", b.Why)
		}
	}
	// Output: inbound port 7000 - excluded (-d, traffic.sidecar.istio.io/excludeInboundPorts)
}
