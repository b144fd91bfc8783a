package validator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Status is what validation came to (RFC 4035 §4.3).
type Status uint8

// From the worst to the best: an answer that has several parts is the worst of
// them.
const (
	Indeterminate Status = iota // no anchor leads there, or it could not be asked
	Bogus                       // it should be signed, and is not, or wrongly
	Insecure                    // proved not to be signed, or not by what is known here
	Secure
)

// String returns the word that RFC 4033 §5 has for it.
func (s Status) String() string {
	return [...]string{"indeterminate", "bogus", "insecure", "secure"}[s]
}

// Limits bound the work for one Look; zero is the default.
type Limits struct {
	Signatures int // checks of signatures in all; 100
	PerSet     int // checks of signatures over one set, whatever its keys' tags (CVE-2023-50387); 8
	Rounds     int // of SHA-1 for NSEC3 (CVE-2023-50868); 20,000
	Questions  int // that are asked; 100
	Aliases    int // that are followed; 12
	Zones      int // that are remembered, over all Looks; 4,096
	Octets     int // that they take, about; 16 MiB
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		v *int
		n int
	}{{&l.Signatures, 100}, {&l.PerSet, 8}, {&l.Rounds, 20000}, {&l.Questions, 100}, {&l.Aliases, 12}, {&l.Zones, 4096}, {&l.Octets, 16 << 20}} {
		if *f.v <= 0 {
			*f.v = f.n
		}
	}
	return l
}

// Options are what New needs.
type Options struct {
	// Anchors are DS or DNSKEY records that are trusted, of the root or of any zone.
	Anchors []dns.Record
	// Fetch asks the zone's servers, or a resolver, with DO and CD set; it may
	// cache. Questions for DS are the parent's to answer.
	Fetch func(context.Context, dns.Question) (*dns.Message, error)
	// Clock is time.Now where it is nil.
	Clock  func() time.Time
	Limits Limits
	// Brief has no more of a zone remembered than judging needs: Links are without
	// records and signatures.
	Brief bool
	// Proven is told of every set that was found good and proves something of other
	// names than its own: NSEC and NSEC3 sets, the SOA of negative answers, and sets
	// that come from wildcards, under the wildcard's name. Nil: nobody is.
	Proven func(context.Context, Proven)
	// Except reports whether a negative trust anchor stands at a name (RFC 7646):
	// what is there and below counts as not signed, down to the next anchor. It is
	// called often. Nil: there are none.
	Except func(dns.Name) bool
}

// Validator follows chains of trust.
type Validator struct {
	fetch   func(context.Context, dns.Question) (*dns.Message, error)
	clock   func() time.Time
	limits  Limits
	anchors map[dns.Name][]dns.DS         // by name in lower case
	except  func(dns.Name) bool           // or nil
	proven  func(context.Context, Proven) // or nil
	brief   bool
	crypto  chan struct{} // holds one for each signature that is being checked

	mu     sync.Mutex
	known  map[dns.Name]*place // by name in lower case; at most limits.Zones
	octets int                 // what known takes, about; at most limits.Octets
}

// New makes a Validator. Anchors that cannot be read are left out: New does not
// check a configuration.
func New(o Options) *Validator {
	v := &Validator{fetch: o.Fetch, clock: o.Clock, except: o.Except, proven: o.Proven, brief: o.Brief, limits: o.Limits.withDefaults(), anchors: map[dns.Name][]dns.DS{}, known: map[dns.Name]*place{}}
	v.crypto = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)) // whatever is to be validated, a processor is left for the rest
	if v.clock == nil {
		v.clock = time.Now
	}
	for _, r := range o.Anchors {
		ds, ok := anchorOf(r)
		name := r.Name.Fold()
		if ok && !slices.ContainsFunc(v.anchors[name], func(o dns.DS) bool { return string(o.RData()) == string(ds.RData()) }) {
			v.anchors[name] = append(v.anchors[name], ds)
		}
	}
	return v
}

// IsAnchored reports whether an anchor stands at a name.
func (v *Validator) IsAnchored(name dns.Name) bool { return len(v.anchors[name.Fold()]) > 0 }

// Afresh returns a Validator with the same anchors that remembers nothing yet, and
// whose Links are whole.
func (v *Validator) Afresh() *Validator {
	return &Validator{fetch: v.fetch, clock: v.clock, except: v.except, limits: v.limits, anchors: v.anchors, known: map[dns.Name]*place{}, crypto: v.crypto}
}

