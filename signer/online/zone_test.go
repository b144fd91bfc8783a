package online

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

var origin = dns.MustName("example.")

// at is the time of most tests: not the start of any period.
var at = time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)

type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.now.Store(at.UnixNano())
	return c
}

func (c *clock) time() time.Time         { return time.Unix(0, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

func newKey(t testing.TB, algorithm uint8) *dnssec.Key {
	t.Helper()
	k, err := dnssec.GenerateKey(nil, algorithm, 0, dns.DNSKEYZone)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newZone(t testing.TB, o Options, keys ...*dnssec.Key) *Zone {
	t.Helper()
	z := New(o).Zone(ZoneOptions{Origin: origin})
	z.SetKeys(keys)
	return z
}

// txt is a set of texts, packed.
func txt(owner string, known bool, texts ...string) *zone.Unsigned {
	u := &zone.Unsigned{Owner: []byte(dns.MustName(owner).Wire()), Type: dns.TypeTXT, TTL: 300, Known: known}
	for _, text := range texts {
		data := dns.NewTXT(text)
		u.Packed = append(binary.BigEndian.AppendUint16(u.Packed, uint16(len(data))), data...)
	}
	return u
}

// unpack returns the signatures in packed form.
func unpack(t testing.TB, packed []byte) (sigs []dns.RRSIG) {
	t.Helper()
	for len(packed) > 0 {
		end := 2 + int(binary.BigEndian.Uint16(packed))
		s, err := dns.ParseRRSIG(packed[2:end])
		if err != nil {
			t.Fatal(err)
		}
		sigs, packed = append(sigs, s), packed[end:]
	}
	return sigs
}

// TestSignaturesHold by the judgement of package dnssec, for each algorithm and for several keys.
func TestSignaturesHold(t *testing.T) {
	keys := []*dnssec.Key{newKey(t, dnssec.ECDSAP256SHA256), newKey(t, dnssec.ED25519), newKey(t, dnssec.ECDSAP384SHA384), newKey(t, dnssec.ED448), newKey(t, dnssec.RSASHA256)}
	c := newClock()
	z := newZone(t, Options{Clock: c.time}, keys...)
	for _, owner := range []string{"example.", "a.b.example.", "MiXeD.Example.", "*.example.", "a.*.example."} {
		u := txt(owner, true, "a", "b")
		u.Patient = true
		packed, outcome := z.Sign(nil, u)
		if outcome != zone.Signed {
			t.Fatalf("%s: outcome %d", owner, outcome)
		}
		sigs := unpack(t, packed)
		if len(sigs) != len(keys) {
			t.Fatalf("%s: %d signatures, expected %d", owner, len(sigs), len(keys))
		}
		set := dnssec.RRset{Owner: dns.MustName(owner), Type: dns.TypeTXT, Class: dns.ClassIN, TTL: 300, RData: []dns.RData{dns.NewTXT("a"), dns.NewTXT("b")}}
		for i, s := range sigs {
			for _, when := range []time.Time{at, at.Add(-time.Hour + time.Minute), at.Add(48 * time.Hour)} {
				if err := dnssec.VerifyRRset(set, &s, keys[i].DNSKEY(), when); err != nil {
					t.Errorf("%s by %s at %s: %v", owner, dnssec.AlgorithmName(s.Algorithm), when, err)
				}
			}
		}
	}
}

// TestAllServersSayTheSame: within a period, whenever and wherever, whatever the case of the name.
func TestAllServersSayTheSame(t *testing.T) {
	for _, algorithm := range []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519} {
		key := newKey(t, algorithm)
		here, there := newClock(), newClock()
		a, b := newZone(t, Options{Clock: here.time}, key), newZone(t, Options{Clock: there.time}, key)
		left := time.Duration(period-(at.Unix()-int64(begin([]byte(dns.MustName("x.example.").Wire()), at)))) * time.Second
		there.advance(left - time.Second)
		first, _ := a.Sign(nil, txt("x.example.", false, "a"))
		second, _ := b.Sign(nil, txt("X.eXample.", false, "a"))
		if string(first) != string(second) {
			t.Errorf("%s: two servers give different signatures\n%x\n%x", dnssec.AlgorithmName(algorithm), first, second)
		}
		there.advance(time.Second)
		if third, _ := b.Sign(nil, txt("x.example.", false, "a")); string(third) == string(second) {
			t.Error("the next period has the same signature")
		}
	}
}

// TestPeriodsBeginAtDifferentTimes, so that not everything is signed anew in the same second.
func TestPeriodsBeginAtDifferentTimes(t *testing.T) {
	var minutes [60]int
	for i := range 6000 {
		name := dns.MustName(fmt.Sprintf("www%d.example.", i))
		minutes[(at.Unix()-int64(begin([]byte(name.Wire()), at)))/60]++
	}
	for m, n := range minutes {
		if n < 50 || n > 200 {
			t.Errorf("%d of 6000 names begin %d minutes ago, expected about 100", n, m)
		}
	}
}

// TestWhatDiffersIsSignedAnew: everything that a signature depends on is part of what the cache knows it by.
func TestWhatDiffersIsSignedAnew(t *testing.T) {
	key := newKey(t, dnssec.ED25519)
	z := newZone(t, Options{Clock: newClock().time}, key)
	sets := map[string]*zone.Unsigned{
		"one": txt("a.example.", true, "a"), "owner": txt("b.example.", true, "a"), "rdata": txt("a.example.", true, "b"),
		"more": txt("a.example.", true, "a", "b"), "type": txt("a.example.", true, "a"), "ttl": txt("a.example.", true, "a"),
	}
	sets["type"].Type, sets["ttl"].TTL = dns.TypeSPF, 301
	seen := make(map[string]string)
	for range 2 {
		for name, u := range sets {
			sigs, outcome := z.Sign(nil, u)
			if outcome != zone.Signed {
				t.Fatal(name, outcome)
			}
			if other, ok := seen[string(sigs)]; ok && other != name {
				t.Errorf("%s has the signature of %s", name, other)
			}
			seen[string(sigs)] = name
		}
	}
	if c := z.Counts(); c.Signed != uint64(len(sets)) || c.Hits != uint64(len(sets)) {
		t.Errorf("%+v, expected %d signatures and as many hits", c, len(sets))
	}
	again, err := dnssec.NewKey(key.DNSKEY(), key.Private()) // the same, loaded once more
	if err != nil {
		t.Fatal(err)
	}
	z.SetKeys([]*dnssec.Key{again})
	z.Sign(nil, sets["one"])
	if c := z.Counts(); c.Signed != uint64(len(sets)) {
		t.Error("the same key is another")
	}
	z.SetKeys([]*dnssec.Key{newKey(t, dnssec.ED25519)})
	if sigs, _ := z.Sign(nil, sets["one"]); seen[string(sigs)] != "" {
		t.Error("another key has the same signature")
	}
	z.SetKeys(nil)
	if _, outcome := z.Sign(nil, sets["one"]); outcome != zone.Refused || z.Counts().Failed != 1 {
		t.Errorf("without a key the outcome is %d", outcome)
	}
}

// TestSlowKeysSignForThePatient, and what they have signed is there for everybody.
func TestSlowKeysSignForThePatient(t *testing.T) {
	z := newZone(t, Options{Clock: newClock().time}, newKey(t, dnssec.RSASHA256))
	u := txt("a.example.", true, "a")
	if _, outcome := z.Sign(nil, u); outcome != zone.Later {
		t.Fatalf("outcome %d, expected Later", outcome)
	}
	u.Patient = true
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { z.Sign(nil, u) })
	}
	wg.Wait()
	u.Patient = false
	if _, outcome := z.Sign(nil, u); outcome != zone.Signed || z.Counts().Signed != 1 {
		t.Errorf("outcome %d after %d signatures, expected one that is found", outcome, z.Counts().Signed)
	}
}

