package inline

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	ours "onoma/dns"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/zone"
	"onoma/zone/sign"
)

const (
	zoneName = "signed.example."
	zoneText = "$TTL 300\n@ SOA ns hostmaster 2000000000 3600 60 86400 300\n@ NS ns\nns A 127.0.0.1\nsub NS ns.elsewhere.test.\n"

	hidden = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
zones:
  signed.example: {file: DIR/zone, file-mode: initial, dnssec: off, update: ["grant 127.0.0.0/8 zonesub ANY"], transfer-to: [127.0.0.0/8], notify: ["SECONDARY"]}
`
	bump = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
zones:
  signed.example: {primaries: ["PRIMARY"], allow-notify: [127.0.0.0/8], dnssec: default, transfer-to: [127.0.0.0/8]}
`
)

// content fetches the zone, nil where that does not work yet.
func content(t *testing.T, from netip.AddrPort) *zone.Version {
	t.Helper()
	m := new(dns.Msg)
	m.SetAxfr(zoneName)
	in, err := new(dns.Transfer).In(m, from.String())
	if err != nil {
		return nil
	}
	var text strings.Builder
	soa := false
	for e := range in {
		if e.Error != nil {
			return nil
		}
		for _, r := range e.RR {
			if isSOA := r.Header().Rrtype == dns.TypeSOA; !isSOA || !soa {
				fmt.Fprintln(&text, r)
				soa = soa || isSOA
			}
		}
	}
	origin := ours.MustName(zoneName)
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text.String()), zonefile.Options{Origin: origin}), origin)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// authored returns what of a version is not signing's, without the SOA's number.
func authored(v *zone.Version) (out []string) {
	p := sign.Plan{Denial: sign.Denial{Kind: sign.NSEC}}
	for r := range v.Records() {
		if r.Type != ours.TypeSOA && !p.Owns(v.Origin(), r.Name, r.Type) {
			out = append(out, r.String())
		}
	}
	return out
}

// check waits until the signing server has what the primary has, and verifies that.
func check(t *testing.T, what string, primary, signing *peers.Node) *zone.Version {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		want, got := content(t, primary.Addr), content(t, signing.Addr)
		if want != nil && got != nil && slices.Equal(authored(want), authored(got)) {
			for _, f := range sign.Verify(got, sign.VerifyOptions{At: time.Now()}) {
				if f.Severity == zone.Error {
					t.Errorf("%s: %s", what, f)
				}
			}
			if !got.Apex().Has(ours.TypeDNSKEY) {
				t.Fatalf("%s: the zone is not signed", what)
			}
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the signing server has not what the primary has:\n%v\n%v", what, want != nil, got != nil)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// update adds and removes names at the primary.
func update(t *testing.T, at netip.AddrPort, i int) {
	t.Helper()
	m := new(dns.Msg)
	m.SetUpdate(zoneName)
	rr := func(format string, args ...any) []dns.RR {
		r, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			t.Fatal(err)
		}
		return []dns.RR{r}
	}
	m.Insert(rr("n%d.%s 60 IN A 192.0.2.1", i, zoneName))
	if i%3 == 2 {
		m.RemoveName(rr("n%d.%s 60 IN A 192.0.2.1", i-2, zoneName))
	}
	answer, err := dns.Exchange(m, at.String())
	if err != nil || answer.Rcode != dns.RcodeSuccess {
		t.Fatalf("update %d: %v, %v", i, answer, err)
	}
}

// TestBumpInTheWire: transfers, signatures and kills, with serial numbers of two kinds.
func TestBumpInTheWire(t *testing.T) {
	primary := peers.NewNode(t, hidden)
	signing := peers.NewNode(t, strings.ReplaceAll(bump, "PRIMARY", primary.Addr.String()))
	primary.Configure(t, strings.ReplaceAll(hidden, "SECONDARY", signing.Addr.String()))
	primary.Write(t, "zone", zoneText)
	primary.Start(t, "serve the zone", func() bool { return content(t, primary.Addr) != nil })
	signing.Start(t, "serve the zone", func() bool { return content(t, signing.Addr) != nil })
	check(t, "at first", primary, signing)
	random := rand.New(rand.NewPCG(5, uint64(time.Now().UnixNano())))
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	n := 0
	for round := range rounds {
		for range 40 {
			update(t, primary.Addr, n)
			n++
		}
		check(t, fmt.Sprintf("changes of round %d", round), primary, signing)
		go func() {
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
			_ = signing.Cmd.Process.Signal(syscall.SIGKILL)
		}()
		for range 40 {
			update(t, primary.Addr, n)
			n++
		}
		<-signing.Ended
		signing.Cmd = nil
		signing.Start(t, "come back", func() bool { return content(t, signing.Addr) != nil })
		if _, err := signing.Ctl.Zone(zoneName, "").Do(t.Context(), "refresh"); err != nil {
			t.Fatal(err)
		}
		check(t, fmt.Sprintf("behind kill %d", round), primary, signing)
	}
	whole := 0
	for line := range strings.Lines(signing.Log()) {
		if strings.Contains(line, "msg=transferred") && strings.Contains(line, "kind=axfr") {
			whole++
		}
	}
	if whole != 1 {
		t.Errorf("the whole zone was fetched %d times, expected once: the history tells what the primary's version was", whole)
	}
}
