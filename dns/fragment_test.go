package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fragment taken from a message and put into another one, with a longer
// question, decodes to the same records with the other owner.
func TestFragment(t *testing.T) {
	const limit = MaxMessageLen
	wire := func(s string) []byte { return MustName(s).Append(nil) }
	var b Builder
	b.Start(nil, limit, 1, 0)
	b.Question(wire("tld."), TypeNS, ClassIN)
	from := b.Len()
	b.RecordAt(SectionAuthority, HeaderLen, TypeNS, ClassIN, 60, wire("ns1.host.tld."))
	b.RecordAt(SectionAuthority, HeaderLen, TypeNS, ClassIN, 60, wire("ns2.host.tld."))
	b.RecordAt(SectionAuthority, HeaderLen, TypeNS, ClassIN, 60, wire("tld."))
	b.RecordAt(SectionAuthority, HeaderLen, TypeNS, ClassIN, 60, wire("ns.elsewhere."))
	var ns, glue Fragment
	if err := ns.Take(b.Finish(), from, HeaderLen); err != nil {
		t.Fatal(err)
	}
	from = b.Len()
	b.Record(SectionAdditional, wire("ns2.host.tld."), TypeA, ClassIN, 60, []byte{192, 0, 2, 1})
	b.Record(SectionAdditional, wire("tld."), TypeA, ClassIN, 60, []byte{192, 0, 2, 2})
	b.Record(SectionAdditional, wire("mail.host.tld."), TypeMX, ClassIN, 60, append([]byte{0, 1}, wire("host.tld.")...))
	if err := glue.Take(b.Finish(), from, 0); err == nil {
		t.Error("a fragment with a name that Take does not follow was taken")
	}
	b.Start(nil, limit, 1, 0)
	b.Question(wire("tld."), TypeNS, ClassIN)
	if !b.Fragment(SectionAuthority, &ns, HeaderLen, 0) {
		t.Fatal("the fragment does not fit its own message")
	}
	from = b.Len()
	b.Record(SectionAdditional, wire("tld."), TypeA, ClassIN, 60, []byte{192, 0, 2, 2})
	if err := glue.Take(b.Finish(), from, 0); err != nil {
		t.Fatal(err)
	}

	b.Start(make([]byte, 7), limit, 2, 0)
	b.Question(wire("www.long-name.tld."), TypeA, ClassIN)
	if !b.Fragment(SectionAuthority, &ns, HeaderLen+4, 14) || !b.Fragment(SectionAdditional, &glue, HeaderLen+4, 14) {
		t.Fatal("the fragments do not fit")
	}
	m, err := ParseMessage(b.Finish()[7:])
	if err != nil {
		t.Fatal(err)
	}
	record := func(owner string, typ Type, data []byte) Record {
		return Record{MustName(owner), typ, ClassIN, 60, data}
	}
	want := []Record{
		record("long-name.tld.", TypeNS, wire("ns1.host.tld.")), record("long-name.tld.", TypeNS, wire("ns2.host.tld.")),
		record("long-name.tld.", TypeNS, wire("tld.")), record("long-name.tld.", TypeNS, wire("ns.elsewhere.")),
		record("tld.", TypeA, []byte{192, 0, 2, 2}),
	}
	if diff := cmp.Diff(want, append(m.Authority, m.Additional...), cmp.Comparer(func(a, b Name) bool { return a == b })); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	b.Start(nil, HeaderLen+30+ns.Len()-1, 2, 0)
	b.Question(wire("www.long-name.tld."), TypeA, ClassIN)
	b.Reserve(30 - 23)
	if b.Fragment(SectionAuthority, &ns, HeaderLen+4, 14) {
		t.Error("a fragment was added beyond the limit")
	}
}

// Take never reads beyond what it is given, whatever that is.
func FuzzFragment(f *testing.F) {
	f.Add([]byte("\x03abc\x00\x00\x02\x00\x01\x00\x00\x00\x01\x00\x02\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr Fragment
		if fr.Take(b, 0, HeaderLen) != nil {
			return
		}
		var bld Builder
		bld.Start(nil, MaxMessageLen, 1, 0)
		bld.Fragment(SectionAnswer, &fr, HeaderLen, 0)
		if bld.Len() > MaxMessageLen {
			t.Errorf("the message has %d octets", bld.Len())
		}
	})
}
