package validator_test

import (
	"context"
	"testing"

	"onoma/dns"
	"onoma/resolver/validator"
)

// BenchmarkLook has an answer below three zones: with their keys remembered, and
// from the anchor each time.
func BenchmarkLook(b *testing.B) {
	w := usual(b, kinds["NSEC"])
	answers := map[dns.Question]*dns.Message{}
	fetch := func(ctx context.Context, q dns.Question) (*dns.Message, error) {
		if m := answers[q]; m != nil {
			return m, nil
		}
		m, err := w.fetch(ctx, q)
		answers[q] = m
		return m, err
	}
	name := dns.MustName("www.leaf.test.")
	fresh := func() *validator.Validator {
		root := dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: w.zones[dns.Root].keys[0].RData()}
		return validator.New(validator.Options{Anchors: []dns.Record{root}, Fetch: fetch, Clock: w.clock})
	}
	look := func(b *testing.B, v *validator.Validator) {
		if r, err := v.Look(context.Background(), name, dns.TypeA); err != nil || r.Status != validator.Secure {
			b.Fatal(r.Status, err)
		}
	}
	b.Run("warm", func(b *testing.B) {
		v := fresh()
		b.ReportAllocs()
		for b.Loop() {
			look(b, v)
		}
	})
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			look(b, fresh())
		}
	})
}
