package iterator

import (
	"testing"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
)

func TestReferrals(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww 300 A 198.51.100.1"))

		expect(t, "first look-up", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./300/A=198.51.100.1")
		expectList(t, "each server sees one label more", w.asked(),
			"192.0.2.1 . NS",
			"192.0.2.1 com. A",
			"192.0.2.2 example.com. A",
			"192.0.2.3 www.example.com. A")

		sleep(100e9)
		expect(t, "again, later", w.resolve("WWW.example.COM.", dns.TypeA), "NOERROR www.example.com./200/A=198.51.100.1")
		expectList(t, "from the cache", w.asked())

		expect(t, "no such type", w.resolve("www.example.com.", dns.TypeTXT), "NOERROR | example.com./300/SOA")
		expect(t, "no such name", w.resolve("nix.example.com.", dns.TypeA), "NXDOMAIN | example.com./300/SOA")
		expectList(t, "the delegation is known", w.asked(), "192.0.2.3 www.example.com. TXT", "192.0.2.3 nix.example.com. A")

		expect(t, "no such TLD", w.resolve("a.b.c.nix.", dns.TypeA), "NXDOMAIN | ./300/SOA")
		expectList(t, "the root sees only the TLD", w.asked(), "192.0.2.1 nix. A")
	})
}
