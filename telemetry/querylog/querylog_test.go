package querylog

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// answer is a response over UDP, 12.34 ms after its query.
func answer(t *testing.T, name, client string) dnstap.Event {
	t.Helper()
	m := dns.NewQuery(7, dns.Question{Name: dns.MustName(name), Type: dns.TypeAAAA, Class: dns.ClassIN}, true)
	m.Flags |= dns.FlagQR | dns.FlagAD
	m.RCode = dns.RCodeNXDomain
	m.EDNS = &dns.EDNS{Options: []dns.Option{dns.EDE{Code: dns.EDEStaleNXDomain}.Option()}}
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixNano()
	return dnstap.Event{Answer: wire, Client: netip.AddrPortFrom(netip.MustParseAddr(client), 4000), Proto: transport.TLS, QueryTime: at, AnswerTime: at + 12_345_678}
}

func TestLine(t *testing.T) {
	for _, test := range []struct {
		clients Clients
		names   Names
		client  string
		want    string // client and name
	}{
		{ClientsFull, NamesFull, "192.0.2.77", "192.0.2.77 www.Example.co.uk."},
		{ClientsNetwork, NamesDomain, "192.0.2.77", "192.0.2.0/24 example.co.uk."},
		{ClientsNetwork, NamesDomain, "::ffff:192.0.2.77", "192.0.2.0/24 example.co.uk."},
		{ClientsNetwork, NamesNone, "2001:db8:1:2::3", "2001:db8:1::/48 "},
		{ClientsNone, NamesFull, "192.0.2.77", " www.Example.co.uk."},
	} {
		ev := answer(t, "www.Example.co.uk.", test.client)
		text, n := (&encoder{Config{Clients: test.clients, Names: test.names}}).Frames(nil, &ev)
		var l line
		if err := json.Unmarshal(text, &l); err != nil || n != 1 {
			t.Fatalf("%q is not one line of JSON: %v", text, err)
		}
		if got := l.Client + " " + l.Name; got != test.want {
			t.Errorf("%s, %s: %q, expected %q", test.clients, test.names, got, test.want)
		}
		if l.Time != "2026-11-21T12:00:00.000Z" || l.Proto != "tls" || l.Type != "AAAA" || l.RCode != "NXDOMAIN" || !l.IsSecure || l.MS != 12.34 || len(l.Errors) != 1 {
			t.Errorf("%s", text)
		}
		if test.clients != ClientsFull && strings.Contains(string(text), "77") {
			t.Errorf("the client's address is in %s", text)
		}
	}
}

func TestPseudonym(t *testing.T) {
	one, other := &encoder{Config{Clients: ClientsHash, Secret: []byte("one")}}, &encoder{Config{Clients: ClientsHash, Secret: []byte("other")}}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if first := one.client(a); first != one.client(a) || first == one.client(b) {
		t.Error("a pseudonym does not stand for one client")
	}
	if one.client(a) == other.client(a) {
		t.Error("a pseudonym outlives its secret")
	}
}

// TestMovedAway is what log rotation does: the file is moved, and after Rotate a new one is written.
func TestMovedAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queries.log")
	out, err := New(Config{File: file, Clients: ClientsFull, Names: NamesFull})
	if err != nil {
		t.Fatal(err)
	}
	ring := out.NewRing(1 << 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { out.Run(ctx); close(ended) }()
	put := func(name string, frames uint64) {
		ev := answer(t, name, "192.0.2.1")
		ring.Put(&ev)
		for out.Stats().Frames < frames {
			time.Sleep(time.Millisecond)
		}
	}
	put("one.example.", 1)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	opened := out.Stats().Opened
	out.Rotate()
	for out.Stats().Opened == opened {
		time.Sleep(time.Millisecond)
	}
	put("two.example.", 2)
	cancel()
	<-ended
	for name, want := range map[string]string{file: "two.example.", file + ".1": "one.example."} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), want) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s has %q, expected a line about %s (%v)", filepath.Base(name), text, want, err)
		}
	}
}

func TestUnknownWords(t *testing.T) {
	for _, c := range []Config{{Clients: "some", Names: NamesFull}, {Clients: ClientsFull, Names: "some"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
