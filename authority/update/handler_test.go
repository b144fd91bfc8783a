package update

import (
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

func newUpdate() *dns.Update { return dns.NewUpdate(4711, origin) }

func address(last string) dns.RData { return rdata(dns.TypeA, "192.0.2."+last) }

// The answer says that the change is served, over every transport.
func TestUpdate(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub ANY")
	for i, proto := range []transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.QUIC} {
		u := newUpdate().Add(name("new"), 60, dns.TypeA, address(string(rune('1'+i))))
		msg, _ := u.Append(nil)
		if got := rcode(t, f.ask(t, msg, proto)); got != dns.RCodeNoError {
			t.Errorf("%v over %v, expected NOERROR", got, proto)
		}
	}
	want := "new.example. 60 IN A 192.0.2.1\nnew.example. 60 IN A 192.0.2.2\nnew.example. 60 IN A 192.0.2.3\nnew.example. 60 IN A 192.0.2.4"
	if got := f.lines("new.example."); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
	if s := f.zone.Current().Serial(); s != 5 {
		t.Errorf("serial %d, expected 5", s)
	}
	if st := f.Stats(); st.RCodes[dns.RCodeNoError] != 4 || st.Waiting != 0 || st.Octets != 0 {
		t.Errorf("%+v, expected four good ones and none that waits", st)
	}
	if st := f.server.Stats(); st.Queries != 4 || st.TCP != 3 || st.RCodes[dns.RCodeNoError] != 4 || st.Types[dns.TypeSOA] != 4 {
		t.Errorf("%+v, expected four queries", st)
	}
}

// What changes nothing makes no version.
func TestUpdateWithoutEffect(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub")
	v := f.zone.Current()
	u := newUpdate().Add(name("www"), 300, dns.TypeA, address("3")).Delete(name("none"), dns.TypeA, address("3")).
		Add(name("alias"), 300, dns.TypeA, address("3")).DeleteRRset(name("www"), dns.TypeMX)
	if got := f.update(t, u); got != dns.RCodeNoError || f.zone.Current() != v {
		t.Errorf("%v, version %d, expected NOERROR and the same version", got, f.zone.Current().Serial())
	}
}

// A change is made as a whole, or not at all: also where the last part is refused.
func TestUpdateIsAtomic(t *testing.T) {
	f := newFixture(t, Options{}, "grant any subdomain www.example. A(3)\ngrant any zonesub TXT")
	v := f.zone.Current()
	u := newUpdate().Add(name("a"), 60, dns.TypeTXT, rdata(dns.TypeTXT, "x")).
		Add(name("www"), 60, dns.TypeA, address("5")).Add(name("www"), 60, dns.TypeA, address("6"))
	if got := f.update(t, u); got != dns.RCodeRefused || f.zone.Current() != v {
		t.Errorf("%v, expected REFUSED and the same version", got)
	}
	u = newUpdate().DeleteRRset(name("www"), dns.TypeA).
		Add(name("www"), 60, dns.TypeA, address("5")).Add(name("www"), 60, dns.TypeA, address("6"))
	if got := f.update(t, u); got != dns.RCodeNoError {
		t.Errorf("%v for two of at most three addresses, expected NOERROR", got)
	}
}

