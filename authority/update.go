package authority

import (
	"iter"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// Updates takes requests to change zones (RFC 2136). Its methods are called by
// the goroutine that has read the request, of many at once, and must be quick:
// who has to wait for something calls [UpdateRequest.Later], returns, and answers
// later. Else the response is what the method returns.
type Updates interface {
	// Forward is asked first, of requests that can be read, and reports whether
	// it has taken the request, to pass it on to a primary (RFC 2136 §6). Nobody
	// has believed its signature: the primary knows the key.
	Forward(u *UpdateRequest) (code dns.RCode, why *dns.EDE, taken bool)
	// Update decides about a request whose TSIG is good, or that has none.
	Update(u *UpdateRequest) (dns.RCode, *dns.EDE)
}

// UpdateRequest is a request to change a zone that is served here. It is good
// until the method that it is given to returns.
type UpdateRequest struct {
	Msg    []byte     // as it came; Later's copy of it is good for longer
	Query  *dns.Query // what is read of it already
	Zone   *zone.Zone
	View   string
	Client netip.AddrPort
	Proto  transport.Proto
	Key    dns.Name // that its TSIG was made with; the zero Name: it has none
	Now    time.Time

	w     *worker
	later *UpdateReply
}

// Later has the request answered later. It returns who does that.
func (u *UpdateRequest) Later() *UpdateReply {
	if u.later == nil {
		u.later = u.w.detachUpdate()
	}
	return u.later
}

var edeNotSOA = &dns.EDE{Code: dns.EDEInvalidQueryType, Text: "the type of the zone section is SOA"}

// update answers UPDATE, or has it answered later.
func (w *worker) update() (later bool) {
	z := w.zoneToUpdate()
	if z == nil {
		return false
	}
	u := &w.request
	*u = UpdateRequest{
		Msg: w.tq.Msg, Query: &w.q, Zone: z, View: w.srv.view, Client: w.tq.Client, Proto: w.tq.Proto, Key: w.signedBy(), Now: w.clock(), w: w,
	}
	code, why, taken := w.srv.updates.Forward(u)
	switch {
	case taken:
	case w.sig.bad != nil:
		code, why = w.sig.bad.RCode, nil // RFC 8945 §5.2
	default:
		code, why = w.srv.updates.Update(u)
	}
	later = u.later != nil
	*u = UpdateRequest{}
	if later {
		return true
	}
	if code == dns.RCodeNoError {
		w.fate = fateAnswer
	}
	w.rcode, w.ede = code, why
	return false
}

// zoneToUpdate returns the zone that the zone section names (RFC 2136 §3.1).
// That it has one entry is checked before.
func (w *worker) zoneToUpdate() *zone.Zone {
	if w.q.Type != dns.TypeSOA {
		w.fail(dns.RCodeFormErr, edeNotSOA)
		return nil
	}
	z := w.srv.zones.current.Load().find(dns.AppendFolded(w.fold[:0], w.q.Name))
	if z == nil || w.q.Class != dns.ClassIN {
		w.fail(dns.RCodeNotAuth, edeNotOrigin)
		return nil
	}
	return z
}

// UpdateReply answers a request later. One of its methods is called, once, by
// any goroutine; neither waits.
type UpdateReply struct {
	// Msg is the whole request. It is good until the answer is given.
	Msg []byte

	srv     *Server
	pending *transport.Pending
	query   dns.Query // into pending
	sig     *dns.VerifiedTSIG
	room    int
	limit   int
	opts    []byte // in answer to those of the request
	pad     bool
	kind    int // for the counters

	rcode dns.RCode
	ede   *dns.EDE
	relay []byte // the answer of another server, as it is
}

func (w *worker) detachUpdate() *UpdateReply {
	r := &UpdateReply{
		srv: w.srv, pending: w.tq.Detach(), sig: w.sig.good, room: w.sig.room, limit: w.limit(),
		pad: w.wants(wishPadding), kind: w.queryKind(),
	}
	r.Msg = r.pending.Msg
	if w.q.EDNS {
		w.wishes &^= wishZoneVersion | wishExpire
		r.opts = w.appendWishes(nil)
	}
	_ = r.query.Parse(r.Msg) // it was read before
	return r
}

// Answer gives the response code, and what it has to do with, or nil.
func (r *UpdateReply) Answer(code dns.RCode, why *dns.EDE) {
	r.rcode, r.ede = code, why
	r.srv.replies.put(r)
}

// Relay answers with msg, which has the right ID and any signature that it needs.
func (r *UpdateReply) Relay(msg []byte) {
	r.relay = msg
	if h, ok := dns.ParseHeader(msg); ok {
		r.rcode = h.Flags.RCode()
	}
	r.srv.replies.put(r)
}

// Records yields the rdata of the records of type t that a zone of this server has
// at name, below its cuts too.
func (u *UpdateRequest) Records(name dns.Name, t dns.Type) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var buf [dns.MaxNameLen]byte
		z, _ := u.w.srv.zones.current.Load().enclosing(dns.AppendFolded(buf[:0], name.Append(buf[:0])), 0)
		if z == nil || z.Current() == nil {
			return
		}
		set, _ := z.Current().Find(name.Append(buf[:0])).RRset(t)
		for rd := range set.RData() {
			if !yield(rd) {
				return
			}
		}
	}
}
