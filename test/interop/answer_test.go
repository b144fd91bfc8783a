package interop

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// answer is what is compared of a message: sections as sets of records in presentation form, TTL included.
//
// Normalisation, all of it:
//   - Names are lower-cased, owners and those in the rdata of types that may be compressed: a server that compresses
//     against the question shows the question's case (RFC 4343 §4.1).
//   - The order of records, and of sections' repeated records, does not count. (That onoma repeats none is checked apart.)
//   - Of EDNS only its presence, version and DO count: sizes and options are each server's own.
//   - Additional records of answers that are not referrals do not count: they are optional (RFC 1034 §4.3.2 step 6),
//     onoma sends none, and not every peer can be told to. (That onoma sends none is checked apart.)
//   - In a referral that has no room left, only in-domain glue counts: other addresses are sent as far as they fit
//     (RFC 9471 §3.2), and which come first is each server's choice.
type answer struct {
	failure    string // no answer at all, and why
	rcode      string
	aa, tc, ad bool
	edns       string
	answer     []string
	authority  []string
	additional []string
	repeats    bool // a record is twice in the message
	surplus    bool // additional records outside of a referral
	full       bool // there was no room for another address
	cut        string
}

// normal brings a message, or the failure to get one, into the form that is compared.
func normal(msg []byte, room int, err error) answer {
	if err != nil {
		return answer{failure: err.Error()}
	}
	m, err := unpack(msg)
	if err != nil {
		return answer{failure: err.Error()}
	}
	a := contents(m)
	a.full = len(msg)+addressSize > room
	return a
}

// addressSize is what one more AAAA record takes, its owner compressed. A server stops at the
// first record that does not fit, and may have kept room for a larger one before.
const addressSize = 2 * (2 + 10 + 16)

// contents is normal for a message that was never packed.
func contents(m *dns.Msg) answer {
	a := answer{rcode: dns.RcodeToString[m.Rcode], aa: m.Authoritative, tc: m.Truncated, ad: m.AuthenticatedData}
	if a.rcode == "" {
		a.rcode = fmt.Sprint("RCODE", m.Rcode)
	}
	if opt := m.IsEdns0(); opt != nil {
		a.edns = fmt.Sprintf("version %d do %v", opt.Version(), opt.Do())
	}
	a.answer = a.set(m.Answer)
	a.authority = a.set(m.Ns)
	if cut, ok := referralTo(m); ok {
		a.additional = a.set(m.Extra)
		a.cut = strings.ToLower(cut)
	} else {
		a.surplus = len(a.set(m.Extra)) > 0
	}
	return a
}

// referralTo is the zone that a message points to: the owner of name servers in its authority section.
func referralTo(m *dns.Msg) (cut string, ok bool) {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNS {
			return rr.Header().Name, true
		}
	}
	return "", false
}

// inDomain are the additional records that belong to name servers inside the zone that is referred to: the glue
// without which there is no going on.
func (a *answer) inDomain() []string {
	var list []string
	for _, rr := range a.additional {
		if owner, _, _ := strings.Cut(rr, " "); dns.IsSubDomain(a.cut, owner) {
			list = append(list, rr)
		}
	}
	return list
}

func (a *answer) set(section []dns.RR) []string {
	list := make([]string, 0, len(section))
	for _, rr := range section {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		list = append(list, text(rr))
	}
	slices.Sort(list)
	n := len(list)
	list = slices.Compact(list)
	a.repeats = a.repeats || len(list) < n
	return list
}

// text is a record with its names in lower case.
func text(rr dns.RR) string {
	rr.Header().Name = strings.ToLower(rr.Header().Name)
	switch rr := rr.(type) {
	case *dns.NS:
		rr.Ns = strings.ToLower(rr.Ns)
	case *dns.CNAME:
		rr.Target = strings.ToLower(rr.Target)
	case *dns.DNAME:
		rr.Target = strings.ToLower(rr.Target)
	case *dns.PTR:
		rr.Ptr = strings.ToLower(rr.Ptr)
	case *dns.MX:
		rr.Mx = strings.ToLower(rr.Mx)
	case *dns.SOA:
		rr.Ns, rr.Mbox = strings.ToLower(rr.Ns), strings.ToLower(rr.Mbox)
	case *dns.RRSIG:
		rr.SignerName = strings.ToLower(rr.SignerName)
	case *dns.NSEC:
		rr.NextDomain = strings.ToLower(rr.NextDomain)
	}
	return strings.Join(strings.Fields(rr.String()), " ")
}

// The kinds of difference.
const (
	kindFailure    = "failure"
	kindRcode      = "rcode"
	kindAA         = "aa"
	kindTC         = "tc"
	kindAD         = "ad"
	kindEDNS       = "edns"
	kindAnswer     = "answer"
	kindAuthority  = "authority"
	kindAdditional = "additional"
)

// difference is one way in which a peer's answer is not ours.
type difference struct {
	q            *question
	peer         string
	kind         string
	ours, theirs string   // of everything but sections
	extra        []string // of a section: records that only we sent
	missing      []string // and those that only the peer sent
	mine, other  *answer  // the whole answers
	alone        bool     // nobody at all gives our answer
}

func (d *difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s (%s) %s: %s", d.q.set, d.q.name, dns.Type(d.q.typ), d.q.mode, d.peer, d.kind)
	if d.alone {
		b.WriteString(" (nobody agrees with us)")
	}
	if d.ours != d.theirs {
		fmt.Fprintf(&b, " ours %s, theirs %s", d.ours, d.theirs)
	}
	for _, rr := range d.extra {
		fmt.Fprintf(&b, "\n    only ours:   %s", shorten(rr))
	}
	for _, rr := range d.missing {
		fmt.Fprintf(&b, "\n    only theirs: %s", shorten(rr))
	}
	return b.String()
}

func shorten(rr string) string {
	if len(rr) > 160 {
		return rr[:150] + "..."
	}
	return rr
}

// compare lists how a peer's answer differs from ours.
func compare(q *question, peer string, mine, other *answer) []*difference {
	var list []*difference
	add := func(kind, ours, theirs string) {
		if ours != theirs {
			list = append(list, &difference{q: q, peer: peer, kind: kind, ours: ours, theirs: theirs, mine: mine, other: other})
		}
	}
	add(kindFailure, mine.failure, other.failure)
	if len(list) > 0 {
		return list
	}
	add(kindRcode, mine.rcode, other.rcode)
	add(kindAA, fmt.Sprint(mine.aa), fmt.Sprint(other.aa))
	add(kindTC, fmt.Sprint(mine.tc), fmt.Sprint(other.tc))
	add(kindAD, fmt.Sprint(mine.ad), fmt.Sprint(other.ad))
	add(kindEDNS, mine.edns, other.edns)
	section := func(kind string, ours, theirs []string) {
		if slices.Equal(ours, theirs) {
			return
		}
		list = append(list, &difference{q: q, peer: peer, kind: kind, mine: mine, other: other,
			extra: without(ours, theirs), missing: without(theirs, ours)})
	}
	section(kindAnswer, mine.answer, other.answer)
	section(kindAuthority, mine.authority, other.authority)
	switch {
	case mine.surplus || other.surplus: // then the authority sections tell the difference
	case mine.full || other.full:
		section(kindAdditional, mine.inDomain(), other.inDomain())
	default:
		section(kindAdditional, mine.additional, other.additional)
	}
	return list
}

func without(list, other []string) []string {
	var rest []string
	for _, x := range list {
		if !slices.Contains(other, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
