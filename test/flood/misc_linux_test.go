package flood

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// victim is whose address an attack by reflection forges.
var victim = netip.MustParseAddr("198.51.100.7")

// largeZone has answers as an amplifier would want them.
func largeZone(t *testing.T) string {
	var b strings.Builder
	b.WriteString(hosts)
	for i := range 4 {
		fmt.Fprintf(&b, "big TXT %q\n", strings.Repeat(string(rune('a'+i)), 250))
	}
	return write(t, b.String())
}

// Reflection: with response rate limiting a victim gets less than was sent in its name, and good clients notice nothing.
func TestAmplification(t *testing.T) {
	const rate = 50_000
	for _, kind := range []uint16{dns.TypeANY, dns.TypeTXT} {
		t.Run(dns.TypeToString[kind], func(t *testing.T) {
			gain := func(flags ...string) (float64, tally) {
				r := newRig(t)
				s := scenario{zone: largeZone, flags: flags}
				p := s.serve(t, r)
				defer p.stop(t)
				good := r.good(t, 0, goodClients, goodRate, question(t, "www.example.com.", dns.TypeA, false))
				defer good.end()
				good.during(2 * time.Second)
				_, before := r.packets()
				query := udpFrame(r.serverMAC, question(t, "big.example.com.", kind, false))
				a := r.begin(t, query, rate, func(f frame, rng *rand.Rand) { f.from(victim, uint16(1024+rng.IntN(60000))) })
				got := good.during(span())
				_, after := r.packets()
				sent := float64(a.end()) * float64(len(query))
				return float64(after-before) / sent, got
			}
			open, _ := gain()
			limited, got := gain("--rate-limit", "50")
			t.Logf("octets out for each in: %.1f, with rate limiting %.2f; good clients keep %.1f %%", open, limited, 100*got.share())
			if limited > 1 {
				t.Errorf("amplified %.2f times in spite of rate limiting", limited)
			}
			if got.share() < goodShare {
				t.Errorf("good clients kept %.1f %%, expected %.0f %%", 100*got.share(), 100*goodShare)
			}
		})
	}
}

// Clients that come during the flood, which nobody remembers, are let in for a cookie that they got earlier.
func TestCookiesOpenTheDoor(t *testing.T) {
	r := newRig(t)
	s := scenario{zone: plainZone, query: question(t, "www.example.com.", dns.TypeA, false), change: forged}
	can, _ := s.without(t, r)
	p := s.serve(t, r)
	defer p.stop(t)
	cookied := question(t, "www.example.com.", dns.TypeA, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("00", 24)})
	short := question(t, "www.example.com.", dns.TypeA, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("00", 8)})
	with := r.good(t, 0, 40, 1, cookied)
	for _, c := range with.clients {
		cookie := r.cookie(t, c, short)
		c.mu.Lock()
		copy(c.query[len(c.query)-24:], cookie)
		c.mu.Unlock()
	}
	a := r.begin(t, udpFrame(r.serverMAC, s.query), int(3*can), s.change)
	time.Sleep(time.Second)
	without := r.good(t, 60, 40, 20, question(t, "www.example.com.", dns.TypeA, false))
	from := time.Now().UnixNano()
	strangers := without.during(max(span(), 3*time.Second))
	got := with.since(from)
	a.end()
	t.Logf("newcomers with a cookie keep %.1f %% of their answers, those without %.1f %%", 100*got.share(), 100*strangers.share())
	if got.share() < goodShare {
		t.Errorf("expected %.0f %% at least for those with a cookie", 100*goodShare)
	}
}

// cookie asks for one.
func (r *rig) cookie(t *testing.T, c *client, query []byte) []byte {
	t.Helper()
	var got []byte
	err := r.outside.do(func() error {
		m := new(dns.Msg)
		if err := m.Unpack(query); err != nil {
			return err
		}
		in, _, err := (&dns.Client{Dialer: dialFrom(c.conn.LocalAddr())}).Exchange(m, serverAddr.String()+":53")
		if err != nil {
			return err
		}
		for _, o := range in.IsEdns0().Option {
			if k, ok := o.(*dns.EDNS0_COOKIE); ok {
				got, err = hex.DecodeString(k.Cookie)
			}
		}
		return err
	})
	if err != nil || len(got) != 24 {
		t.Fatalf("asking for a cookie: %x, %v", got, err)
	}
	return got
}
