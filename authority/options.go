package authority

import (
	"encoding/binary"
	"math"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/cookie"
)

// wish is an EDNS option that the client asked for and gets, unless it is said
// to depend on the answer.
type wish uint8

const (
	wishNSID        wish = 1 << iota // RFC 5001
	wishKeepalive                    // RFC 7828
	wishPadding                      // RFC 7830
	wishZoneVersion                  // RFC 9660, where a zone of ours holds the name
	wishExpire                       // RFC 7314, with a SOA record
)

// asked is what the options of the query say.
type asked struct {
	tq        *transport.Query
	wishes    wish
	malformed bool // an option has not the form that its RFC demands
	standing  cookie.Verdict
	cookie    []byte // of the query, where standing says that there is one
	room      int    // octets that the response's options take, those unasked for aside
}

// The octets that options take in a response, four of them code and length.
const (
	optionHead      = 4
	cookieRoom      = optionHead + cookie.Size
	keepaliveRoom   = optionHead + 2
	zoneVersionRoom = optionHead + 6
	expireRoom      = optionHead + 4
)

// readOptions notes what the client wants. Unknown options, and those that only
// resolvers have a use for, are ignored (RFC 6891 §6.1.2).
func (w *worker) readOptions(tq *transport.Query) {
	w.asked = asked{tq: tq}
	for rest := w.q.Opts; len(rest) > 0; {
		var code dns.OptionCode
		var data []byte
		code, data, rest = dns.NextOption(rest)
		w.readOption(code, data)
	}
}

func (w *worker) readOption(code dns.OptionCode, data []byte) {
	switch code {
	case dns.OptionNSID:
		// RFC 5001 §2.1: whatever data is in a query's option is ignored.
		if w.srv.nsid != nil {
			w.want(wishNSID, len(w.srv.nsid))
		}
	case dns.OptionCookie:
		w.readCookie(data)
	case dns.OptionKeepalive:
		w.readKeepalive(data)
	case dns.OptionPadding:
		// RFC 7830 §6: padding makes sense only where nobody reads along. Octets
		// other than zero are as good (§3).
		if w.tq.Proto.IsEncrypted() {
			w.want(wishPadding, 0)
		}
	case dns.OptionZoneVersion:
		// RFC 9660 §3.2: what a query's option has in it is ignored.
		w.want(wishZoneVersion, zoneVersionRoom)
	case dns.OptionExpire:
		// RFC 7314 §3 has it empty in a query, and says nothing of others: what
		// a client thinks of the zone's expiry changes nothing.
		w.want(wishExpire, expireRoom)
	}
}

// want notes a wish, once.
func (w *worker) want(x wish, room int) {
	if w.wishes&x == 0 {
		w.wishes |= x
		w.room += room
	}
}

func (w *worker) wants(x wish) bool { return w.wishes&x != 0 }

// readCookie judges the first COOKIE option; RFC 7873 §5.2: others are ignored.
func (w *worker) readCookie(data []byte) {
	if w.srv.cookies == nil || w.standing != cookie.None {
		return
	}
	w.standing = w.srv.cookies.Check(data, w.tq.Client.Addr(), cookie.Seconds(w.tq.Now))
	if w.standing == cookie.Malformed {
		w.malformed = true // RFC 7873 §5.2.2
		return
	}
	w.cookie = data
	w.room += cookieRoom
}

// readKeepalive: RFC 7828 §3.3.1 ignores the option over UDP, which neither
// QUIC (RFC 9250 §5.5.2) nor HTTPS (RFC 8484 §10) has a use for, either. §3.2.1:
// a query's is empty.
func (w *worker) readKeepalive(data []byte) {
	if p := w.tq.Proto; p != transport.TCP && p != transport.TLS {
		return
	}
	w.malformed = w.malformed || len(data) > 0
	if w.tq.Idle > 0 {
		w.want(wishKeepalive, keepaliveRoom)
	}
}

// ignoreOptions forgets them: of a message that cannot be read, or that is
// malformed in one of them, the others may be anything.
func (w *worker) ignoreOptions() {
	w.wishes, w.standing, w.cookie = 0, cookie.None, nil
}

// optBuffer has room for all options of a response.
type optBuffer [optionHead + maxNSID + cookieRoom + keepaliveRoom + zoneVersionRoom + expireRoom + maxEDE + maxReport + optionHead + padBlock]byte

const (
	maxEDE    = 256                         // our texts are shorter
	maxReport = optionHead + dns.MaxNameLen // of REPORT-CHANNEL
)

// opt adds the OPT record. RFC 6891 §6.1.1: in answer to OPT, and only then.
// Options that nobody asked for are left out where they do not fit.
func (w *worker) opt() {
	var flags uint16
	if w.q.DO {
		flags = dns.EDNSFlagDO // RFC 3225 §3: copied
	}
	if w.co {
		flags |= dns.EDNSFlagCO
	}
	free := w.limit() - w.b.Len() - optLen
	opts := w.appendWishes(w.opts[:0])
	if w.ede != nil {
		opts = fitting(opts, w.ede.Append(opts), free)
	}
	if w.reports() {
		opts = fitting(opts, append(opts, w.srv.report...), free)
	}
	if w.wants(wishPadding) {
		opts = pad(opts, w.b.Len()+optLen, free)
	}
	size := uint16(w.srv.maxUDP)
	if !w.b.OPT(size, w.rcode, 0, flags, opts) {
		w.b.OPT(size, w.rcode, 0, flags, nil)
	}
}

