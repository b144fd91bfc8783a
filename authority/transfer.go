package authority

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// TransferOptions say who gets whole zones, and how many at once.
type TransferOptions struct {
	// Allow has who gets them; empty: nobody.
	Allow ACL
	// Of, if it is there, says who gets the zone with that origin, besides Allow.
	// It must be quick.
	Of func(origin dns.Name) ACL
	// Most is how many are sent at once, and MostEach how many of these to one
	// address. 0 means 100 and 10. Others wait for their turn, MostWaiting of
	// them, 1000 if it is 0; who comes then gets SERVFAIL.
	Most, MostEach, MostWaiting int
	// Recall, if there is one, is called before an incremental transfer, by the
	// goroutine that sends it: it may fill the zone's history from elsewhere.
	Recall func(origin dns.Name)
	// Ended, if there is one, is told of each that has ended, by the goroutine
	// that has sent it.
	Ended func(TransferReport)
	// Clock dates signatures; nil: time.Now.
	Clock func() time.Time
}

// allows reports whether a client gets a zone.
func (o *TransferOptions) allows(z *zone.Zone, q *transport.Query, key dns.Name) bool {
	client := q.Client.Addr()
	return o.Allow.AllowsPeer(client, key, q.Peer) || o.Of != nil && o.Of(z.Origin()).AllowsPeer(client, key, q.Peer)
}

// TransferReport is a transfer that has ended.
type TransferReport struct {
	Zone     dns.Name
	Client   netip.AddrPort
	Proto    transport.Proto
	Key      dns.Name // that the client signed with; the zero Name: none
	Kind     TransferKind
	From, To uint32 // serial numbers; From is the client's, of IXFR
	Messages int
	Records  int
	Octets   int
	Waited   time.Duration // before the first message
	Took     time.Duration
	Err      error // nil: the client was sent all of it
}

// Log logs the transfer of a zone, which may have a longer name than Zone where
// there are views.
func (r *TransferReport) Log(log *slog.Logger, zone fmt.Stringer) {
	args := []any{"zone", zone, "client", r.Client, "proto", r.Proto.String(), "kind", r.Kind.String(), "serial", r.To}
	if r.Kind == Incremental {
		args = append(args, "from", r.From)
	}
	if !r.Key.IsZero() {
		args = append(args, "key", r.Key)
	}
	args = append(args, "messages", r.Messages, "records", r.Records, "octets", r.Octets, "took", r.Took)
	if r.Err != nil {
		log.Warn("zone transfer broken off", append(args, "error", r.Err)...)
		return
	}
	log.Info("zone transferred", args...)
}

// TransferKind is what a client was sent.
type TransferKind uint8

const (
	Whole        TransferKind = iota // all records, RFC 5936
	Incremental                      // a difference, RFC 1995
	WholeInstead                     // all records to who asked for a difference, RFC 1995 §4
	UpToDate                         // the SOA record alone, RFC 1995 §2
)

var transferKinds = [...]string{Whole: "axfr", Incremental: "ixfr", WholeInstead: "ixfr answered in full", UpToDate: "up to date"}

// String returns words for the log.
func (k TransferKind) String() string { return transferKinds[k] }

var (
	edeNotTo     = &dns.EDE{Code: dns.EDEProhibited, Text: "zone transfers are not for this client"}
	edeStream    = &dns.EDE{Code: dns.EDENotSupported, Text: "zone transfers take TCP, TLS or QUIC"}
	edeNotOrigin = &dns.EDE{Code: dns.EDENotAuthoritative, Text: "no zone of this server has this name"}
	edeBusy      = &dns.EDE{Code: dns.EDENotReady, Text: "too many zone transfers wait already"}
)

// isTransfer reports whether a whole zone or what has changed in it is asked for.
func (w *worker) isTransfer() bool { return w.q.Type == dns.TypeAXFR || w.q.Type == dns.TypeIXFR }

// transfer answers AXFR and IXFR. It reports whether the answer will be sent by
// another goroutine; else it is in the message, which may be an error.
func (w *worker) transfer(dst []byte) (elsewhere bool) {
	if w.q.Type == dns.TypeAXFR && !w.onStream() {
		w.fail(dns.RCodeRefused, edeStream) // RFC 5936 §4.2: not defined
		return false
	}
	v := w.transferable()
	if v == nil {
		return false
	}
	t := &transfer{kind: Whole, key: w.signedBy()}
	if w.q.Type == dns.TypeIXFR {
		var ok bool
		if t.from, ok = serialOf(w.tq.Msg, v.Origin()); !ok {
			w.fail(dns.RCodeFormErr, nil) // RFC 1995 §3: the SOA of the client's version
			return false
		}
		if !w.onStream() {
			w.ixfrPacket(dst, t.from)
			return false
		}
	}
	return w.detach(t)
}

