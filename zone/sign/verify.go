package sign

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// VerifyOptions say what [Verify] goes by.
type VerifyOptions struct {
	At      time.Time     // signatures have to be good then
	Left    time.Duration // and for so long after; with less they are a warning
	Anchors []dns.Record  // DS records of the parent, or DNSKEY records: one of the keys has to be among them; none: not looked at
	Compact bool          // there need not be a chain: negative answers are signed when asked
	Workers int           // goroutines that verify; 0: GOMAXPROCS
}

// maxFindings bounds what a bad zone can make us say about it.
const maxFindings = 1000

// Verify says what is wrong with a signed zone, as validators see it: every set is to
// be signed by every algorithm of the DNSKEY set (RFC 4035 §2.2), and the chain of
// NSEC or NSEC3 is to be complete and right. It knows nothing of plans.
func Verify(v *zone.Version, o VerifyOptions) []zone.Finding {
	return VerifyContext(context.Background(), v, o)
}

// VerifyContext is Verify that ctx can end early; a finding tells so.
func VerifyContext(ctx context.Context, v *zone.Version, o VerifyOptions) []zone.Finding {
	f := &verifier{VerifyOptions: o, v: v, origin: v.Origin()}
	if f.Workers == 0 {
		f.Workers = runtime.GOMAXPROCS(0)
	}
	if f.readKeys() {
		f.verifyAnchors()
		f.verifyNames(ctx)
		f.verifyNSEC3()
		f.verifyDigest()
	}
	return f.result()
}

type verifier struct {
	VerifyOptions
	v      *zone.Version
	origin dns.Name

	keys       []zoneKey
	algorithms []uint8 // that every set has to be signed with

	nsec    bool // the zone has a chain of NSEC
	pending name // whose NSEC record is to be looked at when the next name is known
	types   []byte
	ttl     uint32
	chain   *chainCheck // nil: no NSEC3
	content content
	scratch scratch

	mu       sync.Mutex
	findings []zone.Finding
	dropped  int
}

// zoneKey is a DNSKEY of the apex.
type zoneKey struct {
	dns.DNSKEY
	rdata dns.RData
	tag   uint16
}

func (f *verifier) add(s zone.Severity, code string, owner dns.Name, t dns.Type, text, cure string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.findings) >= maxFindings {
		f.dropped++
		return
	}
	f.findings = append(f.findings, zone.Finding{Severity: s, Code: code, Name: owner, Type: t, Text: text, Cure: cure})
}

func (f *verifier) result() []zone.Finding {
	slices.SortStableFunc(f.findings, func(a, b zone.Finding) int {
		return cmp.Or(int(b.Severity)-int(a.Severity), a.Name.Compare(b.Name), int(a.Type)-int(b.Type), cmp.Compare(a.Code, b.Code))
	})
	if f.dropped > 0 {
		f.findings = append(f.findings, zone.Finding{
			Severity: zone.Error, Code: "too-many-findings", Name: f.origin,
			Text: fmt.Sprintf("there are %d more findings", f.dropped), Cure: "begin with those above",
		})
	}
	return f.findings
}

const cureSign = "sign the zone anew"

// readKeys reads the keys of the zone, and reports whether there is something to
// verify with.
func (f *verifier) readKeys() bool {
	set, ok := f.v.Apex().RRset(dns.TypeDNSKEY)
	if !ok {
		f.add(zone.Error, "not-signed", f.origin, dns.TypeDNSKEY, "the zone has no DNSKEY records: it is not signed", "sign it, or take the DS records out of the parent zone")
		return false
	}
	for rd := range set.RData() {
		k, err := dns.ParseDNSKEY(rd)
		if err != nil || !k.IsZoneKey() || k.Protocol != 3 {
			continue // RFC 4034 §2.1.1 and §2.1.2
		}
		f.keys = append(f.keys, zoneKey{k, rd, k.KeyTag()})
		if k.IsRevoked() || slices.Contains(f.algorithms, k.Algorithm) {
			continue
		}
		if !dnssec.CanVerify(k.Algorithm) {
			f.add(zone.Warning, "algorithm-not-known", f.origin, dns.TypeDNSKEY,
				fmt.Sprintf("key %d has algorithm %d, whose signatures are not verified here", k.KeyTag(), k.Algorithm), "take an algorithm that validators know: ECDSAP256SHA256")
			continue
		}
		f.algorithms = append(f.algorithms, k.Algorithm)
	}
	if len(f.algorithms) == 0 {
		f.add(zone.Error, "no-zone-key", f.origin, dns.TypeDNSKEY, "none of the DNSKEY records is a key that can sign the zone", cureSign)
	}
	return len(f.algorithms) > 0
}

// verifyAnchors: one of the keys is to be one that the parent, or the validator,
// knows; and it signs the set of keys.
func (f *verifier) verifyAnchors() {
	if len(f.Anchors) == 0 {
		return
	}
	set, _ := f.v.Apex().RRset(dns.TypeDNSKEY)
	sigs, _ := set.Sigs()
	known := false
	for i := range f.keys {
		k := &f.keys[i]
		if !f.isAnchor(k) {
			continue
		}
		known = true
		if !k.IsRevoked() && hasSigBy(sigs, k.Algorithm, k.tag) {
			return // whether it is right shows where all sets are looked at
		}
	}
	if known {
		f.add(zone.Error, "anchor-does-not-sign", f.origin, dns.TypeDNSKEY, "the key that the parent's DS record names does not sign the DNSKEY set", "sign the set with that key")
		return
	}
	f.add(zone.Error, "anchor-without-key", f.origin, dns.TypeDNSKEY, "none of the keys is the one that the anchors name", "publish the key that the DS record of the parent is for, or have that record replaced")
}

