package cache

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"onoma/dns"
)

// provenSet makes a set of a line of a zone file.
func provenSet(line string) *RRset {
	r := dns.MustRecord(line)
	return &RRset{Name: r.Name, Type: r.Type, TTL: r.TTL, Data: []dns.RData{r.Data}, Sigs: []dns.RData{{0, 47, 13, 2}}}
}

const (
	hashA = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
	hashB = "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
)

// TestOnlyWhatTheZoneMaySay: sets that four resolvers used for names that were none
// of their zone's are not known here.
func TestOnlyWhatTheZoneMaySay(t *testing.T) {
	for _, c := range []struct {
		why, line string
		ok        bool
	}{
		{"as it should be", "a.example. 300 NSEC c.example. A RRSIG NSEC", true},
		{"the last one", "z.example. 300 NSEC example. A RRSIG NSEC", true},
		{"next name outside the zone", "a.example. 300 NSEC c.examplf. A RRSIG NSEC", false},
		{"next name above the zone", "a.example. 300 NSEC . A RRSIG NSEC", false},
		{"owner outside the zone", "a.other. 300 NSEC c.example. A RRSIG NSEC", false},
		{"made for one name", `a.example. 300 NSEC \000.a.example. A RRSIG NSEC`, false},
		{"made for one name, which does not exist", `a.example. 300 NSEC \000.a.example. RRSIG NSEC TYPE128`, true},
		{"as it should be", hashA + ".example. 300 NSEC3 1 0 0 - " + hashB + " A RRSIG", true},
		{"with a salt, and iterated", hashA + ".example. 300 NSEC3 1 0 10 AABB " + hashB + " A RRSIG", true},
		{"iterated too often", hashA + ".example. 300 NSEC3 1 0 11 - " + hashB + " A RRSIG", false},
		{"opt-out", hashA + ".example. 300 NSEC3 1 1 0 - " + hashB + " A RRSIG", false},
		{"unknown flag", hashA + ".example. 300 NSEC3 1 2 0 - " + hashB + " A RRSIG", false},
		{"unknown algorithm", hashA + ".example. 300 NSEC3 2 0 0 - " + hashB + " A RRSIG", false},
		{"owner is no hash", "www.example. 300 NSEC3 1 0 0 - " + hashB + " A RRSIG", false},
		{"owner is a hash of another zone", hashA + ".sub.example. 300 NSEC3 1 0 0 - " + hashB + " A RRSIG", false},
		{"owner is a hash above the zone", hashA + ". 300 NSEC3 1 0 0 - " + hashB + " A RRSIG", false},
		{"made for one name", hashA + ".example. 300 NSEC3 1 0 0 - " + hashA[:30] + "ot A RRSIG", false},
		{"next is no hash", hashA + ".example. 300 NSEC3 1 0 0 - 2t7b4g4vsa5smi47 A RRSIG", false},
		{"a wildcard's", "*.example. 300 A 192.0.2.1", true},
		{"not a wildcard's", "www.example. 300 A 192.0.2.1", false},
		{"the SOA", "example. 300 SOA ns h 1 1 1 1 1", true},
		{"the child's SOA", "sub.example. 300 SOA ns h 1 1 1 1 1", false},
	} {
		r := NewRecords(1 << 18)
		if ok := r.PutProven(dns.MustName("example."), provenSet(c.line), 1000, 1300); ok != c.ok {
			t.Errorf("%s: %s: taken %v, expected %v", c.why, c.line, ok, c.ok)
		}
		if !c.ok && r.Len() > 0 {
			t.Errorf("%s: %s: %d entries", c.why, c.line, r.Len())
		}
	}
}

// TestProvenIsNoAnswer: what proves something of other names is not found as data.
func TestProvenIsNoAnswer(t *testing.T) {
	r := NewRecords(1 << 18)
	zone := dns.MustName("example.")
	for _, line := range []string{"a.example. 300 NSEC c.example. A RRSIG NSEC", "*.example. 300 A 192.0.2.1", "example. 300 SOA ns h 1 1 1 1 1"} {
		set := provenSet(line)
		r.PutProven(zone, set, 1000, 1300)
		if e, ok := r.RRset(set.Name, set.Type, 1001); ok {
			t.Errorf("%s is answered: %+v", line, e)
		}
	}
	if _, ok := r.Wildcard(dns.MustName("."), dns.MustName("*.example."), dns.TypeA, 1001); ok {
		t.Error("a wildcard serves another zone")
	}
	if _, ok := r.Wildcard(zone, dns.MustName("*.example."), dns.TypeA, 1300); ok {
		t.Error("a wildcard outlives its end")
	}
}

// TestParentAndChild: NSEC records of both sides of a cut have one owner.
func TestParentAndChild(t *testing.T) {
	r := NewRecords(1 << 18)
	parent, child := dns.MustName("example."), dns.MustName("sub.example.")
	r.PutProven(parent, provenSet("sub.example. 300 NSEC z.example. NS DS RRSIG NSEC"), 1000, 1300)
	r.PutProven(child, provenSet("sub.example. 300 NSEC a.sub.example. NS SOA RRSIG NSEC DNSKEY"), 1000, 1200)
	for zone, next := range map[dns.Name]string{parent: "z.example.", child: "a.sub.example."} {
		set, ok := r.NSEC(zone, child, 1100)
		n, err := dns.ParseNSEC(set.Data[0])
		if !ok || err != nil || n.Next.String() != next {
			t.Errorf("of %s: %+v, expected %s", zone, n, next)
		}
	}
	if z, ok := r.DeniedZone(dns.MustName("x.Sub.example.")); !ok || z.Name != child {
		t.Errorf("zone of a name: %+v", z)
	}
	r.NSEC(child, child, 1200) // over
	if z, ok := r.DeniedZone(child); !ok || z.HasNSEC {
		t.Errorf("after its end: %+v", z)
	}
	if r.Forget(At(dns.MustName("www.example."))); r.denials.octets != zoneOverhead {
		t.Errorf("%d octets are left of the zone that denies a name that was flushed", r.denials.octets)
	}
	r.FlushAll()
	if _, ok := r.DeniedZone(child); ok || r.denials.octets != 0 {
		t.Errorf("%d octets are left of nothing", r.denials.octets)
	}
}

