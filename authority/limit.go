package authority

import (
	"time"

	"onoma/dns"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

var edeLimited = &dns.EDE{Code: dns.EDERateLimited, Text: "too many queries from this network"}

// admit lets the limiter decide about the answer, and reports whether there is
// to be one. What is too much over UDP is dropped, or now and then cut to
// nothing, from which a real client learns to come again: with the cookie that
// it gets, or else over TCP. Over a connection it is refused.
func (w *worker) admit(dst []byte) bool {
	if w.isLetOut() {
		return true
	}
	w.stats.limited[w.class].add()
	switch {
	case w.tcp:
		w.empty(dst, dns.RCodeRefused, edeLimited)
		return true
	case w.verdict == rrl.Drop:
		return false
	case w.standing != cookie.None && w.q.EDNS:
		w.empty(dst, dns.RCodeBadCookie, nil) // RFC 7873 §5.2.3
	default:
		w.empty(dst, dns.RCodeNoError, nil)
		w.full = true
	}
	w.stats.slipped.add()
	return true
}

// judgement is what the limiter has said about an answer.
type judgement struct {
	judged  bool
	verdict rrl.Verdict
	class   rrl.Class
}

// isLetOut asks the limiter, once for an answer: at its end, or before work is
// done for it that the limiter is there to spare. RFC 7873 §5.2.5: a cookie of ours
// says that the address is not forged.
func (w *worker) isLetOut() bool {
	if w.srv.limiter == nil || w.patient || !w.tcp && w.standing.Proves() {
		return true
	}
	if !w.judged {
		w.judged = true
		w.verdict, w.class = w.judge()
	}
	return w.verdict == rrl.Send
}

func (w *worker) judge() (rrl.Verdict, rrl.Class) {
	if w.tcp {
		return w.srv.limiter.CheckStream(w.tq.Client.Addr(), w.now()), rrl.Stream
	}
	class, name := w.kind()
	return w.srv.limiter.Check(w.tq.Client.Addr(), class, name, w.now()), class
}

// empty makes the answer one without records.
func (w *worker) empty(dst []byte, code dns.RCode, why *dns.EDE) {
	w.restart(dst)
	w.fail(code, why)
	w.wishes &^= wishZoneVersion | wishExpire
}

// now is the time of the query in Unix nanoseconds.
func (w *worker) now() int64 {
	if w.tq.Now == 0 {
		return time.Now().UnixNano()
	}
	return w.tq.Now
}

// kind says which answers this one is like: those to the same name, which for
// names that are made up is that of the wildcard, the delegation or the zone.
func (w *worker) kind() (rrl.Class, []byte) {
	if w.v == nil {
		return rrl.Failure, nil
	}
	m, name := &w.m, w.sname
	apex := len(name) - w.v.Origin().Len()
	var class rrl.Class
	switch w.fate {
	case fateAnswer:
		if m.Node.IsZero() {
			name = name[m.EncloserAt:] // of a wildcard or a DNAME
		}
		class = rrl.Positive
	case fateAlias:
		class = rrl.Positive
	case fateReferral:
		class, name = rrl.Referral, name[m.EncloserAt:]
	case fateNXDomain:
		class, name = rrl.NXDomain, name[apex:]
	case fateNoData:
		class, name = rrl.NoData, name[apex:]
	default:
		return rrl.Failure, nil
	}
	return class, dns.AppendFolded(w.fold[:0], name)
}
