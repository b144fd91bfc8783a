package validator_test

import (
	"context"
	"slices"
	"testing"

	"onoma/dns"
	"onoma/resolver/validator"
)

// FuzzAnswers changes the octets of answers on their way: whatever comes out is
// the truth where it is said to be secure. Question 0 is for data, the others for
// what leads there.
func FuzzAnswers(f *testing.F) {
	w := usual(f, kinds["NSEC"])
	questions := []dns.Question{
		{Name: dns.MustName("www.leaf.test."), Type: dns.TypeA, Class: dns.ClassIN},
		{Name: dns.MustName("leaf.test."), Type: dns.TypeDNSKEY, Class: dns.ClassIN},
		{Name: dns.MustName("leaf.test."), Type: dns.TypeDS, Class: dns.ClassIN},
		{Name: dns.MustName("unsigned.test."), Type: dns.TypeDS, Class: dns.ClassIN},
		{Name: dns.MustName("no.leaf.test."), Type: dns.TypeA, Class: dns.ClassIN},
		{Name: dns.MustName("x.wild.leaf.test."), Type: dns.TypeTXT, Class: dns.ClassIN},
		{Name: dns.MustName("no.n3.test."), Type: dns.TypeA, Class: dns.ClassIN},
		{Name: dns.MustName("x.w.n3.test."), Type: dns.TypeTXT, Class: dns.ClassIN},
	}
	for i, q := range questions {
		m, err := w.fetch(context.Background(), q)
		if err != nil {
			f.Fatal(err)
		}
		msg, err := m.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), msg)
	}
	truth := w.look(w.validator(".", validator.Limits{}), "www.leaf.test. A").Answer[0].Data
	f.Fuzz(func(t *testing.T, at byte, msg []byte) {
		m, err := dns.ParseMessage(msg)
		if err != nil {
			return
		}
		changed := questions[int(at)%len(questions)]
		w.tamper = func(q dns.Question, answer *dns.Message) {
			if q == changed {
				*answer = *m
			}
		}
		v := w.validator(".", validator.Limits{})
		if r, err := v.Look(context.Background(), questions[0].Name, dns.TypeA); err == nil && r.Status > validator.Bogus {
			if r.Status == validator.Insecure || len(r.Answer) != 1 || !slices.Equal(r.Answer[0].Data, truth) {
				t.Errorf("%v is %v: %s", r.Answer, r.Status, r.Why)
			}
		}
		for _, q := range questions[4:] {
			r, err := v.Look(context.Background(), q.Name, q.Type)
			exists := q.Type == dns.TypeTXT
			if err == nil && r.Status == validator.Secure && exists != (r.RCode == dns.RCodeNoError && len(r.Answer) == 1) {
				t.Errorf("%s is %v %v: %v", q, r.Status, r.RCode, r.Answer)
			}
		}
	})
}