// TestFloodOfMadeUpNames: the work for it is bounded, and what the zone has is signed all the while; another zone, too.
func TestFloodOfMadeUpNames(t *testing.T) {
	c := newClock()
	s := New(Options{Clock: c.time, PerSecond: 1000, Cache: 1 << 20})
	attacked, other := s.Zone(ZoneOptions{Origin: origin}), s.Zone(ZoneOptions{Origin: dns.MustName("org.example.")})
	key := newKey(t, dnssec.ED25519)
	attacked.SetKeys([]*dnssec.Key{key})
	other.SetKeys([]*dnssec.Key{key})
	const seconds, perSecond = 4, 25_000
	var buf []byte
	for i := range seconds * perSecond {
		c.advance(time.Second / perSecond)
		attacked.Sign(buf[:0], txt(fmt.Sprintf("x%d.example.", i), false, "a"))
		if i%250 == 0 { // 100 a second of each
			if _, outcome := attacked.Sign(buf[:0], txt(fmt.Sprintf("www%d.example.", i), true, "a")); outcome != zone.Signed {
				t.Fatalf("a name of the zone: outcome %d after %d made-up names", outcome, i)
			}
			if _, outcome := other.Sign(buf[:0], txt(fmt.Sprintf("www%d.org.example.", i), false, "a")); outcome != zone.Signed {
				t.Fatalf("another zone: outcome %d after %d made-up names", outcome, i)
			}
		}
	}
	made := attacked.Counts()
	if most := uint64(500*seconds + 500/4 + 100*seconds); made.Signed > most || made.Signed < most*9/10 {
		t.Errorf("%d signatures in %d seconds, expected up to %d", made.Signed, seconds, most)
	}
	if made.Refused+made.Signed+made.Hits != seconds*perSecond+seconds*100 {
		t.Errorf("%+v does not add up", made)
	}
	if n := s.Octets(); n > 1<<20 {
		t.Errorf("%d octets are in use, the limit is %d", n, 1<<20)
	}
}

