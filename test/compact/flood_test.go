package compact

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/online"
	"onoma/transport"
)

var somebody = netip.MustParseAddrPort("192.0.2.99:4000")

// query makes a question with DO, and with CO if wanted.
func query(t testing.TB, name string, typ dns.Type, co bool) []byte {
	t.Helper()
	m := dns.NewQuery(7, dns.Question{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN}, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true, CO: co}
	msg, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// ask puts a question to a worker, in-process.
func ask(t testing.TB, w transport.Worker, msg []byte) *dns.Message {
	t.Helper()
	m, err := dns.ParseMessage(w.Answer(nil, transport.NewQuery(msg, somebody, somebody, transport.UDP, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// count returns how many records of a type the sections have.
func count(m *dns.Message, t dns.Type) (n int) {
	for s := dns.SectionAnswer; s <= dns.SectionAuthority; s++ {
		for _, r := range m.Section(s) {
			if r.Type == t {
				n++
			}
		}
	}
	return n
}

// TestFloodOfNames: 100,000 names that do not exist, 20,000 a second. Each answer is signed or SERVFAIL, the signatures made are as many
// as may be, and the names of the zone, of which nothing has been asked before, are answered all the while.
func TestFloodOfNames(t *testing.T) {
	now := time.Now()
	r := newRig(t, online.Options{PerSecond: 2000, Cache: 4 << 20, Clock: func() time.Time { return now }}, dnssec.ECDSAP256SHA256)
	w := r.auth.NewWorker()
	types := []dns.Type{dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypeCAA}
	names := []string{"www.", "", "ns1.", "c.", "b.c.", "sub.", "wild."}
	const queries, perSecond = 100_000, 20_000
	signed, refused := 0, 0
	for i := range queries {
		now = now.Add(time.Second / perSecond)
		m := ask(t, w, query(t, fmt.Sprintf("x%dy%d.compact.test.", i, i*i), dns.TypeA, false))
		switch {
		case m.RCode == dns.RCodeNoError && count(m, dns.TypeNSEC) == 1 && count(m, dns.TypeRRSIG) == 2:
			signed++
		case m.RCode == dns.RCodeServFail && len(m.EDNS.EDE()) == 1 && len(m.Answer)+len(m.Authority) == 0:
			refused++
		default:
			t.Fatalf("neither signed nor SERVFAIL:\n%v", m)
		}
		if i%500 != 0 {
			continue
		}
		name := names[i/500%len(names)] + "compact.test."
		if m := ask(t, w, query(t, name, types[i/500%len(types)], false)); m.RCode != dns.RCodeNoError || count(m, dns.TypeRRSIG) == 0 {
			t.Fatalf("a name of the zone is answered\n%v", m)
		}
	}
	const seconds = queries / perSecond
	if most := 1000*seconds + 250; signed > most || signed < most*9/10 {
		t.Errorf("%d answers are signed in %d seconds, expected up to %d", signed, seconds, most)
	}
	if n := r.signer.Octets(); n > 4<<20 {
		t.Errorf("signatures take %d octets, the limit is %d", n, 4<<20)
	}
	t.Logf("%d signed, %d refused; %+v", signed, refused, r.child.Counts())
}

// TestAnswersFromTheCacheDoNotAllocate: what has been signed once is as cheap as the rest.
func TestAnswersFromTheCacheDoNotAllocate(t *testing.T) {
	r := newRig(t, online.Options{}, dnssec.ECDSAP256SHA256)
	w := r.auth.NewWorker()
	buf := make([]byte, 0, 4096)
	for _, name := range []string{"nx.compact.test.", "b.c.compact.test.", "x.wild.compact.test.", "x.calias.compact.test.", "x.sub.compact.test.", "www.compact.test.", "x.old.compact.test."} {
		for _, typ := range []dns.Type{dns.TypeA, dns.TypeMX, dns.TypeRRSIG, dns.TypeNSEC} {
			q := transport.NewQuery(query(t, name, typ, true), somebody, somebody, transport.UDP, nil)
			if n := testing.AllocsPerRun(20, func() { w.Answer(buf, q) }); n != 0 {
				t.Errorf("%s %s: %v allocations, want none", name, typ, n)
			}
		}
	}
}

// TestCompactAnswersOK: RFC 9824 §5.1: a client that says so has the response code back, and still the proof.
func TestCompactAnswersOK(t *testing.T) {
	r := newRig(t, online.Options{}, dnssec.ECDSAP256SHA256)
	w := r.auth.NewWorker()
	for _, co := range []bool{false, true} {
		m := ask(t, w, query(t, "nx.compact.test.", dns.TypeA, co))
		want := dns.RCodeNoError
		if co {
			want = dns.RCodeNXDomain
		}
		if m.RCode != want || m.EDNS.CO != co || count(m, dns.TypeNSEC) != 1 {
			t.Errorf("CO %t: expected %s\n%v", co, want, m)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, algorithm := range []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519} {
		r := newRig(b, online.Options{PerSecond: 1e9}, algorithm)
		w := r.auth.NewWorker()
		buf := make([]byte, 0, 4096)
		b.Run("made-up/"+dnssec.AlgorithmName(algorithm), func(b *testing.B) {
			msg := query(b, "x000000000.compact.test.", dns.TypeA, false)
			for i := range b.N {
				copy(msg[dns.HeaderLen+2:], fmt.Sprintf("%09d", i))
				w.Answer(buf, transport.NewQuery(msg, somebody, somebody, transport.UDP, nil))
			}
		})
		b.Run("again/"+dnssec.AlgorithmName(algorithm), func(b *testing.B) {
			q := transport.NewQuery(query(b, "nx.compact.test.", dns.TypeA, false), somebody, somebody, transport.UDP, nil)
			for range b.N {
				w.Answer(buf, q)
			}
		})
	}
}
