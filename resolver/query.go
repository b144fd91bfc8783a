package resolver

import (
	"net/netip"

	"onoma/dns"
)

// allowed reports whether a client may ask.
func (r *Resolver) allowed(client netip.Addr) bool {
	client = client.Unmap()
	for _, p := range r.cfg.Allow {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

var (
	edeNotAllowed = dns.EDE{Code: dns.EDEProhibited, Text: "the access list does not have this client"}
	edeNotCached  = dns.EDE{Code: dns.EDENotAuthoritative, Text: "recursion was not desired, and the answer is not in the cache"}
	edeClass      = dns.EDE{Code: dns.EDENotSupported, Text: "only class IN is looked up"}
	edeTransfer   = dns.EDE{Code: dns.EDENotSupported, Text: "a resolver does not transfer zones"}
	edeMetaType   = dns.EDE{Code: dns.EDEInvalidQueryType, Text: "no record can have this type"}
	edeTooMany    = dns.EDE{Code: dns.EDEOther, Text: "too many questions are being looked up"}
	edeSlow       = dns.EDE{Code: dns.EDENoReachableAuthority, Text: "no answer was found in time; the look-up goes on"}
	edeClosed     = dns.EDE{Code: dns.EDENotReady, Text: "the resolver is shutting down"}
	edeTooLong    = dns.EDE{Code: dns.EDEOther, Text: "the answer does not fit into a message"}
)

// refuses says which questions are never looked up, and how they are answered.
func refuses(q dns.Question) (dns.RCode, []dns.EDE, bool) {
	switch {
	case q.Class != dns.ClassIN:
		return dns.RCodeRefused, []dns.EDE{edeClass}, true
	case q.Type == dns.TypeAXFR, q.Type == dns.TypeIXFR:
		return dns.RCodeRefused, []dns.EDE{edeTransfer}, true
	case q.Type == dns.TypeMAILA, q.Type == dns.TypeMAILB:
		return dns.RCodeNotImp, []dns.EDE{edeMetaType}, true // RFC 1035 §3.2.3: obsolete
	case q.Type == dns.TypeANY:
		return 0, nil, false
	case q.Type.IsMeta():
		return dns.RCodeFormErr, []dns.EDE{edeMetaType}, true // RFC 9824 §3.4 for NXNAME
	}
	return 0, nil, false
}

// chaos answers the names of class CH that a server has about itself (RFC 4892).
func (r *Resolver) chaos(q *dns.Query) (text string) {
	if q.Type != dns.TypeTXT && q.Type != dns.TypeANY {
		return ""
	}
	for _, c := range [...]struct {
		name dns.Name
		text string
	}{
		{nameIDServer, r.cfg.ID}, {nameHostnameBind, r.cfg.ID},
		{nameVersionBind, r.cfg.Version}, {nameVersionServer, r.cfg.Version},
	} {
		if dns.EqualNames(q.Name, []byte(c.name.Wire())) {
			return c.text[:min(len(c.text), 255)]
		}
	}
	return ""
}

var (
	nameIDServer      = dns.MustName("id.server.")
	nameHostnameBind  = dns.MustName("hostname.bind.")
	nameVersionBind   = dns.MustName("version.bind.")
	nameVersionServer = dns.MustName("version.server.")
)
