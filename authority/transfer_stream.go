package authority

import (
	"errors"
	"iter"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// transfer is the answer to one AXFR or IXFR: messages that are made from a
// version while they are sent. The version does not change, so nothing is copied
// and nobody waits, however long the client takes. One goroutine sends it.
type transfer struct {
	pending *transport.Pending
	zone    *zone.Zone
	v       *zone.Version
	kind    TransferKind
	from    uint32 // serial number of the client's version, of IXFR
	key     dns.Name
	sig     *dns.TSIGStream // nil: the client did not sign
	room    int             // octets of a TSIG
	edns    bool
	opts    []byte
	pad     bool // messages are padded
	udp     uint16
	clock   func() time.Time
	recall  func(origin dns.Name) // nil: the history is what it is
	arrived time.Time

	query dns.Query // into pending
	b     dns.Builder
	limit int // of the message, without its TSIG
	buf   []byte
	at    int      // where the owner name of the last record stands in the message
	owner dns.Name // of the last record
	name  [dns.MaxNameLen]byte

	messages, records, octets int
}

// fullMessage is how long messages are made. RFC 5936 §3.4 wants names compressed,
// and pointers do not reach farther.
const fullMessage = 16 << 10

var errRecordTooLong = errors.New("a record does not fit a message")

// send sends all messages and returns what became of it.
func (t *transfer) send() TransferReport {
	began := t.clock()
	err := t.query.Parse(t.pending.Msg)
	if t.v = t.zone.Current(); t.v == nil { // it has expired while this one waited
		return TransferReport{Zone: t.zone.Origin(), Client: t.pending.Client, Err: errors.Join(zone.ErrNoVersion, t.abort())}
	}
	r := TransferReport{
		Zone: t.v.Origin(), Client: t.pending.Client, Proto: t.pending.Proto, Key: t.key,
		From: t.from, To: t.v.Serial(), Waited: began.Sub(t.arrived),
	}
	if r.Err = err; err == nil {
		r.Err = t.sendRecords(t.content())
	}
	r.Kind, r.Messages, r.Records, r.Octets, r.Took = t.kind, t.messages, t.records, t.octets, t.clock().Sub(began)
	return r
}

// content returns the records to send, and decides which kind of answer they are.
func (t *transfer) content() iter.Seq[dns.Record] {
	if t.query.Type == dns.TypeAXFR {
		return whole(t.v)
	}
	// RFC 1995 §2: who has the current version, or a newer one, gets its SOA.
	if !zone.IsNewer(t.v.Serial(), t.from) {
		t.kind = UpToDate
		return func(yield func(dns.Record) bool) { yield(soaOf(t.v)) }
	}
	// RFC 1995 §4: the whole zone where the history does not reach back, and where
	// it is less.
	if t.recall != nil {
		t.recall(t.v.Origin())
	}
	d, ok := t.zone.Since(t.from, t.v.Serial(), everything)
	if !ok || d.Count()+2 > t.v.Stats().Records+1 {
		t.kind = WholeInstead
		return whole(t.v)
	}
	t.kind = Incremental
	return sequence(t.v, d)
}

// whole yields a zone as AXFR has it: the SOA record first, and once more as the
// last one (RFC 5936 §2.2). Glue and what lies below cuts are among them (§3.5).
func whole(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for r := range v.Records() {
			if !yield(r) {
				return
			}
		}
		yield(soaOf(v))
	}
}

// sequence yields a difference as RFC 1995 §4 has it: the new SOA record; the old
// one and what is removed; the new one and what is added; the new one.
func sequence(v *zone.Version, d zone.Difference) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		if !yield(soaOf(v)) {
			return
		}
		for r := range d.Removed() {
			if !yield(r) {
				return
			}
		}
		for r := range d.Added() {
			if !yield(r) {
				return
			}
		}
		yield(soaOf(v))
	}
}

func (t *transfer) sendRecords(records iter.Seq[dns.Record]) error {
	t.start(fullMessage)
	for r := range records {
		if err := t.add(r); err != nil {
			return err
		}
	}
	return t.flush()
}

// start begins a message of so many octets with its TSIG. RFC 5936 §2.2.1: the
// question is in the first one.
func (t *transfer) start(limit int) {
	flags := dns.FlagQR | dns.FlagAA | t.query.Flags&dns.FlagRD
	t.limit = limit - t.room
	t.b.Start(t.buf[:0], t.limit, t.query.ID, flags)
	t.at = 0
	if t.hasOPT() {
		room := optLen + len(t.opts)
		if t.pad {
			room += optionHead
		}
		t.b.Reserve(room)
	}
	if t.messages == 0 {
		t.b.Question(t.query.Name, t.query.Type, t.query.Class)
	}
}

// hasOPT reports whether the message has an OPT record. RFC 5936 §2.2.5: the first
// message has one, and others may: where all are padded.
func (t *transfer) hasOPT() bool { return t.edns && (t.messages == 0 || t.pad) }

// add adds a record to the message, or else to the next one.
func (t *transfer) add(r dns.Record) error {
	t.records++
	if t.put(r) {
		return nil
	}
	if t.b.Count(dns.SectionAnswer) > 0 {
		if err := t.flush(); err != nil {
			return err
		}
		t.start(fullMessage)
		if t.put(r) {
			return nil
		}
	}
	t.start(dns.MaxMessageLen)
	if !t.put(r) {
		return errors.Join(errRecordTooLong, t.abort())
	}
	return nil
}

func (t *transfer) put(r dns.Record) bool {
	if t.at != 0 && r.Name == t.owner {
		return t.b.RecordAt(dns.SectionAnswer, t.at, r.Type, r.Class, r.TTL, r.Data)
	}
	at := t.b.Len()
	if !t.b.Record(dns.SectionAnswer, r.Name.Append(t.name[:0]), r.Type, r.Class, r.TTL, r.Data) {
		return false
	}
	t.at, t.owner = t.b.NameAt(at), r.Name
	return true
}

// abort tells the client in the middle that there will be no more.
func (t *transfer) abort() error {
	t.start(fullMessage)
	t.b.SetFlags((t.b.Flags() &^ dns.FlagAA).WithRCode(dns.RCodeServFail))
	return t.flush()
}

// flush sends the message. It waits while the client has too much unread.
func (t *transfer) flush() (err error) {
	if t.hasOPT() {
		t.opt()
	}
	t.buf = t.b.Finish()
	msg := t.buf
	if t.sig != nil {
		// RFC 8945 §5.3.1 would have every hundredth signed; most clients are
		// quicker to notice what is wrong with all of them signed.
		if msg, err = t.sig.Sign(msg, t.clock()); err != nil {
			return err
		}
		t.buf = msg
	}
	t.messages++
	t.octets += len(msg)
	return t.pending.Reply(msg)
}

// opt adds the OPT record. RFC 9103 §6.4 has messages padded, lest their lengths
// tell how much has changed; RFC 7830 §4: to who asks for it.
func (t *transfer) opt() {
	var flags uint16
	if t.query.DO {
		flags = dns.EDNSFlagDO // RFC 3225 §3: copied
	}
	opts := t.opts
	if t.messages > 0 {
		opts = nil
	}
	if t.pad {
		opts = pad(append([]byte(nil), opts...), t.b.Len()+optLen, t.limit-t.b.Len()-optLen)
	}
	t.b.OPT(t.udp, t.b.Flags().RCode(), 0, flags, opts)
}
