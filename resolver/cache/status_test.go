package cache

import (
	"testing"

	"onoma/dns"
)

// TestSettle: a finding is of the octets that were judged and no others; it makes
// an entry shorter-lived, never longer-lived.
func TestSettle(t *testing.T) {
	name, zone := dns.MustName("www.example."), dns.MustName("example.")
	set := func(data string, proof ...RRset) RRset {
		return RRset{Name: name, Type: dns.TypeA, Data: []dns.RData{dns.RData(data)}, Sigs: []dns.RData{{1}}, Proof: proof}
	}
	proof := RRset{Name: zone, Type: dns.TypeNSEC, Data: []dns.RData{{2}}}
	for _, c := range []struct {
		what      string
		was, kept RRset
		expire    uint32
		want      Status
		until     uint32
		proofs    int
	}{
		{"as it was", set("1234", proof), set("1234", proof), 1040, Secure, 1040, 1},
		{"the signature is good for longer", set("1234", proof), set("1234", proof), 9000, Secure, 1060, 1},
		{"without what is not good", set("1234", proof), set("1234"), 1040, Secure, 1040, 0},
		{"something else came", set("5678", proof), set("5678", proof), 1040, Unchecked, 1060, 1},
		{"over already", set("1234", proof), set("1234", proof), 1000, Unchecked, 1060, 1},
	} {
		r := NewRecords(1 << 18)
		have := set("1234", proof)
		r.PutRRset(&have, TrustAuthority, zone, 1000, 1060)
		r.SettleRRset(name, dns.TypeA, Finding{Status: Secure, Was: []RRset{c.was}, Kept: []RRset{c.kept}, Expire: c.expire}, 1001)
		e, ok := r.RRset(name, dns.TypeA, 1002)
		if !ok || e.Status != c.want || e.Expire != c.until || len(e.Sets[0].Proof) != c.proofs || e.Trust != TrustAuthority || e.Zone != zone {
			t.Errorf("%s: %+v %v", c.what, e, ok)
		}
		if e, ok = r.RRset(name, dns.TypeA, c.until); ok {
			t.Errorf("%s: found at its end", c.what)
		}
		r.ForgetStatus()
		if e, ok = r.RRset(name, dns.TypeA, 1002); !ok || e.Status != Unchecked || e.Expire != c.until {
			t.Errorf("%s: forgotten: %+v %v", c.what, e, ok)
		}
	}
}

// TestStatusSurvivesEviction: an entry that is carried on keeps its status.
func TestStatusSurvivesEviction(t *testing.T) {
	r := NewRecords(minShard)
	name, zone := dns.MustName("www.example."), dns.MustName("example.")
	set := RRset{Name: name, Type: dns.TypeA, Data: []dns.RData{{1, 2, 3, 4}}}
	r.PutRRset(&set, TrustAuthority, zone, 1, 100)
	r.SettleRRset(name, dns.TypeA, Finding{Status: Secure, Was: []RRset{set}, Kept: []RRset{set}, Expire: 90}, 1)
	for i := range 3000 {
		other := RRset{Name: name, Type: dns.Type(1000 + i), Data: []dns.RData{make(dns.RData, 100)}}
		r.PutRRset(&other, TrustAuthority, zone, 1, 100)
		if e, ok := r.RRset(name, dns.TypeA, 1); !ok || e.Status != Secure || e.Expire != 90 {
			t.Fatalf("after %d others: %+v %v", i, e, ok)
		}
	}
}
