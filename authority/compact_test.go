package authority

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/rrl"
	"onoma/zone"
)

func compactServer(t testing.TB, o Options, online onRequest) *Server {
	t.Helper()
	z := loadSigned(t, "example.", mixed, noChain)
	online.origin = z.Origin()
	z.SignOnline(online)
	return serve(t, o, z)
}

// TestWithoutSignatureThereIsNoAnswer: SERVFAIL for what must be signed and is
// not, and nothing else suffers.
func TestWithoutSignatureThereIsNoAnswer(t *testing.T) {
	s := compactServer(t, Options{}, onRequest{outcome: zone.Refused})
	for words, want := range map[string]dns.RCode{
		"nx.example. A do":         dns.RCodeServFail,
		"nx.example. A do co":      dns.RCodeServFail,
		"www.example. MX do":       dns.RCodeServFail,
		"x.wild.example. TXT do":   dns.RCodeServFail,
		"x.calias.example. A do":   dns.RCodeServFail,
		"x.sub.example. A do":      dns.RCodeServFail,
		"x.wild.example. RRSIG do": dns.RCodeServFail,
		"www.example. A do":        dns.RCodeNoError,
		"x.secure.example. A do":   dns.RCodeNoError,
		"nx.example. A":            dns.RCodeNXDomain,
		"x.wild.example. TXT":      dns.RCodeNoError,
	} {
		m := ask(t, s, words)
		if m.RCode != want {
			t.Errorf("%s: %s, expected %s", words, m.RCode, want)
		}
		if m.RCode == dns.RCodeServFail && (len(m.Answer)+len(m.Authority) > 0 || len(m.EDNS.EDE()) == 0) {
			t.Errorf("%s: SERVFAIL with records or without a reason:\n%v", words, m)
		}
	}
}

// TestWhatTheZoneHasIsKnown: the names that come first when there is too much.
func TestWhatTheZoneHasIsKnown(t *testing.T) {
	var asked int
	var known bool
	s := compactServer(t, Options{}, onRequest{asked: &asked, known: &known})
	for words, want := range map[string]bool{
		"www.example. MX do": true, "b.c.example. A do": true, "x.sub.example. A do": true, "example. DS do": true,
		"nx.example. A do": false, "x.wild.example. TXT do": false, "x.wild.example. A do": false,
	} {
		asked = 0
		ask(t, s, words)
		if asked == 0 || known != want {
			t.Errorf("%s: asked %d times, known %t, expected %t", words, asked, known, want)
		}
	}
}

// TestSlowSignaturesHoldUpNobody: the worker gives the query away, and the answer
// comes from elsewhere.
func TestSlowSignaturesHoldUpNobody(t *testing.T) {
	s := compactServer(t, Options{}, onRequest{patient: true})
	replies := make(chan []byte, 1)
	msg := query(t, "nx.example. A do")
	tq := transport.NewQuery(msg, clientAddr, serverAddr, transport.UDP, func(m []byte) error {
		replies <- bytes.Clone(m)
		return nil
	})
	if out := s.NewWorker().Answer(nil, tq); len(out) != 0 {
		t.Fatalf("an answer at once: %x", out)
	}
	m, err := dns.ParseMessage(<-replies)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Authority) != 4 || m.Authority[2].Type != dns.TypeNSEC {
		t.Errorf("the answer that came later is\n%v", m)
	}
	if n := s.Stats().Queries; n != 1 {
		t.Errorf("%d queries are counted, expected 1", n)
	}
}

// TestFewWaitForSlowSignatures: who comes when all places are taken has SERVFAIL.
func TestFewWaitForSlowSignatures(t *testing.T) {
	s := compactServer(t, Options{}, onRequest{patient: true})
	s.patients.busy = maxForOthers
	if m := ask(t, s, "nx.example. A do"); m.RCode != dns.RCodeServFail {
		t.Errorf("a name that does not exist: %s, expected SERVFAIL", m.RCode)
	}
	tq := transport.NewQuery(query(t, "www.example. MX do"), clientAddr, serverAddr, transport.UDP, nil)
	if out := s.NewWorker().Answer(nil, tq); len(out) != 0 {
		t.Errorf("a name that exists is not put off but answered: %x", out)
	}
	s.patients.mu.Lock()
	s.patients.busy = maxPatients
	s.patients.mu.Unlock()
	if m := ask(t, s, "www.example. MX do"); m.RCode != dns.RCodeServFail {
		t.Errorf("beyond all places: %s, expected SERVFAIL", m.RCode)
	}
}

