package authority

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/transport"
	"onoma/zone"
)

var hostedZones = flag.Int("zones", 20_000, "zones of five records that TestHostedZones serves; 1000000 shows what the design promises")

// hostedText is the zone of a hoster's customer.
const hostedText = `$TTL 3600
@ SOA ns1.hoster.example. hostmaster.hoster.example. 2026010101 7200 900 1209600 300
@ NS ns1.hoster.example.
@ NS ns2.hoster.example.
@ A 192.0.2.1
www A 192.0.2.1
`

func hostedName(i int) dns.Name {
	return dns.MustName(fmt.Sprintf("customer-%07x.%s", i*7919&0xFFFFFFF, []string{"example", "test", "com.example"}[i%3]))
}

// TestHostedZones serves very many small zones, and says what one costs.
func TestHostedZones(t *testing.T) {
	const most = 850 // octets a zone, all included
	n := *hostedZones
	memory := func() (heap uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, start := memory(), time.Now()
	s := New(Options{})
	for i := range n {
		origin := hostedName(i)
		v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(hostedText), zonefile.Options{Origin: origin}), origin)
		if err != nil {
			t.Fatal(err)
		}
		z := zone.New(origin)
		z.Publish(v)
		s.AddZone(z)
	}
	took := time.Since(start)
	each := int(memory()-before) / n
	t.Logf("%d zones of five records: %d octets and %v each", n, each, took/time.Duration(n))
	if each > most {
		t.Errorf("a zone of five records takes %d octets, expected at most %d", each, most)
	}

	const asked = 1 << 15
	r := rand.New(rand.NewPCG(1, 2))
	w := s.NewWorker()
	queries := make([]*transport.Query, asked)
	for i := range queries {
		words := "www." + hostedName(r.IntN(n)).String() + " A edns"
		queries[i] = transport.NewQuery(query(t, words), clientAddr, serverAddr, transport.UDP, nil)
	}
	buf := make([]byte, 0, 4096)
	start = time.Now()
	for _, q := range queries {
		if out := w.Answer(buf, q); len(out) < dns.HeaderLen || out[3]&15 != 0 || out[7] != 1 {
			t.Fatalf("answer % x, expected one record", out)
		}
	}
	t.Logf("%v an answer", time.Since(start)/asked)
	runtime.KeepAlive(s)
}
