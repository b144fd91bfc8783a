package cache

import (
	"encoding/binary"
	"fmt"
	"testing"

	"onoma/dns"
)

// message makes an answer of n A records with the given TTLs.
func message(t testing.TB, name string, ttls ...uint32) []byte {
	m := &dns.Message{ID: 1, Flags: dns.FlagQR | dns.FlagRA, Questions: []dns.Question{{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}}}
	for i, ttl := range ttls {
		m.Answer = append(m.Answer, dns.Record{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN, TTL: ttl, Data: dns.RData{192, 0, 2, byte(i)}})
	}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(name string) []byte {
	return AppendKey(nil, []byte(dns.MustName(name).Wire()), dns.TypeA, 0, 0)
}

func benchMessages(n int) (msg []byte, keys [][]byte) {
	for i := range n {
		keys = append(keys, key(fmt.Sprintf("host-%06d.example.com.", i)))
	}
	return message(new(testing.B), "host-000000.example.com.", 300, 300), keys
}

func TestMessagesCountDown(t *testing.T) {
	m := NewMessages(1<<20, Stale{})
	msg := message(t, "www.example.com.", 300, 100, 0)
	if !m.Put(key("www.example.com."), msg, []byte("options"), 1000, 1300, 0) {
		t.Fatal("not stored")
	}
	question := 12 + 17 + 4
	for now, want := range map[uint32][3]uint32{1000: {300, 100, 0}, 1040: {260, 60, 0}, 1299: {1, 0, 0}} {
		var hit Hit
		prefix := append([]byte(nil), msg[:question]...)
		out, ok := m.Get(prefix, key("WWW.example.com."), now, &hit)
		if !ok || len(out) != len(msg) || hit.Counts != [3]uint16{3, 0, 0} || string(hit.Options) != "options" {
			t.Fatalf("at %d: %x %v %+v", now, out, ok, hit)
		}
		binary.BigEndian.PutUint16(out, 1)
		got, err := dns.ParseMessage(out)
		if err != nil {
			t.Fatal(err)
		}
		for i, ttl := range want {
			if got.Answer[i].TTL != ttl {
				t.Errorf("at %d: TTL %d of record %d, expected %d", now, got.Answer[i].TTL, i, ttl)
			}
		}
	}
	for _, now := range []uint32{1300, 5000} {
		if _, ok := m.Get(nil, key("www.example.com."), now, &Hit{}); ok {
			t.Errorf("a hit at %d, after it expired", now)
		}
	}
	// The clock went back: nothing counts up.
	out, ok := m.Get(nil, key("www.example.com."), 900, &Hit{})
	if !ok || binary.BigEndian.Uint32(out[6:]) != 300 {
		t.Errorf("before it was stored: TTL %d, expected 300", binary.BigEndian.Uint32(out[6:]))
	}
}

func TestMessagesKeepVariantsApart(t *testing.T) {
	m := NewMessages(1<<20, Stale{})
	name := []byte(dns.MustName("a.example.").Wire())
	n := 0
	for _, typ := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		for v := range Variant(4) {
			m.Put(AppendKey(nil, name, typ, 0, v), message(t, "a.example.", uint32(100+n)), nil, 0, 50, 0)
			n++
		}
	}
	n = 0
	for _, typ := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		for v := range Variant(4) {
			out, ok := m.Get(nil, AppendKey(nil, name, typ, 0, v), 0, &Hit{})
			if !ok || binary.BigEndian.Uint32(out[6:]) != uint32(100+n) {
				t.Errorf("%v variant %d: %x, expected TTL %d", typ, v, out, 100+n)
			}
			n++
		}
	}
}

func TestMessagesFlush(t *testing.T) {
	m := NewMessages(1<<20, Stale{})
	for _, n := range []string{"example.com.", "a.example.com.", "b.a.example.com.", "anexample.com.", "com."} {
		m.Put(key(n), message(t, n, 60), nil, 0, 60, 0)
	}
	if n := m.Forget(At(dns.MustName("A.example.com."))); n != 1 || m.Len() != 4 {
		t.Errorf("%d flushed, %d left; expected 1 and 4", n, m.Len())
	}
	if n := m.Forget(Below(dns.MustName("example.com."))); n != 2 || m.Len() != 2 {
		t.Errorf("%d flushed, %d left; expected 2 and 2", n, m.Len())
	}
	if m.FlushAll(); m.Len() != 0 {
		t.Errorf("%d left", m.Len())
	}
}

// FuzzMessagesPut: octets that are no message are refused, and what is taken
// comes back as it was.
func FuzzMessagesPut(f *testing.F) {
	f.Add(message(f, "www.example.com.", 300, 1))
	f.Add([]byte("\x00\x01\x81\x80\x00\x01\xff\xff\x00\x00\x00\x00\x00\x00\x01\x00\x01"))
	m := NewMessages(1<<17, Stale{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		if !m.Put([]byte("key"), msg, nil, 10, 20, 0) {
			return
		}
		end, err := questionEnd(msg)
		if err != nil {
			t.Fatal(err)
		}
		out, ok := m.Get(append([]byte(nil), msg[:end]...), []byte("key"), 10, &Hit{})
		if !ok || string(out) != string(msg) {
			t.Fatalf("stored %x, got %x", msg, out)
		}
	})
}
