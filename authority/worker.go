package authority

import (
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// maxLinks is how many aliases are followed for one question. RFC 1034 §5.2.2
// asks resolvers to guard against loops, and leaves the bound open; who needs
// more asks again for the last target, as for a target outside our zones.
const maxLinks = 16

// worker answers one query at a time. All its memory is its own.
type worker struct {
	srv   *Server
	stats *counters

	q     dns.Query
	b     dns.Builder
	m     zone.Match
	table *table
	tcp   bool
	sig   signature

	asked
	reply
	chain

	made    made
	patient bool // it answers what others had no time for
	broken  bool // it has panicked

	ready   *ready // nil until it is of use
	unready bool   // this answer is to be made without it
	ahead   *ahead // nil until it is of use
	large   bool   // the last answer came from a large zone

	fold  [dns.MaxNameLen]byte // the folded name that a zone is looked up for
	owner [dns.MaxNameLen]byte // a name out of a zone, on its way into the message
	opts  optBuffer

	request UpdateRequest // scratch
}

// reply is what becomes of the answer apart from the records in it.
type reply struct {
	rcode dns.RCode
	aa    bool
	full  bool // something did not fit that had to: TC
	ede   *dns.EDE
	hosts zone.RRset // NS set whose addresses are wanted
	cut   bool       // hosts are those of a delegation
	fate  fate

	elsewhere bool // somebody else answers, later

	co       bool // the client is told that CO is understood
	unsigned bool // a signature was not to be had
	later    bool // ... by who cannot wait
	judgement

	glue      *dns.Fragment // what is ready of the addresses of hosts
	glueShift int           // how far its pointers move
	again     bool          // what was ready does not fit as a whole
}

// chain is the way of the question through aliases.
type chain struct {
	zone   *zone.Zone
	v      *zone.Version
	online zone.Online // what signs in the zone's name, where it has no proofs; mostly nil
	sname  []byte      // the name to be answered now
	at     int         // where sname stands in the message, 0: not known

	links   int
	visited [maxLinks + 1][]byte // names that were sname before
	names   [maxLinks + 1][dns.MaxNameLen]byte

	proofs int
	proof  [maxLinks + 1]proof
	sent   int
	shown  [maxShown]shown
}

// Answer appends the response to dst, or nothing where there must be none.
func (w *worker) Answer(dst []byte, tq *transport.Query) []byte {
	// RFC 1035 §4.1.1: never answer an answer, or two servers could talk for ever.
	if h, ok := dns.ParseHeader(tq.Msg); !ok || h.Flags.Has(dns.FlagQR) {
		w.stats.dropped.add()
		return dst
	}
	err := w.q.Parse(tq.Msg)
	w.sig = signature{}
	w.reset(tq)
	if w.q.TSIGAt != 0 && err == nil {
		w.verify(tq.Msg)
	}
	w.start(dst)
	switch {
	case !w.check(err):
		if w.elsewhere {
			w.release()
			return dst
		}
	case w.q.Class == dns.ClassCH:
		w.chaos()
	case w.q.Type == dns.TypeAXFR || w.q.Type == dns.TypeIXFR:
		if w.transfer(dst) {
			w.count()
			w.release()
			return dst
		}
	default:
		if w.zones(tq, dst) {
			w.release()
			return dst
		}
	}
	out := dst
	if w.admit(dst) {
		out = w.finish(dst)
		w.count()
	}
	w.release()
	return out
}

// zones answers from zones: with what is ready for it, or where that does not
// fit as it is, record by record. It reports whether somebody else answers, later.
func (w *worker) zones(tq *transport.Query, dst []byte) bool {
	w.unready, w.large = false, false
	proven := w.answer()
	if w.again {
		judged := w.judgement
		w.reset(tq)
		w.judgement = judged
		w.start(dst)
		w.unready = true
		proven = w.answer()
	}
	switch {
	case w.later && w.srv.later(tq, w.made.set.Known):
		return true
	case w.unsigned:
		w.restart(dst)
		w.fail(dns.RCodeServFail, edeUnsigned)
	case !proven:
		w.restart(dst)
		w.fail(dns.RCodeServFail, edeCollision)
	}
	return false
}

// reset forgets the query before.
func (w *worker) reset(tq *transport.Query) {
	w.reply = reply{}
	w.readOptions(tq)
	w.tcp = tq.Proto != transport.UDP
	w.links, w.proofs, w.sent = 0, 0, 0
	w.zone, w.v, w.online = nil, nil, nil
}

// release lets go of zones, so that an idle worker keeps no old version alive.
func (w *worker) release() {
	w.zone, w.v, w.online, w.table, w.tq = nil, nil, nil, nil, nil
	w.made.set = zone.Unsigned{}
	w.sig = signature{}
	w.hosts = zone.RRset{}
	w.m.Node, w.m.Encloser, w.m.Cut, w.m.DName, w.m.Wildcard = zone.Node{}, zone.Node{}, zone.Node{}, zone.Node{}, zone.Node{}
	clear(w.proof[:w.proofs])
	clear(w.shown[:w.sent])
	clear(w.visited[:w.links])
}