// TestNothingIsSignedForTheLimiter: what is not let out takes no signature.
func TestNothingIsSignedForTheLimiter(t *testing.T) {
	var asked int
	var known bool
	limiter, err := rrl.New(rrl.Options{Rate: 5})
	if err != nil {
		t.Fatal(err)
	}
	s := compactServer(t, Options{Limiter: limiter}, onRequest{asked: &asked, known: &known})
	w := s.NewWorker()
	for i := range 500 {
		tq := transport.NewQuery(query(t, "x"+strings.Repeat("y", i%50)+".example. A do"), clientAddr, serverAddr, transport.UDP, nil)
		tq.Now = time.Unix(1_700_000_000, 0).UnixNano()
		w.Answer(nil, tq)
	}
	if asked == 0 || asked > 50 {
		t.Errorf("%d signatures for 500 queries of which a few are let out", asked)
	}
	if n := s.Stats().Limited[rrl.NXDomain]; n != 500-uint64(asked) {
		t.Errorf("%d queries are counted as limited, expected all but %d", n, asked)
	}
}

// TestSuccessor: nothing lies between a name and its successor, at the borders of
// what names can be.
func TestSuccessor(t *testing.T) {
	long := strings.Repeat("a", 63)
	origin := dns.MustName("example.")
	long253 := long + "." + long + "." + long + "." + strings.Repeat("b", 51) + ".example." // 253 octets
	for _, c := range []struct{ name, want string }{
		{"www.example.", `\000.www.example.`},
		{"WWW.Example.", `\000.www.example.`},
		{"example.", `\000.example.`},
		{long253, `\000.` + long253},
		// 254 octets: no label fits in front, an octet behind the first does not either.
		{long + "." + long + "." + long + "." + strings.Repeat("b", 52) + ".example.",
			strings.Repeat("a", 62) + "b." + long + "." + long + "." + strings.Repeat("b", 52) + ".example."},
		// 254 octets, and one more fits into the first label.
		{"x." + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example.",
			`x\000.` + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example."},
		// 255 octets: the last octet counts up, past the capitals that are no letters of their own here.
		{"x@." + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example.",
			"x[." + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example."},
		{`x\255.` + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example.",
			`y.` + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example."},
		{`\255\255.` + long + "." + long + "." + strings.Repeat("b", 50) + "." + long + ".example.",
			strings.Repeat("a", 62) + "b." + long + "." + strings.Repeat("b", 50) + "." + long + ".example."},
	} {
		name := dns.MustName(c.name)
		b := appendSuccessor(nil, []byte(name.Wire()), origin.Len())
		got, err := dns.NameFromWire(b)
		if err != nil {
			t.Errorf("%d octets, %s: %v", name.Len(), c.name, err)
			continue
		}
		if !got.Equal(dns.MustName(c.want)) || string(b) != string(got.Fold().Wire()) {
			t.Errorf("%d octets, %s:\n got %s\nwant %s", name.Len(), c.name, got, c.want)
		}
		if name.Compare(got) >= 0 {
			t.Errorf("%s does not come after %s", got, c.name)
		}
	}
	// The last name that can be: its successor is the first.
	last := strings.Repeat(`\255`, 53) + strings.Repeat("."+strings.Repeat(`\255`, 63), 3) + ".example."
	if b := appendSuccessor(nil, []byte(dns.MustName(last).Wire()), origin.Len()); string(b) != origin.Wire() {
		t.Errorf("behind the last name comes %x, expected the origin", b)
	}
}

// FuzzSuccessor: whatever the name, its successor is a name of the zone in lower case, and comes after it unless it is the origin.
func FuzzSuccessor(f *testing.F) {
	for _, labels := range []string{"", "\x03www", "\x01\xff", "\x02\xff\xff\x01@", strings.Repeat("\x3f"+strings.Repeat("\xff", 63), 3) + "\x35" + strings.Repeat("z", 53)} {
		f.Add([]byte(labels))
	}
	origin := dns.MustName("example.")
	f.Fuzz(func(t *testing.T, labels []byte) {
		name, err := dns.NameFromWire(append(labels, origin.Wire()...))
		if err != nil || !name.IsSubdomainOf(origin) {
			t.Skip()
		}
		b := appendSuccessor(nil, []byte(name.Wire()), origin.Len())
		next, err := dns.NameFromWire(b)
		if err != nil || string(b) != next.Fold().Wire() || !next.IsSubdomainOf(origin) {
			t.Fatalf("the successor of %s is %x (%v)", name, b, err)
		}
		if !next.Equal(origin) && name.Compare(next) >= 0 {
			t.Errorf("%s does not come after %s", next, name)
		}
	})
}

// BenchmarkLater measures what it costs to have a query answered elsewhere, beside the signature.
func BenchmarkLater(b *testing.B) {
	s := compactServer(b, Options{}, onRequest{patient: true})
	w := s.NewWorker()
	done := make(chan struct{})
	tq := transport.NewQuery(query(b, "nx.example. A do"), clientAddr, serverAddr, transport.UDP, func([]byte) error {
		done <- struct{}{}
		return nil
	})
	for range b.N {
		w.Answer(nil, tq)
		<-done
	}
}