// With returns a Validator of the same anchors that asks by fetch, and remembers
// nothing yet.
func (v *Validator) With(fetch func(context.Context, dns.Question) (*dns.Message, error)) *Validator {
	return &Validator{fetch: fetch, clock: v.clock, except: v.except, brief: v.brief, limits: v.limits, anchors: v.anchors, crypto: v.crypto, known: map[dns.Name]*place{}}
}

// anchorOf makes a DS of either form.
func anchorOf(r dns.Record) (dns.DS, bool) {
	if r.Type == dns.TypeDS {
		ds, err := dns.ParseDS(r.Data)
		return ds, err == nil
	}
	k, err := dns.ParseDNSKEY(r.Data)
	if r.Type != dns.TypeDNSKEY || err != nil {
		return dns.DS{}, false
	}
	ds, err := dnssec.MakeDS(r.Name, k, dnssec.DigestSHA256)
	return ds, err == nil
}

// Result is what Look found.
type Result struct {
	Status Status
	RCode  dns.RCode    // NXDOMAIN for compact answers, too (RFC 9824)
	Answer []dns.Record // aliases and data, TTLs as validation leaves them (RFC 4035 §5.3.3)
	Why    string       // for people
	EDE    dns.EDE      // why it is not Secure; zero where a delegation is just not signed
	Chain  []Link       // the zones from the anchor down, in the order that they were met
	Sets   []Set        // what was looked at in the answer itself
}

// Link is one zone of the chain, for pictures and explanations.
type Link struct {
	Zone     dns.Name
	Status   Status
	Why      string
	EDE      dns.EDE
	IsAnchor bool        // DS are configured, not the parent's
	DS       []dns.DS    // none for zones that are proved not to be signed
	DSSigs   []Signature // by the parent
	Denial   []Set       // the parent's proof that there is no DS
	Keys     []Key
	KeySigs  []Signature
	DSTTL    uint32 // of the DS set, or of the proof that there is none
	KeysTTL  uint32
	Until    time.Time // how long this is remembered
}

// Key is a key of a zone's DNSKEY set.
type Key struct {
	Tag       uint16
	Algorithm uint8
	Flags     uint16
	IsTrusted bool // a DS is of this key
	Signs     bool // its signature over the set was found good
}

// Set is a set of the answer, or of its proofs.
type Set struct {
	Owner  dns.Name
	Type   dns.Type
	Zone   dns.Name // whose keys were tried
	Status Status
	Why    string
	Sigs   []Signature
	TTL    uint32 // how long a set that is Secure may be kept (RFC 4035 §5.3.3)
}

// Proven is a set that was found good, by one signature.
type Proven struct {
	Zone dns.Name
	Set  dnssec.RRset
	Sig  dns.RRSIG
	TTL  uint32 // how long it may be kept (RFC 4035 §5.3.3)
}

// tell tells who wants to know that s was found good by sig.
func (l *look) tell(z *place, s signedSet, sig *dns.RRSIG) {
	if l.proven != nil {
		l.proven(l.ctx, Proven{z.name, s.RRset, *sig, l.ttl(s, sig)})
	}
}

// Signature is what came of one signature.
type Signature struct {
	Signer                dns.Name
	KeyTag                uint16
	Algorithm             uint8
	Inception, Expiration time.Time
	IsGood                bool
	Why                   string // where it is not good; empty for those that were not tried
}

// Errors of Look.
var (
	ErrType   = errors.New("type cannot be validated")
	ErrServer = errors.New("server does not answer")
	ErrLimit  = errors.New("too much work")
)

// look is the work for one call.
type look struct {
	*Validator
	ctx    context.Context
	now    time.Time
	work   *Work
	result Result
}

// Work is what is left to be spent on validation. Its owner gives the same one to
// all that is judged on behalf of one question; it belongs to one goroutine at a time.
type Work struct {
	Signatures int // checks of signatures
	Rounds     int // of SHA-1 for NSEC3
	Questions  int // asked of Fetch
}

// Work returns the work that l allows for one question.
func (l Limits) Work() Work {
	l = l.withDefaults()
	return Work{Signatures: l.Signatures, Rounds: l.Rounds, Questions: l.Questions}
}

// Look asks for name and type and follows aliases. An error says that something
// could not be asked; the Result then has what was found until there.
func (v *Validator) Look(ctx context.Context, name dns.Name, t dns.Type) (Result, error) {
	work := v.limits.Work()
	l := &look{Validator: v, ctx: ctx, now: v.clock(), work: &work}
	return l.run(name, t, l.follow)
}

