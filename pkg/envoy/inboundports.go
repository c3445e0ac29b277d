package envoy

// InboundPorts are those that the sidecar has chains of its own for, sorted
// (EC-31).
func (c *Config) InboundPorts() []uint32 {
	for _, l := range c.Listeners {
		if l.Name == virtualInbound {
			return declaredPorts(l)
		}
	}
	return nil
}

// ListensForAll tells whether the sidecar has a listener for what goes to a port
// of any address, which tells requests apart by their host (EC-102).
func (c *Config) ListensForAll(port uint32) bool {
	for _, l := range c.Listeners {
		at := l.GetAddress().GetSocketAddress()
		if isOutbound(l) && at.GetAddress() == anyAddress && at.GetPortValue() == port {
			return true
		}
	}
	return false
}
