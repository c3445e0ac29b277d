package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
)

// Addresses of a block: 250 times 250, so that none looks like a broadcast.
const (
	hosts        = 250
	maxAddresses = hosts * hosts
)

// block is a range of loopback addresses, 127.N.0.0/16, that this process has for
// itself: several may run on one machine. The listener that proves it is closed
// with it.
type block struct {
	second byte
	proof  net.Listener
	taken  int
}

// claim finds a free block. Its first address stays the block's own.
func claim() (*block, error) {
	const first, last, attempts = 64, 250, 100
	for range attempts {
		b := &block{second: byte(first + rand.IntN(last-first)), taken: 1} //nolint:gosec // any will do
		var err error
		if b.proof, err = listenAt(b.address(0)); err != nil {
			continue
		}
		// A run that was killed may have left an Envoy behind, which is where the
		// first workload would be.
		left, err := listenAt(b.address(1))
		if err == nil {
			return b, left.Close()
		}
		if err := b.proof.Close(); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("no free range of loopback addresses: 127.0.0.0/8 must lead to this machine, as it does on Linux")
}

func listenAt(a netip.Addr) (net.Listener, error) {
	return net.Listen("tcp4", net.JoinHostPort(a.String(), strconv.Itoa(inboundPort)))
}

// address is the n-th of the block.
func (b *block) address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, b.second, byte(n / hosts), byte(1 + n%hosts)}) //nolint:gosec // a byte
}

// next hands out addresses.
func (b *block) next() (netip.Addr, error) {
	if b.taken == maxAddresses {
		return netip.Addr{}, fmt.Errorf("more than %d addresses are needed: run fewer workloads at once", maxAddresses)
	}
	b.taken++
	return b.address(b.taken - 1), nil
}