// run does the work, and turns its error into a result.
func (l *look) run(name dns.Name, t dns.Type, work func(dns.Name, dns.Type) error) (Result, error) {
	if !CanJudge(t) {
		l.fail(Indeterminate, dns.EDEInvalidQueryType, "%s: %v", t, ErrType)
		return l.result, fmt.Errorf("validating %s %s: %w", name, t, ErrType)
	}
	l.result.Status = Secure
	if err := work(name, t); err != nil {
		if errors.Is(err, ErrLimit) {
			l.fail(Bogus, dns.EDEOther, "%v", err)
			return l.result, nil
		}
		l.fail(Indeterminate, dns.EDENoReachableAuthority, "%v", err)
		return l.result, fmt.Errorf("validating %s %s: %w", name, t, err)
	}
	return l.result, nil
}

// CanJudge reports whether anything can be proved of a type: nothing signs
// signatures, and of several types at once nothing is denied.
func CanJudge(t dns.Type) bool { return !t.IsMeta() && t != dns.TypeRRSIG && t != dns.TypeSIG }

// follow goes from alias to alias. The target is asked for anew each time: what a
// server adds to an alias is not needed.
func (l *look) follow(name dns.Name, t dns.Type) error {
	for range l.limits.Aliases + 1 {
		msg, err := l.ask(name, t)
		if err != nil {
			return err
		}
		next, err := l.step(name, t, msg)
		if err != nil || next.IsZero() || l.result.Status <= Bogus {
			return err
		}
		name = next
	}
	return fmt.Errorf("%w: more than %d aliases", ErrLimit, l.limits.Aliases)
}

// step judges one answer, and returns where an alias leads.
func (l *look) step(name dns.Name, t dns.Type, msg *dns.Message) (next dns.Name, err error) {
	sets := collect(msg.Answer)
	l.result.RCode = dns.RCodeNoError
	if s := redirection(sets, name); s != nil {
		if ok, err := l.positive(*s, msg); !ok || err != nil {
			return dns.Name{}, err
		}
		return l.redirect(name, s), nil
	}
	if s := find(sets, name, t); s != nil {
		_, err := l.positive(*s, msg)
		return dns.Name{}, err
	}
	if s := find(sets, name, dns.TypeCNAME); s != nil {
		if ok, err := l.positive(*s, msg); !ok || err != nil {
			return dns.Name{}, err
		}
		return s.RData[0].Target(dns.TypeCNAME), nil
	}
	l.result.RCode = msg.RCode
	return dns.Name{}, l.negative(name, t, msg)
}

// redirect is where a DNAME leads; none where that would be too long a name (RFC
// 6672 §2.2).
func (l *look) redirect(name dns.Name, s *signedSet) dns.Name {
	target := s.RData[0].Target(dns.TypeDNAME)
	next, err := name.Rebase(s.Owner, target)
	if err != nil || target.IsZero() {
		l.result.RCode = dns.RCodeYXDomain
		return dns.Name{}
	}
	return next
}

// ask fetches an answer of NOERROR or NXDOMAIN.
func (l *look) ask(name dns.Name, t dns.Type) (*dns.Message, error) {
	if l.work.Questions--; l.work.Questions < 0 {
		return nil, fmt.Errorf("%w: more than %d questions", ErrLimit, l.limits.Questions)
	}
	msg, err := l.fetch(l.ctx, dns.Question{Name: name, Type: t, Class: dns.ClassIN})
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for %s %s: %w", name, t, err)
	case msg == nil:
		return nil, fmt.Errorf("asking for %s %s: %w", name, t, ErrServer)
	case msg.RCode != dns.RCodeNoError && msg.RCode != dns.RCodeNXDomain && msg.RCode != dns.RCodeYXDomain:
		return nil, fmt.Errorf("asking for %s %s: %w: %s", name, t, ErrServer, msg.RCode)
	}
	return msg, nil
}

// fail lowers the result's status; the first reason of the lowest one stays.
func (l *look) fail(s Status, code dns.EDECode, format string, args ...any) {
	if s >= l.result.Status && l.result.Why != "" {
		return
	}
	l.result.Status, l.result.Why, l.result.EDE = s, fmt.Sprintf(format, args...), dns.EDE{}
	if s != Insecure || code != dns.EDEOther {
		l.result.EDE = dns.EDE{Code: code, Text: l.result.Why}
	}
}

// explain says why the result is Secure, if it is.
func (l *look) explain(why string) {
	if l.result.Status == Secure {
		l.result.Why = why
	}
}
