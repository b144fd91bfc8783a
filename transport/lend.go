package transport

import "net/netip"

// NewQuery makes a query for a transport that takes messages to local, one of s's addresses, by a way of its own (AF_XDP).
// Whoever answers it may detach it as if it had come in by s's UDP socket: that sends the answers, and s waits for them when
// it shuts down. It is nil for an address that s does not listen on.
func (s *Server) NewQuery(local netip.AddrPort) *Query {
	for i, a := range s.addrs {
		if a != local {
			continue
		}
		if from, ok := s.loops[i*s.cfg.Threads].sock.(source); ok {
			return &Query{Local: local, Proto: UDP, from: from}
		}
	}
	return nil
}
