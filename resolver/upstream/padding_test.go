package upstream

import (
	"bytes"
	"testing"

	"onoma/dns"
)

// Padding changes the length of a query and nothing else.
func TestPadded(t *testing.T) {
	for _, name := range []string{".", "a.test.", "a.long.name.that.ends.where.it.fits.nearly.into.one.block.of.octets.whose.number.is.known.test."} {
		m := dns.NewQuery(7, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false)
		bare, _ := m.Append(nil)
		if !bytes.Equal(padded(bare), bare) {
			t.Errorf("%s: padded without EDNS", name)
		}
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true, Options: []dns.Option{{Code: dns.OptionCookie, Data: []byte("12345678")}}}
		raw, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		out := padded(raw)
		got, err := dns.ParseMessage(out)
		if err != nil || len(out)%paddedTo != 0 || len(got.EDNS.Options) != 2 || got.EDNS.Options[0].Code != dns.OptionCookie || got.Question() != m.Question() {
			t.Errorf("%s: %d octets: %v %v", name, len(out), got, err)
		}
	}
}

// Whatever is given: no panic, and a message stays one.
func FuzzPadded(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < headerLen {
			return
		}
		out := padded(msg)
		_, before := dns.ParseMessage(msg)
		if _, after := dns.ParseMessage(out); before == nil && after != nil {
			t.Errorf("%x became %x: %v", msg, out, after)
		}
	})
}
