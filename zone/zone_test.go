package zone

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone/zonegen"
)

func wire(name string) []byte { return []byte(dns.MustName(name).Wire()) }

// TestCaseIsKeptAndIgnored is RFC 4343: names are found in any case and served
// in their own.
func TestCaseIsKeptAndIgnored(t *testing.T) {
	v, findings := parseZone(t, "Example.COM", "$TTL 300\n"+checkSOA+`@ NS Ns.Example.com.
WwW A 192.0.2.1
www A 192.0.2.2
nS A 192.0.2.3
Sub NS ns.SUB
sub NS nS.sub
Ns.suB A 192.0.2.4
`)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	for _, q := range []string{"www.example.com", "WWW.EXAMPLE.COM"} {
		var m Match
		v.Lookup(&m, wire(q))
		a, _ := m.Node.RRset(dns.TypeA)
		if m.Node.Name().String() != "WwW.Example.COM." || a.Count() != 2 {
			t.Errorf("%s: %s with %d addresses", q, m.Node.Name(), a.Count())
		}
	}
	sub := v.Find(wire("sub.example.com"))
	ns, _ := sub.RRset(dns.TypeNS)
	if ns.Count() != 1 {
		t.Errorf("%d name servers, expected 1: they differ in case only", ns.Count())
	}
	glue := slices.Collect(ns.Glue())
	if len(glue) != 1 || !glue[0].InDomain || glue[0].Host.Name().String() != "Ns.suB.Example.COM." {
		t.Errorf("glue is %v", glue)
	}
}

func TestLargeRRsets(t *testing.T) {
	var text strings.Builder
	fmt.Fprintf(&text, "$TTL 300\n%s", checkTop)
	const many = 70_000
	for i := range many {
		fmt.Fprintf(&text, "many A 10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	word := strings.Repeat("x", 255)
	for i := range 5 { // of 60 kB each
		fmt.Fprintf(&text, "long TXT %d%s\n", i, strings.Repeat(" "+word, 235))
		fmt.Fprintf(&text, "long RRSIG TXT 13 2 300 20300101000000 20200101000000 %d example. %s\n", i, strings.Repeat("AAAA", 8000))
	}
	v, findings := parseZone(t, "example", text.String())
	if len(findings) != 2 || findings[0].Code != "rrset-too-large" || findings[1].Code != "rrset-too-large" {
		t.Fatalf("%v, expected two warnings that no message has so much", findings)
	}
	check := func(v *Version) {
		t.Helper()
		a, _ := v.Find(wire("many.example")).RRset(dns.TypeA)
		txt, _ := v.Find(wire("long.example")).RRset(dns.TypeTXT)
		sigs, _ := txt.Sigs()
		n := 0
		for rd := range a.RData() {
			if want := []byte{10, byte(n >> 16), byte(n >> 8), byte(n)}; !bytes.Equal(rd, want) {
				t.Fatalf("address %d is %v, expected %v", n, rd, want)
			}
			n++
		}
		if n != many || a.Count() != many {
			t.Errorf("%d addresses, Count is %d", n, a.Count())
		}
		if txt.Count() != 5 || len(txt.Packed()) < 300_000 || sigs.Count() != 5 || len(sigs.Packed()) < 120_000 {
			t.Errorf("TXT: %d of %d octets; signatures: %d of %d octets", txt.Count(), len(txt.Packed()), sigs.Count(), len(sigs.Packed()))
		}
	}
	check(v)
	e := v.Edit()
	more := dns.Record{Name: dns.MustName("many.example"), Type: dns.TypeA, Class: dns.ClassIN, TTL: 300, Data: dns.RData{10, 200, 0, 0}}
	if changed, err := e.Add(more); !changed || err != nil {
		t.Fatal(changed, err)
	}
	e.Remove(more)
	w, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	check(w)
	check(w.compact())
}

// TestSignaturesStayWithWhatTheyCover has signatures before, behind and without
// their RRset.
func TestSignaturesStayWithWhatTheyCover(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop+
		"a RRSIG A"+rrsigOf+"a A 192.0.2.1\na TXT x\na 60 RRSIG MX"+rrsigOf+"sub NS ns.foo.\nsub RRSIG NS"+rrsigOf)
	n := v.Find(wire("a.example"))
	for typ, want := range map[dns.Type]int{dns.TypeA: 1, dns.TypeTXT: 0} {
		set, ok := n.RRset(typ)
		sigs, _ := set.Sigs()
		if !ok || sigs.Count() != want {
			t.Errorf("%v: %v with %d signatures, expected %d", typ, ok, sigs.Count(), want)
		}
	}
	if n.Has(dns.TypeMX) {
		t.Error("there is an MX RRset where only its signature is")
	}
	all, ok := n.RRset(dns.TypeRRSIG)
	if !ok || all.Count() != 2 || all.TTL() != 60 || len(slices.Collect(all.RData())) != 2 {
		t.Errorf("RRSIG: %v, %d with TTL %d, expected 2 with 60", ok, all.Count(), all.TTL())
	}
	ns, _ := v.Find(wire("sub.example")).RRset(dns.TypeNS)
	if sigs, ok := ns.Sigs(); !ok || dns.SigCovers(sigs.First()) != dns.TypeNS {
		t.Error("the shared NS set lost its signature")
	}
}

func TestEditorRefuses(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop)
	soa := dns.Record{Name: v.Origin(), Type: dns.TypeSOA, Class: dns.ClassIN, Data: v.SOA().First()}
	for name, r := range map[string]dns.Record{
		"out of zone": {Name: dns.MustName("example.org"), Type: dns.TypeA, Class: dns.ClassIN, Data: dns.RData{1, 2, 3, 4}},
		"meta type":   {Name: v.Origin(), Type: dns.TypeANY, Class: dns.ClassIN},
		"class":       {Name: v.Origin(), Type: dns.TypeA, Class: dns.ClassCH, Data: dns.RData{1, 2, 3, 4}},
		"rdata":       {Name: v.Origin(), Type: dns.TypeA, Class: dns.ClassIN, Data: dns.RData{1, 2, 3}},
		"no rdata":    {Name: v.Origin(), Type: dns.TypeSOA, Class: dns.ClassIN},
	} {
		e := v.Edit()
		if changed, err := e.Add(r); changed || err == nil {
			t.Errorf("%s: taken", name)
		}
		if e.Remove(r) {
			t.Errorf("%s: removed", name)
		}
	}
	e := v.Edit()
	if !e.Remove(soa) {
		t.Fatal("the SOA cannot be removed")
	}
	if _, err := e.Commit(); err == nil {
		t.Error("a version without SOA was committed")
	}
	if _, err := e.Add(soa); err == nil {
		t.Error("a spent editor takes records")
	}
	if _, err := v.Edit().Commit(); err != nil {
		t.Errorf("the version cannot be edited after a commit failed: %v", err)
	}
}