func (f *verifier) isAnchor(k *zoneKey) bool {
	return slices.ContainsFunc(f.Anchors, func(r dns.Record) bool {
		if !r.Name.Equal(f.origin) {
			return false
		}
		if r.Type == dns.TypeDNSKEY {
			return string(r.Data) == string(k.rdata)
		}
		d, err := dns.ParseDS(r.Data)
		return err == nil && r.Type == dns.TypeDS && dnssec.MatchDS(f.origin, k.DNSKEY, d)
	})
}

func hasSigBy(sigs zone.RRset, algorithm uint8, tag uint16) bool {
	for rd := range sigs.RData() {
		if rd[atAlgorithm] == algorithm && be.Uint16(rd[atTag:]) == tag {
			return true
		}
	}
	return false
}

// verifyDigest verifies the ZONEMD records, where there are some (RFC 8976 §4).
func (f *verifier) verifyDigest() {
	verdict := dnssec.VerifyZONEMD(f.origin, f.v.Records())
	if verdict.Judged() && !verdict.OK() {
		f.add(zone.Error, "zonemd-wrong", f.origin, dns.TypeZONEMD, verdict.String(), "make the digest after the zone has been signed: --zonemd does")
	}
}

// verifyNames verifies the signatures of all names, those of NSEC3 records included,
// and the chain of NSEC.
func (f *verifier) verifyNames(ctx context.Context) {
	f.nsec = f.v.Apex().Has(dns.TypeNSEC)
	f.ttl = nsecTTL(f.v)
	f.chain = f.beginChain()
	if !f.nsec && f.chain == nil && !f.Compact {
		f.add(zone.Error, "no-denial", f.origin, dns.TypeNone, "the zone has neither a chain of NSEC nor one of NSEC3: what does not exist cannot be denied", cureSign)
	}
	w := &verifyWalk{verifier: f}
	w.look(f.v.Apex())
	for n := range f.v.After([]byte(f.origin.Wire()), false) {
		if w.look(n); len(w.batch.tasks) >= fullBatch {
			if ctx.Err() != nil {
				f.add(zone.Error, "not-finished", f.origin, dns.TypeNone, "verifying was ended before it was finished", "let it run")
				return
			}
			w.flush()
		}
	}
	f.endNSEC([]byte(f.origin.Wire()))
	for n := range f.v.NSEC3Owners() {
		if w.lookHashed(n); len(w.batch.tasks) >= fullBatch {
			w.flush()
		}
	}
	w.flush()
}

// verifyWalk goes over names and verifies their signatures in batches.
type verifyWalk struct {
	*verifier
	batch  batch
	hiding []byte
	buf    []byte
}

func (w *verifyWalk) flush() {
	var next atomic.Int64
	var wg sync.WaitGroup
	tasks := w.batch.tasks
	for range w.Workers {
		wg.Go(func() {
			g := &setVerifier{verifier: w.verifier}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tasks) {
					return
				}
				g.verify(&tasks[i])
			}
		})
	}
	wg.Wait()
	w.batch.reset()
}

func (w *verifyWalk) look(node zone.Node) {
	w.buf = node.AppendName(w.buf[:0])
	hidden := len(w.hiding) > 0 && isBelow(w.buf, w.hiding)
	if node.IsENT() {
		if !hidden {
			w.chain.addENT(w.buf)
		}
		return
	}
	if !hidden && isHiding(node) {
		w.hiding = append(w.hiding[:0], w.buf...)
	}
	c := &w.content
	c.read(node, hidden)
	if hidden && !c.hasMade {
		return
	}
	n := name{node: node, hidden: hidden, owner: w.batch.keep(w.buf)}
	for _, set := range c.signed {
		w.addSet(n.owner, set)
	}
	nsec, hasNSEC := node.RRset(dns.TypeNSEC)
	if hasNSEC && !hidden {
		w.addSet(n.owner, nsec)
	}
	for _, t := range c.other {
		w.add(zone.Warning, "rrsig-orphan", node.Name(), t, "there is a signature, but nothing that it should sign", "remove it")
	}
	if !hidden && len(c.types) > 0 {
		w.chain.add(w.buf, c)
	}
	w.lookNSEC(n)
}

func (w *verifyWalk) lookHashed(node zone.Node) {
	owner := w.batch.keep(node.AppendName(w.buf[:0]))
	set, ok := node.RRset(dns.TypeNSEC3)
	if !ok {
		w.add(zone.Warning, "rrsig-orphan", node.Name(), dns.TypeNSEC3, "there is a signature, but nothing that it should sign", "remove it")
		return
	}
	w.addSet(owner, set)
}

func (w *verifyWalk) addSet(owner []byte, set zone.RRset) {
	t := task{owner: owner, typ: set.Type(), ttl: set.TTL(), rdata: set.Packed(), count: set.Count()}
	if sigs, ok := set.Sigs(); ok {
		t.old, t.there = sigs.Packed(), sigs.TTL() == set.TTL()
	}
	w.batch.add(t)
}
