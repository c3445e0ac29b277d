// Package iptables tells what the arguments of istio-init mean: the packet
// filter rules that they set up, in iptables-restore's format, and the traffic
// that stays out of the mesh because of them.
//
//	config, err := iptables.Parse(container.Args, nil)
//	err = iptables.Write(os.Stdout, config.Rules(iptables.IPv4))
package iptables