func randomOwner(r *rand.Rand, zone dns.Name) dns.Name {
	name := zone
	for range r.IntN(4) {
		label := make([]byte, 1+r.IntN(2))
		for i := range label {
			label[i] = []byte{0, 1, 2, '-', 'a', 'A', 'z', 255}[r.IntN(8)]
		}
		name, _ = name.Child(string(label))
	}
	return name
}

// TestKeysAreInOrder: keys compare as names do (RFC 4034 §6.1), and lead back.
func TestKeysAreInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	zone := dns.MustName("example.")
	for range 20000 {
		a, b := randomOwner(r, zone), randomOwner(r, zone)
		ka, kb := appendNSECKey(nil, zone, a), appendNSECKey(nil, zone, b)
		if bytes.Compare(ka, kb) != cmp.Compare(a.Compare(b), 0) {
			t.Fatalf("%s and %s: keys %x and %x", a, b, ka, kb)
		}
		if back, ok := nsecOwner(zone, ka); !ok || back != a.Fold() {
			t.Fatalf("%s: key %x is of %s", a, ka, back)
		}
	}
}

// TestChain compares a chain with a sorted list.
func TestChain(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	var c chain
	var list []string
	size := 0
	for step := range 30000 {
		key := fmt.Appendf(nil, "%0*d", 1+r.IntN(30), r.IntN(2000))
		i, found := slices.BinarySearch(list, string(key))
		switch {
		case r.IntN(3) > 0 && step%10000 < 7000:
			size += c.put(key, uint32(step))
			if !found {
				list = slices.Insert(list, i, string(key))
			}
		case r.IntN(2) == 0:
			size -= c.drop(key)
			if found {
				list = slices.Delete(list, i, i+1)
			}
		}
		at, ok := c.at(key)
		if ok != (len(list) > 0) || size != c.size() {
			t.Fatalf("step %d: found %v of %d, %d octets counted of %d", step, ok, len(list), size, c.size())
		}
		if !ok {
			continue
		}
		i, found = slices.BinarySearch(list, string(key))
		if !found {
			i = (i + len(list) - 1) % len(list)
		}
		if string(at) != list[i] {
			t.Fatalf("step %d: %s before %s, expected %s", step, at, key, list[i])
		}
	}
}

// TestDenialsAreBounded: however many sets of however many zones come, what was
// looked for last is known and the bound is kept.
func TestDenialsAreBounded(t *testing.T) {
	r := NewRecords(1 << 20)
	most := 1 << 16
	used := dns.MustName("used.test.")
	r.PutProven(used, provenSet("a.used.test. 300 NSEC z.used.test. A"), 1, 301)
	for i := range 20000 {
		zone := dns.MustName(fmt.Sprintf("zone%d.", i%300))
		r.PutProven(zone, provenSet(fmt.Sprintf("n%d.zone%d. 300 NSEC o.zone%d. A", i, i%300, i%300)), 1, 301)
		if r.denials.octets > most {
			t.Fatalf("%d octets after %d sets", r.denials.octets, i)
		}
		if _, ok := r.NSEC(used, dns.MustName("b.used.test."), 1); !ok {
			t.Fatalf("what is used is lost after %d others", i)
		}
	}
	n := 0
	for _, z := range r.denials.order {
		n += zoneOverhead + z.nsec.size() + z.nsec3.size()
	}
	if n != r.denials.octets || n < most/2 || len(r.denials.order) != len(r.denials.zones) {
		t.Errorf("%d octets counted, %d there", r.denials.octets, n)
	}
}

// TestDenialsConcurrently: sets come and go while others are looked for, and what
// is found is always a whole set of its zone.
func TestDenialsConcurrently(t *testing.T) {
	r := NewRecords(1 << 18)
	zones := []dns.Name{dns.MustName("a."), dns.MustName("b."), dns.MustName("c.")}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 9))
			for range 3000 {
				zone := zones[rnd.IntN(len(zones))]
				switch name := randomOwner(rnd, zone); rnd.IntN(20) {
				case 0:
					r.Forget(At(name))
				case 1:
					r.ForgetStatus()
				case 2, 3, 4, 5, 6, 7, 8:
					set := &RRset{Name: name, Type: dns.TypeNSEC, Data: []dns.RData{dns.RData(zone.Wire() + "\x00\x01\x40")}}
					r.PutProven(zone, set, 1, 300)
				default:
					if set, ok := r.NSEC(zone, name, 2); ok && (!set.Name.IsSubdomainOf(zone) || set.Name.Compare(name) > 0 && set.Name.Equal(zone)) {
						t.Errorf("%s for %s of %s", set.Name, name, zone)
					}
				}
			}
		})
	}
	wg.Wait()
}
