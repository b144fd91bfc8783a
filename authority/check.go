package authority

import (
	"onoma/dns"
	"onoma/transport/cookie"
)

// The extended errors that are given (RFC 8914), made once.
var (
	edeNotOurs     = &dns.EDE{Code: dns.EDENotAuthoritative, Text: "no zone of this server holds the name"}
	edeClass       = &dns.EDE{Code: dns.EDENotAuthoritative, Text: "no zone of this class is served"}
	edeChaos       = &dns.EDE{Code: dns.EDEProhibited, Text: "not told"}
	edeNoData      = &dns.EDE{Code: dns.EDENotReady, Text: "the zone is not loaded or has expired"}
	edeOpcode      = &dns.EDE{Code: dns.EDENotSupported, Text: "opcode not supported"}
	edeType        = &dns.EDE{Code: dns.EDENotSupported, Text: "query type not supported"}
	edeInvalidType = &dns.EDE{Code: dns.EDEInvalidQueryType}
	edeOption      = &dns.EDE{Code: dns.EDEOther, Text: "malformed EDNS option"}
	edeUnsigned    = &dns.EDE{Code: dns.EDEOther, Text: "no signature can be made at the moment"}
	edeCollision   = &dns.EDE{Code: dns.EDEOther, Text: "no NSEC3 record proves it"}
)

// check decides about everything but questions that zones answer, and reports
// whether this is such a question.
func (w *worker) check(err error) bool {
	opcode := w.q.Flags.Opcode()
	switch {
	case opcode != dns.OpcodeQuery && opcode != dns.OpcodeNotify && !w.isUpdate():
		// Before the message's form: another opcode may have another one. UPDATE
		// is among these where nobody takes it (RFC 2136 §3.9 allows that).
		w.fail(dns.RCodeNotImp, edeOpcode)
	case w.cookieQuery(err):
	case err != nil:
		w.formErr(err)
	case w.sig.bad != nil && !w.isUpdate(): // which may be for another server
		w.fail(w.sig.bad.RCode, nil) // RFC 8945 §5.2
	case w.q.EDNS && w.q.Vers > 0:
		w.fail(dns.RCodeBadVers, nil) // RFC 6891 §6.1.3
	case w.malformed:
		w.ignoreOptions()
		w.fail(dns.RCodeFormErr, edeOption)
	case w.cookieMissing():
		w.fail(dns.RCodeBadCookie, nil) // RFC 7873 §5.2.3-4
	case opcode == dns.OpcodeNotify:
		w.notified()
	case w.isUpdate():
		w.elsewhere = w.update()
	default:
		return w.checkQuestion()
	}
	return false
}

// isUpdate reports whether the message is an UPDATE, and somebody takes these.
func (w *worker) isUpdate() bool {
	return w.srv.updates != nil && w.q.Flags.Opcode() == dns.OpcodeUpdate
}

func (w *worker) checkQuestion() bool {
	switch w.q.Class {
	case dns.ClassIN, dns.ClassANY, dns.ClassCH:
	default:
		w.fail(dns.RCodeRefused, edeClass)
		return false
	}
	switch t := w.q.Type; {
	case !t.IsMeta() || t == dns.TypeANY || t == dns.TypeAXFR || t == dns.TypeIXFR:
		return true
	case t == dns.TypeMAILA || t == dns.TypeMAILB || t == dns.TypeTKEY:
		w.fail(dns.RCodeNotImp, edeType)
	default:
		// RFC 9824 §3.5 for NXNAME, and its extended error for all the others
		// that can be nothing to ask for.
		w.fail(dns.RCodeFormErr, edeInvalidType)
	}
	return false
}

// formErr answers what cannot be read. Where that is the question, the response
// is a header, and OPT if the query seems to have had one (RFC 6891 §7).
func (w *worker) formErr(err error) {
	switch err {
	case dns.ErrBadOPT, dns.ErrManyOPT, dns.ErrOPTPlace:
		w.q.EDNS, w.q.Opts = true, nil
	}
	w.ignoreOptions()
	w.fail(dns.RCodeFormErr, nil)
}

// cookieQuery answers a query for nothing but a cookie (RFC 7873 §5.4), and
// reports whether this is one: without a question, with OPT and COOKIE.
func (w *worker) cookieQuery(err error) bool {
	if err != dns.ErrQuestionCount || w.q.Questions != 0 || w.isUpdate() || w.cookie == nil || w.q.Vers > 0 || w.malformed {
		return false
	}
	if w.standing == cookie.Bad {
		w.fail(dns.RCodeBadCookie, nil)
	}
	return true
}

// cookieMissing reports whether the client must first come back with the cookie
// that it gets now: one that knows cookies, over UDP. One that does not know
// them is served as ever (RFC 7873 §5.2.1).
func (w *worker) cookieMissing() bool {
	return w.srv.requireCookies && !w.tcp && w.sig.good == nil && (w.standing == cookie.Client || w.standing == cookie.Bad)
}