// onStream reports whether an answer can be many messages. RFC 8484 §4.2.1 has
// one in an answer over HTTPS.
func (w *worker) onStream() bool { return w.tcp && w.tq.Proto != transport.HTTPS }

// transferable returns the version of the zone that has exactly the name asked
// for, if the client may have it. RFC 5936 §2.2.1: NOTAUTH where there is none.
func (w *worker) transferable() *zone.Version {
	z := w.srv.zones.current.Load().find(dns.AppendFolded(w.fold[:0], w.q.Name))
	switch {
	case z == nil || w.q.Class != dns.ClassIN:
		w.fail(dns.RCodeNotAuth, edeNotOrigin)
		return nil
	case !w.srv.transfers.options.allows(z, w.tq, w.signedBy()):
		w.srv.transfers.counts.turnedAway.Add(1)
		w.fail(dns.RCodeRefused, edeNotTo)
		return nil
	}
	v := z.Current()
	if v == nil {
		w.fail(dns.RCodeServFail, edeNoData)
		return nil
	}
	w.zone, w.v, w.sname, w.m.EncloserAt = z, v, w.q.Name, 0
	return v
}

// detach hands the answer to a goroutine, or has it wait for one.
func (w *worker) detach(t *transfer) bool {
	t.zone, t.clock, t.recall = w.zone, w.srv.transfers.options.Clock, w.srv.transfers.options.Recall
	t.arrived = t.clock()
	if w.sig.good != nil {
		var err error
		if t.sig, err = dns.NewTSIGStream(w.sig.good.Key, w.sig.good.MAC); err != nil {
			w.fail(dns.RCodeServFail, nil)
			return false
		}
		t.room = w.sig.room
	}
	if w.q.EDNS {
		w.wishes &^= wishZoneVersion // which one it is, nobody knows before it is sent
		t.edns, t.opts, t.udp, t.pad = true, w.appendWishes(nil), uint16(w.srv.maxUDP), w.wants(wishPadding)
	}
	if !w.srv.transfers.accept(t, w.tq) {
		w.v = nil
		w.srv.transfers.counts.turnedAway.Add(1)
		w.fail(dns.RCodeServFail, edeBusy)
		return false
	}
	w.fate = fateAnswer
	return true
}

// serialOf returns the serial number in the authority section of a query for
// IXFR (RFC 1995 §3).
func serialOf(msg []byte, origin dns.Name) (uint32, bool) {
	m, err := dns.ParseMessage(msg)
	if err != nil {
		return 0, false
	}
	for _, r := range m.Authority {
		if r.Type == dns.TypeSOA && r.Name.Equal(origin) && dns.CheckRData(dns.TypeSOA, r.Data) == nil {
			return dns.SOASerial(r.Data), true
		}
	}
	return 0, false
}

// mostPacketIXFR is how much of the history is looked through for an answer over
// UDP: about what fits, some of it undone later.
const mostPacketIXFR = 8 << 10

// ixfrPacket answers IXFR in one message: with the difference where it fits,
// else with the SOA record alone, which has the client come by TCP (RFC 1995 §2).
func (w *worker) ixfrPacket(dst []byte, from uint32) {
	w.aa, w.fate = true, fateAnswer
	if zone.IsNewer(w.v.Serial(), from) {
		if d, ok := w.zone.Since(from, w.v.Serial(), mostPacketIXFR); ok && w.ixfrWhole(d) {
			return
		}
		w.restart(dst)
		w.fate = fateAnswer
	}
	w.packetRecord(soaOf(w.v))
}

// ixfrWhole adds all of a difference, and reports whether it fits.
func (w *worker) ixfrWhole(d zone.Difference) bool {
	for r := range sequence(w.v, d) {
		if !w.packetRecord(r) {
			return false
		}
	}
	return true
}

func (w *worker) packetRecord(r dns.Record) bool {
	owner := r.Name.Append(w.owner[:0])
	return w.b.Record(dns.SectionAnswer, owner, r.Type, r.Class, r.TTL, r.Data)
}

// soaOf returns the SOA record of a version.
func soaOf(v *zone.Version) dns.Record {
	set := v.SOA()
	return dns.Record{Name: v.Origin(), Type: dns.TypeSOA, Class: v.Class(), TTL: set.TTL(), Data: set.First()}
}

// everything is how much of the history a transfer over a stream may look through.
const everything = math.MaxInt