func TestBuilderTakesNoBadRecords(t *testing.T) {
	b := NewBuilder(dns.MustName("example"))
	for _, r := range []dns.Record{
		{Name: dns.MustName("example"), Type: dns.TypeSOA, Class: dns.ClassIN, Data: modelSOA(1)},
		{Name: dns.MustName("example"), Type: dns.TypeNS, Class: dns.ClassIN, Data: dns.RData("\x02ns\x00")},
		{Name: dns.MustName("a.example"), Type: dns.TypeA, Class: dns.ClassIN, Data: dns.RData{1}},
		{Name: dns.MustName("a.example"), Type: dns.TypeANY, Class: dns.ClassIN},
		{Name: dns.MustName("a.example"), Type: dns.TypeTXT, Class: dns.ClassCH, Data: dns.NewTXT("x")},
	} {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, findings := b.Build()
	var codes []string
	for _, f := range findings {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	if v == nil || v.Stats().Records != 2 || !slices.Equal(codes, []string{"bad-rdata", "meta-type", "wrong-class"}) {
		t.Errorf("%v, %v", v.Stats(), codes)
	}
}

// TestReadersDoNotWait reads versions while others are made from them.
func TestReadersDoNotWait(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop+"sub NS ns.sub\nns.sub A 192.0.2.1\n")
	z := New(v.Origin())
	z.Publish(v)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var m Match
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := z.Current()
				v.Lookup(&m, wire("www.sub.example"))
				ns, _ := m.Cut.RRset(dns.TypeNS)
				for g := range ns.Glue() {
					if a, ok := g.Host.RRset(dns.TypeA); !ok || a.Count() != 1 {
						t.Error("glue is lost")
						return
					}
				}
				if n := len(slices.Collect(v.Records())); n != v.Stats().Records {
					t.Errorf("%d records, Stats says %d", n, v.Stats().Records)
					return
				}
			}
		})
	}
	for i := range 300 {
		e := z.Current().Edit()
		name := dns.MustName(fmt.Sprintf("h%d.example", i%50))
		e.RemoveName(name)
		for j := range 1 + i%5 {
			r := dns.Record{Name: name, Type: dns.TypeA, Class: dns.ClassIN, TTL: 300, Data: dns.RData{10, 0, byte(i), byte(j)}}
			if _, err := e.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		next, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		z.Publish(next)
	}
	close(stop)
	wg.Wait()
}

// generated returns the text of a TLD zone.
func generated(t testing.TB, n int) (zonegen.TLD, []byte) {
	t.Helper()
	tld := zonegen.TLD{Origin: dns.MustName("tld"), Delegations: n, Seed: 3}
	var text bytes.Buffer
	if err := tld.WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	return tld, text.Bytes()
}

