package live

import (
	"net"
	"net/netip"
	"sync"
)

// anyLoopback is a free port.
const anyLoopback = "127.0.0.1:0"

// server takes connections, each on its own.
type server struct {
	listener net.Listener
	handle   func(net.Conn) error
	done     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once it is closed
}

func serve(address string, handle func(net.Conn) error) (*server, error) {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, handle: handle, conns: map[net.Conn]bool{}}
	s.done.Go(s.accept)
	return s, nil
}

func (s *server) address() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort() // of a TCP listener
}

// close ends all connections.
func (s *server) close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close() // whatever is left of it
	}
	s.conns = nil
	s.mu.Unlock()
	s.done.Wait()
	return err
}

func (s *server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		if !s.add(c) {
			return
		}
		s.done.Go(func() {
			defer s.remove(c)
			_ = s.handle(c) // how it ends is the client's own business
		})
	}
}

func (s *server) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		_ = c.Close() // too late
		return false
	}
	s.conns[c] = true
	return true
}

func (s *server) remove(c net.Conn) {
	_ = c.Close() // it is served
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