// fitting returns more where it fits, else what was before.
func fitting(before, more []byte, free int) []byte {
	if len(more) > free {
		return before
	}
	return more
}

// appendWishes adds the options that the client asked for.
func (w *worker) appendWishes(opts []byte) []byte {
	if w.cookie != nil {
		opts = w.appendCookie(opts)
	}
	if w.wants(wishNSID) {
		opts = append(opts, w.srv.nsid...)
	}
	if w.wants(wishKeepalive) {
		// RFC 7828 §3.1: in units of 100 ms.
		opts = appendHead(opts, dns.OptionKeepalive, 2)
		opts = binary.BigEndian.AppendUint16(opts, uint16(min(w.tq.Idle/(100*time.Millisecond), 0xFFFF)))
	}
	if w.v == nil {
		return opts
	}
	if w.wants(wishZoneVersion) {
		opts = w.appendZoneVersion(opts)
	}
	if w.wants(wishExpire) && (w.fate == fateAnswer && w.q.Type == dns.TypeSOA || w.isTransfer()) {
		opts = w.appendExpire(opts)
	}
	return opts
}

func (w *worker) appendExpire(opts []byte) []byte {
	return binary.BigEndian.AppendUint32(appendHead(opts, dns.OptionExpire, 4), w.expire())
}

// expire is for how many seconds the zone may be served. RFC 7314 §4.2: a primary's
// answer has the SOA's own EXPIRE, and so have those to AXFR and IXFR; a secondary's
// has what is left of it. Signatures are not to be served when they have expired
// (RFC 4035 §5.3.1 has validators refuse them), so that there is no more than that.
func (w *worker) expire() uint32 {
	soa := w.v.SOA().First()
	left := time.Duration(binary.BigEndian.Uint32(soa[len(soa)-8:])) * time.Second
	if w.srv.expires != nil {
		if own, ok := w.srv.expires(w.srv.view, w.v.Origin()); ok {
			left = own
		}
	}
	if w.srv.until != nil {
		if until, ok := w.srv.until(w.srv.view, w.v.Origin()); ok {
			left = min(left, until.Sub(time.Unix(0, w.now())))
		}
	}
	return uint32(min(max(left/time.Second, 0), math.MaxUint32))
}

func appendHead(opts []byte, c dns.OptionCode, n uint16) []byte {
	opts = binary.BigEndian.AppendUint16(opts, uint16(c))
	return binary.BigEndian.AppendUint16(opts, n)
}

// appendCookie: RFC 9018 §4.3 lets a cookie that is young be used on.
func (w *worker) appendCookie(opts []byte) []byte {
	opts = appendHead(opts, dns.OptionCookie, cookie.Size)
	if w.standing == cookie.Good {
		return append(opts, w.cookie...)
	}
	return w.srv.cookies.Append(opts, w.cookie, w.tq.Client.Addr(), cookie.Seconds(w.tq.Now))
}

// appendZoneVersion: RFC 9660 §3.2: the version of the zone that holds QNAME,
// wherever a chain of aliases has led since.
func (w *worker) appendZoneVersion(opts []byte) []byte {
	v := w.v
	if w.links > 0 {
		z, _ := w.table.enclosing(dns.AppendFolded(w.fold[:0], w.q.Name), 0)
		if z == nil {
			return opts
		}
		if v = z.Current(); v == nil {
			return opts
		}
	}
	const serialType = 0 // RFC 9660 §2.2
	opts = appendHead(opts, dns.OptionZoneVersion, 6)
	opts = append(opts, byte(v.Origin().NumLabels()), serialType)
	return binary.BigEndian.AppendUint32(opts, v.Serial())
}

// reports says whether the answer carries the reporting agent: RFC 9567 §6.1
// has it in responses unasked, and the agent outside of what is reported on.
func (w *worker) reports() bool {
	return w.srv.report != nil && w.v != nil && !w.srv.agent.IsSubdomainOf(w.v.Origin())
}

// padBlock is the multiple that responses are padded to (RFC 8467 §4.1).
const padBlock = 468

var zeros [padBlock]byte

// pad appends the PADDING option that makes a message of size octets with opts
// a multiple of padBlock, or as long as is possible.
func pad(opts []byte, size, free int) []byte {
	room := free - len(opts) - optionHead
	if room < 0 {
		return opts
	}
	n := min(padBlock-1-(size+len(opts)+optionHead+padBlock-1)%padBlock, room)
	return append(appendHead(opts, dns.OptionPadding, uint16(n)), zeros[:n]...)
}
