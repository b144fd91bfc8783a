package authority

import (
	"net/netip"

	"onoma/dns"
	"onoma/transport"
)

// Notice is a NOTIFY that has come in (RFC 1996). Its signature, if it has one, is
// good.
type Notice struct {
	View   string
	Zone   dns.Name
	Type   dns.Type // SOA; or CDS or CSYNC of a child (RFC 9859), where Zone is the child
	From   netip.AddrPort
	Proto  transport.Proto
	Key    dns.Name // that it was signed with; the zero Name: it was not
	Serial uint32   // of the SOA record in it, a hint (§3.7), where HasSerial is set
	// HasSerial is set where the message has a SOA record of the zone.
	HasSerial bool
}

// NoticeVerdict is what becomes of a Notice.
type NoticeVerdict uint8

// The verdicts.
const (
	NoticeUnknown NoticeVerdict = iota // the zone has no primary: it is answered by who this server is
	NoticeRefused                      // the zone has one, and it is not who has sent this
	NoticeTaken                        // NOERROR, and the rest follows
)

var (
	edePrimary   = &dns.EDE{Code: dns.EDEProhibited, Text: "this server is a primary of the zone"}
	edeNotPrimed = &dns.EDE{Code: dns.EDEProhibited, Text: "not one of the zone's primaries"}
	edeChild     = &dns.EDE{Code: dns.EDEProhibited, Text: "too many such messages, or the parent's policy leaves this out"}

	edeNotDelegated = &dns.EDE{Code: dns.EDENotAuthoritative, Text: "nothing that a zone of this server delegates"}
)

// notified answers NOTIFY (RFC 1996), at once: what is to be done is done later.
// Of a zone that has no primary §3.10 would have it ignored, and an answer with a
// reason is worth more to who has set up the wrong secondary.
func (w *worker) notified() {
	switch {
	case (w.q.Type == dns.TypeCDS || w.q.Type == dns.TypeCSYNC) && w.q.Class == dns.ClassIN && w.srv.children != nil:
		w.childNotified()
		return
	case w.q.Type != dns.TypeSOA:
		w.fail(dns.RCodeNotImp, edeType) // RFC 1996 §3.7 defines no other, RFC 9859 those of a parent's endpoint
		return
	case w.q.Class != dns.ClassIN:
		w.fail(dns.RCodeNotAuth, edeNotOrigin)
		return
	}
	switch w.notice(w.srv.notices) {
	case NoticeTaken:
		w.aa, w.fate = true, fateAnswer
		return
	case NoticeRefused:
		w.fail(dns.RCodeRefused, edeNotPrimed)
		return
	}
	if w.srv.zones.current.Load().find(dns.AppendFolded(w.fold[:0], w.q.Name)) == nil {
		w.fail(dns.RCodeNotAuth, edeNotOrigin)
		return
	}
	w.fail(dns.RCodeRefused, edePrimary)
}

// childNotified answers a child's NOTIFY (RFC 9859 §4.3): NOERROR says that it is acted
// on, and any other answer that it is not.
func (w *worker) childNotified() {
	switch w.notice(w.srv.children) {
	case NoticeTaken:
		w.aa, w.fate = true, fateAnswer
	case NoticeRefused:
		w.fail(dns.RCodeRefused, edeChild)
	default:
		w.fail(dns.RCodeNotAuth, edeNotDelegated)
	}
}

// notice tells who wants to know.
func (w *worker) notice(told func(Notice) NoticeVerdict) NoticeVerdict {
	if told == nil {
		return NoticeUnknown
	}
	name, err := dns.NameFromWire(w.q.Name)
	if err != nil {
		return NoticeUnknown
	}
	n := Notice{View: w.srv.view, Zone: name, Type: w.q.Type, From: w.tq.Client, Proto: w.tq.Proto, Key: w.signedBy()}
	n.Serial, n.HasSerial = hintOf(w.tq.Msg, name)
	return told(n)
}

// hintOf returns the serial number in the answer section of a NOTIFY.
func hintOf(msg []byte, origin dns.Name) (uint32, bool) {
	m, err := dns.ParseMessage(msg)
	if err != nil {
		return 0, false
	}
	for _, r := range m.Answer {
		if r.Type == dns.TypeSOA && r.Name.Equal(origin) && dns.CheckRData(dns.TypeSOA, r.Data) == nil {
			return dns.SOASerial(r.Data), true
		}
	}
	return 0, false
}
