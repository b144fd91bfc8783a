package authority

import (
	"testing"

	"onoma/transport"
	"onoma/zone"
)

// mixed is a zone with something of everything, whatever its name.
const mixed = `$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ NS ns2.elsewhere.
@ DNSKEY 257 3 13 abcd
ns1 A 192.0.2.1
www A 192.0.2.80
www AAAA 2001:db8::80
alias CNAME www
alias2 CNAME alias
far CNAME www.elsewhere.
loop-a CNAME loop-b
loop-b CNAME loop-a
*.wild TXT "any"
*.calias CNAME www
a.b.c TXT "below empty non-terminals"
old DNAME new
host.new A 192.0.2.9
turn DNAME x.turn
sub NS ns1.sub
sub NS ns.sibling
ns1.sub A 192.0.2.53
ns1.sub AAAA 2001:db8::53
secure NS ns.elsewhere.
secure DS 1 13 2 abababababababababababababababababababababababababababababababab
sibling NS ns.sibling
ns.sibling A 192.0.2.54
child NS ns.child
ns.child A 192.0.2.55
below.ent NS ns.elsewhere.
big TXT "` + xs + `" "` + xs + `" "` + xs + `" "` + xs + `" "` + xs + `"
`

const xs = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// TestAnswersDoNotAllocate holds the path of an answer to its promise.
func TestAnswersDoNotAllocate(t *testing.T) {
	questions := []string{
		"www.example. A", "www.example. A edns", "WWW.EXAMPLE. A do", "example. SOA do", "example. NS edns", // exact
		"alias2.example. A", "alias2.example. A do", "loop-a.example. A", "far.example. A edns", // chains
		"x.sub.example. A", "x.sub.example. A edns", "x.sub.example. A do", "x.secure.example. A do", // referrals
		"below.ent.example. A do", "sub.example. DS do", "example. DS do",
		"nx.example. A", "nx.example. A do", "nx.ent.example. A do", // NXDOMAIN
		"b.c.example. A", "b.c.example. A do", "www.example. MX do", // NODATA
		"x.wild.example. TXT", "x.wild.example. TXT do", "x.wild.example. A do", "x.calias.example. A do", // wildcards
		"host.old.example. A do", "nx.old.example. A do", "y.turn.example. A do", // DNAME
		"other.test. A", "other.test. A edns", // REFUSED
		"www.example. ANY", "www.example. AXFR edns", "big.example. TXT", "www.example. A vers=1", "www.example. A nsid",
		"version.bind. TXT class=CH",
	}
	for kind, z := range map[string]func() *Server{
		"unsigned": func() *Server { return serve(t, Options{NSID: []byte("a"), Version: "1"}, load(t, "example.", mixed)) },
		"nsec":     func() *Server { return serve(t, Options{}, loadSigned(t, "example.", mixed, chainNSEC)) },
		"nsec3":    func() *Server { return serve(t, Options{}, loadSigned(t, "example.", mixed, chainNSEC3)) },
		"compact":  func() *Server { return compactServer(t, Options{}, onRequest{outcome: zone.Refused}) },
		"optout":   func() *Server { return serve(t, Options{}, loadSigned(t, "example.", mixed, chainOptOut)) },
	} {
		t.Run(kind, func(t *testing.T) {
			w := z().NewWorker()
			buf := make([]byte, 0, 4096)
			for _, q := range questions {
				tq := transport.NewQuery(query(t, q), clientAddr, serverAddr, transport.UDP, nil)
				batch := [][]byte{tq.Msg, tq.Msg}
				if n := testing.AllocsPerRun(50, func() { w.(transport.Preparer).Prepare(batch); w.Answer(buf, tq) }); n != 0 {
					t.Errorf("%s: %v allocations, want none", q, n)
				}
			}
		})
	}
}
