package dns

import (
	"fmt"
	"testing"
)

func TestBuilderCompresses(t *testing.T) {
	var b Builder
	b.Start(nil, 512, 1, FlagQR)
	b.Question(wire("www.example.com."), TypeCNAME, ClassIN)
	b.Record(SectionAnswer, wire("WWW.example.com."), TypeCNAME, ClassIN, 1, wire("a.b.example.com."))
	b.Record(SectionAnswer, wire("a.b.example.com."), TypeCNAME, ClassIN, 1, wire("c.b.example.com."))
	got := b.Len()
	// header, question, two records with pointers as owners; "a.b"+pointer, "c"+pointer
	want := 12 + (17 + 4) + (2 + 10 + 4 + 2) + (2 + 10 + 2 + 2)
	if got != want {
		t.Errorf("message of %d octets, want %d", got, want)
	}
	m, err := ParseMessage(b.Finish())
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Answer[1].String(); s != "a.b.example.com.\t1\tIN\tCNAME\tc.b.example.com." {
		t.Error(s)
	}
}

// RFC 3597 §4: only the names of RFC 1035's types are compressed.
func TestBuilderDoesNotCompressNewTypes(t *testing.T) {
	for _, tt := range []struct {
		typ  Type
		data []byte
	}{
		{TypeSRV, append([]byte{0, 1, 0, 2, 0, 3}, wire("www.example.com.")...)},
		{TypeDNAME, wire("www.example.com.")},
		{TypeNSEC, append(wire("www.example.com."), 0, 1, 0x40)},
	} {
		var b Builder
		b.Start(nil, 512, 1, FlagQR)
		b.Question(wire("www.example.com."), tt.typ, ClassIN)
		before := b.Len()
		b.RecordAt(SectionAnswer, HeaderLen, tt.typ, ClassIN, 1, tt.data)
		if n := b.Len() - before; n != 2+10+len(tt.data) {
			t.Errorf("%v: record of %d octets, want %d", tt.typ, n, 12+len(tt.data))
		}
	}
}

func TestBuilderLimit(t *testing.T) {
	var b Builder
	b.Start(nil, 105, 1, FlagQR) // a fifth record would fit but for the OPT
	b.Question(wire("x."), TypeA, ClassIN)
	b.Reserve(11)
	n := 0
	for b.Record(SectionAnswer, wire("host.x."), TypeA, ClassIN, 1, []byte{1, 2, 3, 4}) {
		n++
	}
	if !b.OPT(1232, RCodeNoError, 0, EDNSFlagDO, nil) {
		t.Error("no room for the OPT record that was reserved for")
	}
	m, err := ParseMessage(b.Finish())
	if err != nil {
		t.Fatal(err)
	}
	if b.Len() > 105 || len(m.Answer) != n || n != 4 {
		t.Errorf("%d octets, %d answers, %d accepted: want at most 105 octets and 4 answers", b.Len(), len(m.Answer), n)
	}
}

// TestBuilderRollback checks that names of records taken back are not pointed to.
func TestBuilderRollback(t *testing.T) {
	var b Builder
	b.Start(nil, 512, 1, FlagQR)
	b.Question(wire("q.example."), TypeA, ClassIN)
	m := b.Mark()
	b.Record(SectionAnswer, wire("gone.example."), TypeNS, ClassIN, 1, wire("ns.elsewhere."))
	b.Rollback(m)
	b.Record(SectionAnswer, wire("gone.example."), TypeNS, ClassIN, 1, wire("ns.elsewhere."))
	msg, err := ParseMessage(b.Finish())
	if err != nil {
		t.Fatal(err)
	}
	if len(msg.Answer) != 1 || msg.Answer[0].String() != "gone.example.\t1\tIN\tNS\tns.elsewhere." {
		t.Errorf("answers %v", msg.Answer)
	}
}

// TestBuilderManyNames goes beyond the table and beyond the reach of pointers.
func TestBuilderManyNames(t *testing.T) {
	var b Builder
	b.Start(nil, MaxMessageLen, 1, FlagQR)
	b.Question(wire("example."), TypeNS, ClassIN)
	n := 0
	for b.Record(SectionAnswer, wire(fmt.Sprintf("h%d.z%d.example.", n, n%300)), TypeNS, ClassIN, 1,
		wire(fmt.Sprintf("ns%d.other%d.example.", n%7, n%300))) {
		n++
	}
	m, err := ParseMessage(b.Finish())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) != n || n < 1500 {
		t.Fatalf("%d answers of %d", len(m.Answer), n)
	}
	for i, r := range m.Answer {
		want := fmt.Sprintf("h%d.z%d.example.\t1\tIN\tNS\tns%d.other%d.example.", i, i%300, i%7, i%300)
		if r.String() != want {
			t.Fatalf("record %d is %s, want %s", i, r, want)
		}
	}
}

func TestBuilderDoesNotAllocate(t *testing.T) {
	var b Builder
	buf := make([]byte, 0, 1232)
	q, ns, apex := wire("www.sub.example."), wire("ns1.example."), wire("example.")
	n := testing.AllocsPerRun(100, func() {
		b.Start(buf, 1232, 1, FlagQR)
		b.Question(q, TypeA, ClassIN)
		b.Record(SectionAuthority, apex, TypeNS, ClassIN, 1, ns)
		b.Record(SectionAdditional, ns, TypeA, ClassIN, 1, []byte{1, 2, 3, 4})
		b.OPT(1232, 0, 0, 0, nil)
		b.Finish()
	})
	if n != 0 {
		t.Errorf("%v allocations per message, want none", n)
	}
}

func BenchmarkBuilderReferral(b *testing.B) {
	var w Builder
	buf := make([]byte, 0, 1232)
	q, cut := wire("www.customer.example."), wire("customer.example.")
	ns1, ns2 := wire("ns1.hoster.example."), wire("ns2.hoster.example.")
	addr := []byte{192, 0, 2, 1}
	b.ReportAllocs()
	for b.Loop() {
		w.Start(buf, 1232, 1, FlagQR)
		w.Question(q, TypeA, ClassIN)
		w.Record(SectionAuthority, cut, TypeNS, ClassIN, 1, ns1)
		w.Record(SectionAuthority, cut, TypeNS, ClassIN, 1, ns2)
		w.Record(SectionAdditional, ns1, TypeA, ClassIN, 1, addr)
		w.Record(SectionAdditional, ns2, TypeA, ClassIN, 1, addr)
		w.OPT(1232, 0, 0, 0, nil)
		w.Finish()
	}
}

func wire(s string) []byte { return MustName(s).Append(nil) }
