package compact

import (
	"context"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/signer/online"
)

// TestOurValidatorKnowsNXNAME: it finds all that Unbound finds, and which names do not exist, with and without CO.
func TestOurValidatorKnowsNXNAME(t *testing.T) {
	r := newRig(t, online.Options{}, dnssec.ECDSAP256SHA256)
	anchor, err := dns.ParseRDataString(dns.TypeDNSKEY, dnskeyLine.FindString(r.anchor)[len("DNSKEY "):], dns.Name{})
	if err != nil {
		t.Fatal(err)
	}
	for _, co := range []bool{false, true} {
		w := r.auth.NewWorker()
		v := validator.New(validator.Options{
			Anchors: []dns.Record{{Name: dns.MustName("test."), Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: anchor}},
			Fetch: func(_ context.Context, q dns.Question) (*dns.Message, error) {
				return ask(t, w, query(t, q.Name.String(), q.Type, co)), nil
			},
		})
		for _, q := range questions {
			typ, _ := dns.ParseType(q.typ)
			got, err := v.Look(context.Background(), dns.MustName(q.name), typ)
			if err != nil {
				t.Fatalf("%s %s: %v", q.name, q.typ, err)
			}
			want, rcode := validator.Secure, dns.RCodeNoError
			if q.insecure {
				want = validator.Insecure
			}
			if q.absent {
				rcode = dns.RCodeNXDomain
			}
			if got.Status != want || got.RCode != rcode {
				t.Errorf("%s %s with CO %t: %v %s, expected %v %s: %s", q.name, q.typ, co, got.Status, got.RCode, want, rcode, got.Why)
			}
		}
	}
}
