package walk

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// change registers a domain and changes its records while the lab runs; each resolver has to say what is true at its next
// query. The record that changes has a TTL of 0: it may not be remembered (RFC 1035 §3.2.1), so no resolver has an excuse.
func (w *world) change(t *testing.T, servers map[string]netip.AddrPort) {
	name := question{"www.olive.guru.", dns.TypeA}
	see := func(server string, want outcome) {
		t.Helper()
		if diff := cmp.Diff(want, ask(servers[server], name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", server, diff)
		}
	}
	address := func(a string) outcome {
		return outcome{RCode: "NOERROR", Answer: []string{"www.olive.guru.\t0\tIN\tA\t" + a}}
	}
	// The peers are not asked before there is something: they may remember a no for a while (RFC 2308 §5).
	see("onoma", outcome{RCode: "NXDOMAIN"})
	w.onoma(t, "lab", "register", "olive.guru", "--ns", "ns1.acropolis-dns.net,ns1.meltemi-dns.com", "--dir", w.dir)
	for _, a := range []string{"198.18.1.99", "198.18.2.99", "198.18.1.98"} {
		w.onoma(t, "lab", "record", "www.olive.guru", "A", a, "--ttl", "0", "--dir", w.dir)
		for server := range servers {
			see(server, address(a))
		}
	}
	w.onoma(t, "lab", "record", "www.olive.guru", "A", "--delete", "--dir", w.dir)
	for server := range servers {
		see(server, outcome{RCode: "NXDOMAIN"})
	}
	w.onoma(t, "lab", "record", "olive.guru", "MX", "10 mx1.hermes-mail.com", "--dir", w.dir)
	name = question{"olive.guru.", dns.TypeMX}
	for server := range servers {
		see(server, outcome{RCode: "NOERROR", Answer: []string{"olive.guru.\t0\tIN\tMX\t10 mx1.hermes-mail.com."}})
	}
	w.onoma(t, "lab", "register", "olive.guru", "--delete", "--dir", w.dir)
	see("onoma", outcome{RCode: "NXDOMAIN"})
}