func TestZoneSection(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub")
	f.Set(zone.IDOf("", dns.MustName("unserved.")), Settings{Policy: Policy{}})
	for what, c := range map[string]struct {
		change func(m *dns.Message)
		want   dns.RCode
	}{
		"no zone":       {func(m *dns.Message) { m.Questions = nil }, dns.RCodeFormErr},
		"two zones":     {func(m *dns.Message) { m.Questions = append(m.Questions, m.Questions[0]) }, dns.RCodeFormErr},
		"not SOA":       {func(m *dns.Message) { m.Questions[0].Type = dns.TypeANY }, dns.RCodeFormErr},
		"another zone":  {func(m *dns.Message) { m.Questions[0].Name = dns.MustName("unserved.") }, dns.RCodeNotAuth},
		"below":         {func(m *dns.Message) { m.Questions[0].Name = name("www") }, dns.RCodeNotAuth},
		"another class": {func(m *dns.Message) { m.Questions[0].Class = dns.ClassCH }, dns.RCodeNotAuth},
		"another case":  {func(m *dns.Message) { m.Questions[0].Name = dns.MustName("EXAMPLE.") }, dns.RCodeNoError},
	} {
		u := newUpdate()
		c.change(u.Message())
		if got := f.update(t, u); got != c.want {
			t.Errorf("%s: %v, expected %v", what, got, c.want)
		}
	}
	f.Remove(zone.IDOf("", origin))
	if got := f.update(t, newUpdate()); got != dns.RCodeRefused {
		t.Errorf("%v from a zone without settings, expected REFUSED", got)
	}
}

