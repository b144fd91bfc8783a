package dnstap

import (
	"encoding/binary"
	"net/netip"

	"onoma/transport"
)

// Event is a query, the answer to it, or both.
type Event struct {
	Query  []byte // nil: not to be told
	Answer []byte // nil: none, or not to be told
	Client netip.AddrPort
	Local  netip.AddrPort
	Proto  transport.Proto
	Role   Role // of who answered
	// When the query came in and the answer was ready, in Unix nanoseconds; 0 where that is not known.
	QueryTime, AnswerTime int64
}

// eventHeader is the length of what stands before the messages in a Ring: times, addresses, ports, lengths, protocol, role.
const eventHeader = 8 + 8 + 16 + 16 + 2 + 2 + 2 + 2 + 1 + 1

func putUint32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }
func getUint32(b []byte) uint32    { return binary.LittleEndian.Uint32(b) }

// Put copies an event into the ring, or drops and counts it where there is no room. It allocates nothing and never waits.
func (r *Ring) Put(e *Event) bool {
	n := eventHeader + len(e.Query) + len(e.Answer)
	b := r.reserve(n)
	if b == nil {
		r.dropped.Store(r.dropped.Load() + 1)
		return false
	}
	le := binary.LittleEndian
	le.PutUint64(b, uint64(e.QueryTime))
	le.PutUint64(b[8:], uint64(e.AnswerTime))
	client, local := e.Client.Addr().As16(), e.Local.Addr().As16()
	copy(b[16:], client[:])
	copy(b[32:], local[:])
	le.PutUint16(b[48:], e.Client.Port())
	le.PutUint16(b[50:], e.Local.Port())
	le.PutUint16(b[52:], uint16(len(e.Query)))
	le.PutUint16(b[54:], uint16(len(e.Answer)))
	b[56], b[57] = byte(e.Proto), byte(e.Role)
	copy(b[eventHeader:], e.Query)
	copy(b[eventHeader+len(e.Query):], e.Answer)
	r.commit(n)
	r.kept.Store(r.kept.Load() + 1)
	return true
}

// read is Put's reverse; the messages alias b, which came out of a Ring.
func (e *Event) read(b []byte) {
	le := binary.LittleEndian
	e.QueryTime, e.AnswerTime = int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
	e.Client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:32])).Unmap(), le.Uint16(b[48:]))
	e.Local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[32:48])).Unmap(), le.Uint16(b[50:]))
	e.Proto, e.Role = transport.Proto(b[56]), Role(b[57])
	q, a := int(le.Uint16(b[52:])), int(le.Uint16(b[54:]))
	e.Query, e.Answer = b[eventHeader:][:q:q], b[eventHeader+q:][:a:a]
}
