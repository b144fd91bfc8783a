package transport

import "sync/atomic"

// Counts is what was done with messages of one kind of transport, or by one loop, since the server was made.
type Counts struct {
	Queries    uint64 // handed to a Worker
	Answers    uint64 // messages sent back
	BytesIn    uint64 // of queries handed to a Worker, without TCP's length field
	BytesOut   uint64 // of answers sent
	Short      uint64 // dropped: shorter than a header; over TCP also connections closed for an impossible length
	Responses  uint64 // dropped: QR set, so not a query
	PortZero   uint64 // dropped: source port 0 cannot be answered
	Oversize   uint64 // dropped: query or answer larger than what the transport carries
	Panics     uint64 // dropped: the Worker panicked
	SendErrors uint64 // answers that the system refused to send
	Shed       uint64 // UDP: dropped by triage after it was received
	Unproxied  uint64 // dropped, or connection closed: from a proxy, without a PROXY header that makes sense
}

// Stats is the sum over all loops and connections, read while they run: each number is right, but not all at one instant.
type Stats struct {
	UDP, TCP, TLS   Counts
	Loops           []Counts // one for each UDP loop, address by address, thread by thread; without detached answers
	KernelDrops     uint64   // UDP packets that found a receive buffer full (Linux)
	Pressed         uint64   // UDP sockets that triage holds the door of now; the kernel drops what it turns away
	Known           uint64   // sources that pass there before others, summed over those sockets
	Conns, TLSConns ConnStats
}

// ConnStats is what became of TCP connections, or of TLS connections.
type ConnStats struct {
	Open     uint64 // now
	Accepted uint64
	Refused  uint64 // closed at once: limits reached and no idle connection to give way
	Evicted  uint64 // idle, closed to make room
	Idle     uint64 // closed after the idle time-out
	Stalled  uint64 // closed in the middle of a message, or while not reading its answers

	Handshakes  uint64 // completed, of TLS
	Resumed     uint64 // of them, with a session ticket
	Unencrypted uint64 // closed without a completed handshake
}

// The counters, in the order of the fields of Counts.
const (
	nQueries = iota
	nAnswers
	nBytesIn
	nBytesOut
	nShort
	nResponses
	nPortZero
	nOversize
	nPanics
	nSendErrors
	nShed
	nUnproxied
	nCounters
)

// tally is what one goroutine counts for itself until it publishes.
type tally [nCounters]uint64

// counters are the published numbers of one writer, or of a few that seldom meet. A cache line's length of nothing follows,
// so that the numbers of two writers never share a line, however they lie in memory.
type counters struct {
	v [nCounters]atomic.Uint64
	_ [64]byte
}

// publish adds t and clears it: once a batch, because an atomic write costs as much as the rest of the counting.
func (c *counters) publish(t *tally) {
	for i, n := range t {
		if n != 0 {
			c.v[i].Add(n)
			t[i] = 0
		}
	}
}

func (c *counters) addTo(s *Counts) {
	for i, field := range s.fields() {
		*field += c.v[i].Load()
	}
}

func (s *Counts) fields() [nCounters]*uint64 {
	return [...]*uint64{
		nQueries: &s.Queries, nAnswers: &s.Answers, nBytesIn: &s.BytesIn, nBytesOut: &s.BytesOut,
		nShort: &s.Short, nResponses: &s.Responses, nPortZero: &s.PortZero, nOversize: &s.Oversize,
		nPanics: &s.Panics, nSendErrors: &s.SendErrors, nShed: &s.Shed,
		nUnproxied: &s.Unproxied,
	}
}

// connCounters are written once or twice in a connection's life.
type connCounters struct {
	accepted, refused, evicted, idle, stalled atomic.Uint64
	handshakes, resumed, unencrypted          atomic.Uint64
}

// Stats sums the counters of all loops and connections.
func (s *Server) Stats() Stats {
	var st Stats
	for _, l := range s.loops {
		var c Counts
		l.counts.addTo(&c)
		l.counts.addTo(&st.UDP)
		st.Loops = append(st.Loops, c)
	}
	for _, sock := range s.socks {
		sock.late().addTo(&st.UDP)
		st.KernelDrops += sock.kernelDrops()
	}
	for _, c := range s.controls {
		if c.pressed.Load() {
			st.Pressed++
			st.Known += uint64(c.guests.Load())
		}
	}
	s.tcp.addTo(&st.TCP, &st.Conns)
	s.tls.addTo(&st.TLS, &st.TLSConns)
	return st
}