func load(t testing.TB, origin dns.Name, text []byte) *Version {
	t.Helper()
	v, findings, err := Load(zonefile.NewReader(bytes.NewReader(text), zonefile.Options{}), origin)
	if err != nil || len(findings) > 0 {
		t.Fatal(err, findings)
	}
	return v
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory is the promise of the design: so many octets a record.
func TestMemory(t *testing.T) {
	const delegations, perRecord = 200_000, 36
	tld, text := generated(t, delegations)
	before := heap()
	v := load(t, tld.Origin, text)
	used, s := heap()-before, v.Stats()
	got := float64(used) / float64(s.Records)
	t.Logf("%d records in %d octets (%d by its own count): %.1f a record, %.1f a delegation",
		s.Records, used, s.Bytes, got, float64(used)/delegations)
	if got > perRecord {
		t.Errorf("%.1f octets a record, expected at most %d", got, perRecord)
	}
	if float64(s.Bytes) < 0.9*float64(used) || s.Bytes > int(used) {
		t.Errorf("Stats counts %d octets, the heap grew by %d", s.Bytes, used)
	}
	runtime.KeepAlive(text)
	runtime.KeepAlive(v)
}

// TestSmallZoneIsSmall matters to hosters with very many of them.
func TestSmallZoneIsSmall(t *testing.T) {
	text := []byte("$ORIGIN example.\n$TTL 300\n" + checkTop + "@ A 192.0.2.1\nwww A 192.0.2.1\n@ MX 10 mx.other.\n")
	zones := make([]*Version, 1000)
	before := heap()
	for i := range zones {
		zones[i] = load(t, dns.MustName("example"), text)
	}
	if each := int(heap()-before) / len(zones); each > 1500 {
		t.Errorf("%d octets for a zone of 5 records, expected at most 1500", each)
	} else {
		t.Logf("%d octets for a zone of 5 records", each)
	}
	runtime.KeepAlive(zones)
}

// TestGarbageIsBounded changes a zone over and over.
func TestGarbageIsBounded(t *testing.T) {
	tld, text := generated(t, 500)
	v := load(t, tld.Origin, text)
	size := v.Stats().Bytes
	z := New(tld.Origin)
	z.Publish(v)
	soa := dns.Record{Name: tld.Origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 300}
	for i := range 4000 {
		name, _ := tld.Origin.Child(string(tld.AppendName(nil, i%tld.Delegations)))
		r := dns.Record{Name: name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 300, Data: dns.RData{0, byte(i), 13, 2, byte(i), byte(i >> 8)}}
		soa.Data = modelSOA(uint32(i))
		v, err := z.Update(func(e *Editor) error {
			e.RemoveRRset(name, dns.TypeDS)
			_, err := e.Add(soa)
			_, err2 := e.Add(r)
			return errors.Join(err, err2)
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.Serial() != uint32(i) {
			t.Fatalf("serial %d, expected %d", v.Serial(), i)
		}
	}
	eventually(t, "all is in order", func() bool { return !isTidying(z.Current()) })
	if now := z.Current().Stats().Bytes; now > 2*size+2*slack+quickly {
		t.Errorf("%d octets after 4,000 changes, %d at first", now, size)
	}
}

// TestManyTypesAtOneName bounds what a question for that name costs.
func TestManyTypesAtOneName(t *testing.T) {
	var text strings.Builder
	text.WriteString("$TTL 300\n" + checkTop)
	for i := range 2000 {
		fmt.Fprintf(&text, "a TYPE%d \\# 0\n", 10_000+i)
		if i == 100 {
			text.WriteString("b TXT x\n")
		}
	}
	v, findings := parseZone(t, "example", text.String())
	if len(findings) == 0 || findings[0].Code != "too-many-types" || findings[0].Severity != Error {
		t.Errorf("findings: %v", findings)
	}
	count := func(v *Version) int { return len(slices.Collect(v.Find(wire("a.example")).RRsets())) }
	if n := count(v); n != maxTypes {
		t.Errorf("%d types, expected %d", n, maxTypes)
	}
	e := v.Edit()
	r := dns.Record{Name: dns.MustName("a.example"), Type: 20_000, Class: dns.ClassIN, TTL: 300}
	if _, err := e.Add(r); err == nil {
		t.Error("one more type was added")
	}
	r.Type = 10_001
	r.Data = dns.RData{1}
	if changed, err := e.Add(r); !changed || err != nil {
		t.Errorf("a record of a type that is there: %v, %v", changed, err)
	}
	v, err := e.Commit()
	if err != nil || count(v) != maxTypes {
		t.Errorf("%v, %d types", err, count(v))
	}
}

// What is kept for a version must not be taken for another one's.
func TestVersionID(t *testing.T) {
	v, _ := parseZone(t, "example.", "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\n")
	e := v.Edit()
	if _, err := e.Add(dns.Record{Name: dns.MustName("a.example."), Type: dns.TypeTXT, Class: dns.ClassIN, TTL: 60, Data: dns.NewTXT("x")}); err != nil {
		t.Fatal(err)
	}
	edited, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := parseZone(t, "example.", "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\n")
	seen := map[uint64]bool{0: true}
	for _, v := range []*Version{v, edited, other} {
		if seen[v.ID()] {
			t.Errorf("the number %d is no version's or another one's", v.ID())
		}
		seen[v.ID()] = true
	}
}
