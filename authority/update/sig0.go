package update

import (
	"sync/atomic"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
)

// What is wrong with signatures by public keys. RFC 2931 §3.2 leaves the response
// open; NOTAUTH is what TSIG has.
var (
	errSIG0      = refuse(dns.RCodeNotAuth, dns.EDEOther, "the SIG(0) is malformed")
	errSIG0Key   = refuse(dns.RCodeNotAuth, dns.EDEOther, "the SIG(0) is of no KEY record here")
	errSIG0Time  = refuse(dns.RCodeNotAuth, dns.EDEOther, "the SIG(0) is not valid now: compare the clocks")
	errSIG0Wrong = refuse(dns.RCodeNotAuth, dns.EDEOther, "the SIG(0) is wrong: another key, or the message was changed")
	errSIG0Many  = refuse(dns.RCodeServFail, dns.EDENotReady, "too many SIG(0) to check, try again later")
)

// mostKeys is how many keys of one signer with the same tag are tried: tags are
// short, and a signature takes time (as CVE-2023-50387 had it with DNSSEC).
const mostKeys = 2

// checkSIG0 returns the name of the key that the request is signed with, the zero
// Name where it has no SIG(0). The key is a KEY record in a zone that is served here
// (RFC 2931 §2.4, RFC 3007 §2), put there by who may.
func (h *Handler) checkSIG0(u *authority.UpdateRequest) (dns.Name, *Error) {
	if u.Query.SIG0At == 0 {
		return dns.Name{}, nil
	}
	sig, err := dnssec.ReadSIG0(u.Msg, u.Query.SIG0At)
	switch {
	case err != nil:
		return dns.Name{}, errSIG0
	case !sig.IsTimely(u.Now):
		return dns.Name{}, errSIG0Time
	}
	tried := 0
	for key := range u.Records(sig.Signer, dns.TypeKEY) {
		if !sig.IsBy(key) {
			continue
		}
		if tried++; tried > mostKeys {
			break
		}
		if !h.sig0.take(u.Now) {
			return dns.Name{}, errSIG0Many
		}
		if sig.Verify(u.Msg, key, u.Now) == nil {
			return sig.Signer, nil
		}
	}
	if tried == 0 {
		return dns.Name{}, errSIG0Key
	}
	return dns.Name{}, errSIG0Wrong
}

// pace lets something happen so many times a second on average, and a second's
// worth at once.
type pace struct {
	every int64        // nanoseconds between two
	next  atomic.Int64 // when the next one would be, were they evenly spread
}

func perSecond(n int) int64 { return max(1, int64(time.Second)/int64(n)) }

func (p *pace) take(now time.Time) bool {
	for {
		next := p.next.Load()
		from := max(next, now.UnixNano()-int64(time.Second))
		if from > now.UnixNano() {
			return false
		}
		if p.next.CompareAndSwap(next, from+p.every) {
			return true
		}
	}
}