// TestClockThatJumps: neither direction stops the signing for long.
func TestClockThatJumps(t *testing.T) {
	c := newClock()
	z := newZone(t, Options{Clock: c.time, PerSecond: 1000}, newKey(t, dnssec.ED25519))
	for i, jump := range []time.Duration{0, 24 * time.Hour, -48 * time.Hour, -365 * 24 * time.Hour} {
		c.advance(jump)
		c.advance(time.Second)
		if _, outcome := z.Sign(nil, txt(fmt.Sprintf("x%d.example.", i), false, "a")); outcome != zone.Signed {
			t.Errorf("outcome %d after a jump by %s", outcome, jump)
		}
	}
}

// TestHitsDoNotAllocate holds the package to its promise.
func TestHitsDoNotAllocate(t *testing.T) {
	z := newZone(t, Options{}, newKey(t, dnssec.ECDSAP256SHA256))
	u := txt("a.example.", true, "a")
	u.Type = dns.TypeMX // whose name is folded
	u.Packed = append([]byte{0, 11, 0, 1}, dns.MustName("MX.Test.").Wire()...)
	buf := make([]byte, 0, 512)
	z.Sign(buf, u)
	if n := testing.AllocsPerRun(100, func() {
		if _, outcome := z.Sign(buf, u); outcome != zone.Signed {
			t.Error(outcome)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// TestManyAtOnce is for the race detector: zones, keys and the cache under many goroutines.
func TestManyAtOnce(t *testing.T) {
	z := newZone(t, Options{Cache: 64 << 10, PerSecond: 1e9}, newKey(t, dnssec.ED25519))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				u := txt(fmt.Sprintf("x%d.example.", (i*7+g)%97), i%2 == 0, "a")
				sigs, outcome := z.Sign(nil, u)
				if outcome != zone.Signed || len(unpack(t, sigs)) != 1 {
					t.Error(outcome)
				}
				if i%100 == g {
					z.SetKeys([]*dnssec.Key{newKey(t, dnssec.ED25519)})
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519, dnssec.ECDSAP384SHA384, dnssec.ED448, dnssec.RSASHA256} {
		z := newZone(b, Options{PerSecond: 1e9}, newKey(b, algorithm))
		u := txt("a.example.", true, "a")
		u.Patient = true
		buf := make([]byte, 0, 1024)
		b.Run("miss/"+dnssec.AlgorithmName(algorithm), func(b *testing.B) {
			for i := range b.N {
				u.TTL = uint32(i)
				if _, outcome := z.Sign(buf, u); outcome != zone.Signed {
					b.Fatal(outcome)
				}
			}
		})
		b.Run("hit/"+dnssec.AlgorithmName(algorithm), func(b *testing.B) {
			for range b.N {
				z.Sign(buf, u)
			}
		})
	}
}

// TestClockBehind: where the clock says less than is known, signatures are good by it and by what is known.
func TestClockBehind(t *testing.T) {
	c := newClock()
	known := c.time()
	z := newZone(t, Options{Clock: c.time, PerSecond: 1000}, newKey(t, dnssec.ED25519))
	z.NotBefore(known)
	for _, back := range []time.Duration{50 * 365 * 24 * time.Hour, -50*365*24*time.Hour + 3*time.Hour} {
		c.advance(-back)
		packed, outcome := z.Sign(nil, txt("x.example.", false, "a"))
		if outcome != zone.Signed {
			t.Fatalf("outcome %d", outcome)
		}
		s, err := dns.ParseRRSIG(packed[2:])
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []time.Time{known, c.time()} {
			if now := uint32(at.Unix()); int32(now-s.Inception) < 0 || int32(s.Expiration-now) < 0 {
				t.Errorf("%v back: it is good from %d to %d, not at %v", back, s.Inception, s.Expiration, at)
			}
		}
	}
}
