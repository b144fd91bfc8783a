package dns

import (
	"testing"

	miekg "github.com/miekg/dns"
)

// Requests are those that miekg/dns makes: section by section, record by record.
func TestUpdateAgainstOracle(t *testing.T) {
	zone, www := MustName("example."), MustName("www.example.")
	a := func(s string) RData {
		rd, err := ParseRDataString(TypeA, s, zone)
		if err != nil {
			t.Fatal(err)
		}
		return rd
	}
	u := NewUpdate(9, zone).
		IfName(www).IfNoName(zone).IfRRset(www, TypeA).IfNoRRset(www, TypeMX).IfRecord(www, TypeA, a("192.0.2.1")).
		Add(www, 60, TypeA, a("192.0.2.2")).DeleteRRset(www, TypeTXT).DeleteName(www).Delete(www, TypeA, a("192.0.2.3"))
	msg, err := u.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	rr := func(s string) []miekg.RR {
		r, err := miekg.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		return []miekg.RR{r}
	}
	var m miekg.Msg
	m.SetUpdate("example.")
	m.Id = 9
	m.NameUsed(rr("www.example. A 192.0.2.9"))
	m.NameNotUsed(rr("example. A 192.0.2.9"))
	m.RRsetUsed(rr("www.example. A 192.0.2.9"))
	m.RRsetNotUsed(rr("www.example. MX 1 a."))
	m.Used(rr("www.example. 0 A 192.0.2.1"))
	m.Insert(rr("www.example. 60 A 192.0.2.2"))
	m.RemoveRRset(rr("www.example. TXT x"))
	m.RemoveName(rr("www.example. A 192.0.2.9"))
	m.Remove(rr("www.example. A 192.0.2.3"))
	theirs, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, 2)
	for i, wire := range [][]byte{msg, theirs} {
		var parsed miekg.Msg
		if err := parsed.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		texts[i] = parsed.String()
	}
	if texts[0] != texts[1] {
		t.Errorf("%s\nexpected\n%s", texts[0], texts[1])
	}
}

// Records are read as they stand: OPT, empty rdata, and TTLs with the top bit.
func TestRecordReader(t *testing.T) {
	u := NewUpdate(9, MustName("example.")).DeleteName(MustName("www.example.")).Add(MustName("www.example."), 1<<31, TypeA, RData{192, 0, 2, 1})
	u.Message().EDNS = &EDNS{UDPSize: 1232}
	msg, err := u.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	var q Query
	if err := q.Parse(msg); err != nil {
		t.Fatal(err)
	}
	r := ReadRecords(msg, q.End)
	for i, want := range []struct {
		typ Type
		ttl uint32
		n   int
	}{{TypeANY, 0, 0}, {TypeA, 1 << 31, 4}, {TypeOPT, 0, 0}} {
		rec, err := r.Next()
		if err != nil || rec.Type != want.typ || rec.TTL != want.ttl || len(rec.Data) != want.n {
			t.Errorf("record %d: %v with TTL %d and %d octets, %v, expected %+v", i+1, rec.Type, rec.TTL, len(rec.Data), err, want)
		}
	}
	if r.Offset() != len(msg) {
		t.Errorf("%d octets read, expected %d", r.Offset(), len(msg))
	}
	if _, err := r.Next(); err == nil {
		t.Error("a record behind the last one")
	}
}
