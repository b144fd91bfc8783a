package compact

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"onoma/dns/dnssec"
	"onoma/signer/online"
	"onoma/test/peers"
)

var rate = regexp.MustCompile(`Queries per second: +([0-9.]+)`)

// BenchmarkBesidePeers measures, with dnsperf for three seconds each, how many names that do not exist are denied in a second: names that
// come once, and a thousand names that come again and again. Go's own figures mean nothing here. Ours has one UDP loop and shares this
// process; the others run as they are configured by themselves.
func BenchmarkBesidePeers(b *testing.B) {
	peers.Need(b, "dnsperf")
	r := newRig(b, online.Options{PerSecond: 1e9}, dnssec.ECDSAP256SHA256)
	dir := b.TempDir()
	file := filepath.Join(dir, "compact.test.zone")
	if err := os.WriteFile(file, []byte(childZone), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	servers := map[string]netip.AddrPort{"onoma": r.addr}
	for _, p := range []*peers.Peer{peers.KnotOnline, peers.PowerDNSLive} {
		if p.Available() {
			servers[p.Name] = p.Start(b, peers.Zones{{Name: "compact.test.", File: file}}, p.Addr(b)).Addr
		}
	}
	for name, addr := range servers {
		for what, names := range map[string]int{"once": 3_000_000, "again": 1000} {
			b.Run(name+"/"+what, func(b *testing.B) { b.ReportMetric(perSecond(b, dir, addr, names), "queries/s") })
		}
	}
}

// perSecond has dnsperf ask for so many names, and for these from the start when it is through.
func perSecond(b *testing.B, dir string, addr netip.AddrPort, names int) float64 {
	b.Helper()
	file := filepath.Join(dir, fmt.Sprintf("names%d", names))
	if _, err := os.Stat(file); err != nil {
		var text strings.Builder
		for i := range names {
			fmt.Fprintf(&text, "n%x.compact.test. A\n", i*2654435761)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	out, err := exec.Command("dnsperf", "-s", addr.Addr().String(), "-p", strconv.Itoa(int(addr.Port())), "-d", file, "-D", "-l", "3", "-q", "200").CombinedOutput()
	if err != nil {
		b.Fatalf("dnsperf: %v\n%s", err, out)
	}
	m := rate.FindSubmatch(out)
	if m == nil {
		b.Fatalf("dnsperf says no rate:\n%s", out)
	}
	n, _ := strconv.ParseFloat(string(m[1]), 64)
	return n
}
