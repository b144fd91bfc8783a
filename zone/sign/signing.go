package sign

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// signing is one run: a plan is applied to what an Editor has.
type signing struct {
	plan   *Plan
	e      *zone.Editor
	out    sink          // takes what is signed: e, or a copy of from
	from   *zone.Version // what e has, while that is copied; else nil
	head   *zone.Version // whose signatures are trusted where the records are the same; may be nil
	at     time.Time
	origin dns.Name
	class  dns.Class
	signer []byte // the origin as signatures have it
	room   []byte // for the rdata of a signature without the signature
	verify bool   // signatures that head does not have are looked at too

	ttl     uint32 // of NSEC and NSEC3
	signers []*signer
	content content
	scratch scratch
	report  Report
	changed bool

	quick bool
	left  atomic.Int64 // signatures that may be made where it must be quick
}

// sink takes sets and their signatures.
type sink interface {
	PutRRset(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (changed bool, err error)
	PutSigs(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (changed bool, err error)
}

// limit has signing be quick.
func (s *signing) limit(signatures int64) {
	s.quick = true
	s.left.Store(signatures)
}

// mayMake reports whether one more signature may be made.
func (s *signing) mayMake(k *Key) bool {
	return !s.quick || !k.IsSlow() && s.left.Add(-1) >= 0
}

func (p *Plan) begin(e *zone.Editor, head *zone.Version, at time.Time) (*signing, error) {
	v := e.View()
	if v == nil {
		return nil, zone.ErrSpent
	}
	s := &signing{plan: p, e: e, out: e, head: head, at: at, origin: v.Origin(), class: v.Class()}
	s.signer = dns.AppendFolded(nil, []byte(s.origin.Wire()))
	s.room = make([]byte, atSigner+len(s.signer))
	s.signers = []*signer{{s: s}}
	if err := p.check(s.origin); err != nil {
		return nil, fmt.Errorf("signing %s: %w", s.origin, err)
	}
	return s, nil
}

// view returns the zone as it is now.
func (s *signing) view() *zone.Version {
	if s.from != nil {
		return s.from
	}
	return s.e.View()
}

func (s *signing) top() []byte { return []byte(s.origin.Wire()) }

// putApex puts what the plan wants at the apex: the sets of keys, NSEC3PARAM, and
// what will be the ZONEMD records.
func (s *signing) putApex() error {
	for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		if err := s.putKeys(t); err != nil {
			return err
		}
	}
	if err := s.putParams(); err != nil {
		return err
	}
	return s.prepareZONEMD()
}

func (s *signing) putKeys(t dns.Type) error {
	var list []dns.RData
	ttl := uint32(0)
	for _, r := range s.plan.Apex {
		if r.Type == t {
			list = append(list, r.Data)
			ttl = r.TTL
		}
	}
	slices.SortFunc(list, func(a, b dns.RData) int { return dns.CompareCanonicalRData(t, a, b) })
	list = slices.CompactFunc(list, func(a, b dns.RData) bool { return dns.EqualRData(t, a, b) })
	var packed []byte
	for _, rd := range list {
		packed = packOne(packed, rd)
	}
	changed, err := s.e.PutRRset(s.top(), t, ttl, packed, len(list))
	s.changed = s.changed || changed
	return err
}

// putParams: RFC 5155 §4: the record is for servers, and its flags are zero. Its TTL
// is that of no cache.
func (s *signing) putParams() error {
	var packed []byte
	n := 0
	if d := &s.plan.Denial; d.Kind == NSEC3 {
		rd := dns.NSEC3PARAM{Hash: dnssec.NSEC3SHA1, Iterations: d.Iterations, Salt: d.Salt}.RData()
		packed, n = packOne(nil, rd), 1
	}
	changed, err := s.e.PutRRset(s.top(), dns.TypeNSEC3PARAM, 0, packed, n)
	s.changed = s.changed || changed
	return err
}

// isWanted reports whether signatures are made over sets of that type by walking:
// the digest of the zone comes last.
func (s *signing) isWanted(t dns.Type, top bool) bool {
	return !(top && t == dns.TypeZONEMD && len(s.plan.ZONEMD) > 0)
}

// name is a name that is looked at.
type name struct {
	owner  []byte // of the batch
	node   zone.Node
	head   zone.Node // where there is a head
	hidden bool
}

func (s *signing) headNode(owner []byte) zone.Node {
	if s.head == nil {
		return zone.Node{}
	}
	return s.head.Find(owner)
}

// addSets adds the tasks of all sets of the name but NSEC. s.content is its own.
func (s *signing) addSets(b *batch, n name) {
	c := &s.content
	top := len(n.owner) == s.origin.Len()
	if s.plan.isSigned() {
		for _, set := range c.signed {
			if s.isWanted(set.Type(), top) {
				t := task{owner: n.owner, typ: set.Type(), ttl: set.TTL(), rdata: set.Packed(), count: set.Count()}
				s.remember(&t, set, n.head)
				b.add(t)
			}
		}
	} else {
		for _, set := range c.signed {
			if _, ok := set.Sigs(); ok {
				b.add(task{owner: n.owner, typ: set.Type(), bare: true})
			}
		}
	}
	for _, t := range c.other {
		b.add(task{owner: n.owner, typ: t, bare: true})
	}
}

// remember finds the signatures that a task may keep. set is what the zone has of
// the same content, or zero; head the node of the same name in s.head.
func (s *signing) remember(t *task, set zone.RRset, head zone.Node) {
	if sigs, ok := set.Sigs(); ok {
		t.old, t.there = sigs.Packed(), sigs.TTL() == t.ttl
	}
	was, _ := head.RRset(t.typ)
	before, ok := was.Sigs()
	switch isSame := ok && was.TTL() == t.ttl && string(was.Packed()) == string(t.rdata); {
	case isSame && !s.verify && t.old != nil:
		t.trusted = true // they are head's, or Renew has made them
	case isSame:
		t.there = t.there && string(t.old) == string(before.Packed())
		t.old, t.trusted = before.Packed(), true
	case !s.verify:
		t.old, t.there = nil, false
	}
}

// addNSEC adds the task of a name's NSEC record.
func (s *signing) addNSEC(b *batch, n name, next, bitmap []byte) {
	rd := dns.AppendFolded(s.scratch.name[:0], next)
	packed := make([]byte, 0, 2+len(rd)+len(bitmap))
	packed = append(append(append(packed, byte((len(rd)+len(bitmap))>>8), byte(len(rd)+len(bitmap))), rd...), bitmap...)
	packed = b.keep(packed)
	t := task{owner: n.owner, typ: dns.TypeNSEC, ttl: s.ttl, rdata: packed, count: 1, put: true}
	s.addMade(b, t, n.node, n.head)
}

// addMade adds the task of an NSEC or NSEC3 set, of which node may have the same.
func (s *signing) addMade(b *batch, t task, node, head zone.Node) {
	set, _ := node.RRset(t.typ)
	if !set.IsZero() && set.TTL() == t.ttl && string(set.Packed()) == string(t.rdata) {
		t.put = false
	} else {
		set = zone.RRset{}
	}
	s.remember(&t, set, head)
	b.add(t)
}