// Who is signed gets a signed answer, and one with a bad signature is told so.
func TestUpdateSigned(t *testing.T) {
	f := newFixture(t, Options{}, "grant key:ddns. subdomain www.example.")
	for _, algorithm := range []dns.Name{dns.HMACSHA1, dns.HMACSHA224, dns.HMACSHA256, dns.HMACSHA384, dns.HMACSHA512} {
		key := dns.TSIGKey{Name: dns.MustName("ddns."), Algorithm: algorithm, Secret: []byte("a secret of some length")}
		f.keys.Set([]dns.TSIGKey{key})
		msg, _ := newUpdate().Add(name("www"), 60, dns.TypeA, address("9")).Append(nil)
		if got := rcode(t, f.ask(t, msg, transport.UDP)); got != dns.RCodeRefused {
			t.Errorf("%v for who does not sign, expected REFUSED", got)
		}
		signed, mac, err := dns.SignTSIG(msg, key, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := f.ask(t, signed, transport.UDP)
		if got := rcode(t, answer); got != dns.RCodeNoError {
			t.Errorf("%v with %v, expected NOERROR", got, algorithm)
		}
		stream, _ := dns.NewTSIGStream(key, mac)
		if _, err := stream.Verify(answer, time.Now()); err != nil || stream.Complete() != nil {
			t.Errorf("the answer's signature by %v: %v", algorithm, err)
		}
		key.Secret = []byte("another secret")
		signed, _, _ = dns.SignTSIG(msg[:len(msg):len(msg)], key, time.Now(), nil)
		if got := rcode(t, f.ask(t, signed, transport.UDP)); got != dns.RCodeNotAuth {
			t.Errorf("%v with another secret, expected NOTAUTH", got)
		}
		msg, _ = newUpdate().Add(name("mail"), 60, dns.TypeA, address("9")).Append(nil)
		key.Secret = []byte("a secret of some length")
		signed, _, _ = dns.SignTSIG(msg, key, time.Now(), nil)
		if got := rcode(t, f.ask(t, signed, transport.UDP)); got != dns.RCodeRefused {
			t.Errorf("%v for a name that is another's, expected REFUSED", got)
		}
	}
}

// More than so many updates do not wait, and an EDE says why.
func TestBusy(t *testing.T) {
	f := newFixture(t, Options{Most: 2}, "grant any zonesub")
	f.memory.hold = true
	u := newUpdate().Add(name("new"), 60, dns.TypeA, address("9"))
	u.Message().EDNS = &dns.EDNS{UDPSize: 1232}
	msg, _ := u.Append(nil)
	first, second := f.send(msg, transport.UDP), f.send(msg, transport.TCP)
	third, err := dns.ParseMessage(f.ask(t, msg, transport.UDP))
	if err != nil || third.RCode != dns.RCodeServFail || third.EDNS == nil || len(third.EDNS.Options) != 1 || third.EDNS.Options[0].Code != dns.OptionEDE {
		t.Errorf("%+v, %v, expected SERVFAIL with an extended error", third, err)
	}
	f.memory.release()
	for _, answer := range []<-chan []byte{first, second} {
		if got := rcode(t, <-answer); got != dns.RCodeNoError {
			t.Errorf("%v for who had waited, expected NOERROR", got)
		}
	}
	if got := rcode(t, f.ask(t, msg, transport.UDP)); got != dns.RCodeNoError {
		t.Errorf("%v once none waits, expected NOERROR", got)
	}
	if st := f.Stats(); st.Waiting != 0 || st.Octets != 0 {
		t.Errorf("%+v, expected none that waits", st)
	}
}

// Two requests with the same prerequisite, one after the other: only the first
// finds it met.
func TestPrerequisitesSeeWhatCameBefore(t *testing.T) {
	f := newFixture(t, Options{}, "grant any zonesub")
	f.memory.hold = true
	msg, _ := newUpdate().IfNoName(name("new")).Add(name("new"), 60, dns.TypeA, address("9")).Append(nil)
	first, second := f.send(msg, transport.UDP), f.send(msg, transport.UDP)
	f.memory.release()
	if a, b := rcode(t, <-first), rcode(t, <-second); a != dns.RCodeNoError || b != dns.RCodeYXDomain {
		t.Errorf("%v and %v, expected NOERROR and YXDOMAIN", a, b)
	}
}

func TestNobodyTakesUpdates(t *testing.T) {
	f := newFixture(t, Options{}, "")
	if got := f.update(t, newUpdate()); got != dns.RCodeRefused {
		t.Errorf("%v from an empty policy, expected REFUSED", got)
	}
}

func TestSigner(t *testing.T) {
	f := newFixture(t, Options{}, "")
	f.Set(zone.IDOf("", origin), Settings{Policy: mustPolicy(t, "grant any zonesub ANY"), Signed: true})
	nsec := rdata(dns.TypeNSEC, "www A NSEC")
	for _, c := range []struct {
		u    *dns.Update
		want dns.RCode
	}{
		{newUpdate().Add(name("a"), 60, dns.TypeNSEC, nsec), dns.RCodeRefused},
		{newUpdate().DeleteRRset(name("a"), dns.TypeRRSIG), dns.RCodeRefused},
		{newUpdate().DeleteRRset(origin, dns.TypeNSEC3PARAM), dns.RCodeRefused},
		{newUpdate().Add(origin, 60, dns.TypeDNSKEY, rdata(dns.TypeDNSKEY, "256 3 13 AAAA")), dns.RCodeNoError}, // RFC 8901
	} {
		if got := f.update(t, c.u); got != c.want {
			t.Errorf("%v: %v, expected %v", c.u.Message().Authority, got, c.want)
		}
	}
	f.Set(zone.IDOf("", origin), Settings{Policy: mustPolicy(t, "grant any zonesub ANY")})
	for _, u := range []*dns.Update{
		newUpdate().Add(name("a"), 60, dns.TypeNSEC, nsec),
		newUpdate().Add(origin, 60, dns.TypeNSEC3PARAM, rdata(dns.TypeNSEC3PARAM, "1 0 0 -")),
	} {
		if got := f.update(t, u); got != dns.RCodeNoError {
			t.Errorf("without a signer: %v: %v, expected NOERROR", u.Message().Authority, got)
		}
	}
}

func mustPolicy(t testing.TB, text string) Policy {
	t.Helper()
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A second's worth at once, and then one after the other.
func TestPace(t *testing.T) {
	p := pace{every: perSecond(10)}
	now := time.Unix(1_000_000, 0)
	many := func() (n int) {
		for n < 100 && p.take(now) {
			n++
		}
		return n
	}
	first := many()
	now = now.Add(200 * time.Millisecond)
	second := many()
	now = now.Add(time.Hour)
	third := many()
	if first < 10 || first > 11 || second != 2 || third != first {
		t.Errorf("%d, %d after 0.2 s and %d after an hour, expected about 10, 2 and as many as at first", first, second, third)
	}
}
