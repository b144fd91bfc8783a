package delegation

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onoma/delegation"
	"onoma/dns"
	"onoma/resolver/validator"
	"onoma/test/peers"
	"onoma/zone"
)

// TestSignals: RFC 9615 from one end to the other: a child that BIND signs, whose provider's zone, which Knot signs, has what the
// child publishes below the names of its name servers; the validator follows the provider's keys.
func TestSignals(t *testing.T) {
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	peers.Need(t, peers.BIND.Binary)
	addr, provider := peers.BIND.Addr(t), peers.Knot.Addr(t)
	peers.SigningBIND(t, zoneFile(t, ""), addr)
	policy := delegation.Policy{DS: true, Bootstrap: delegation.Bootstrap{Authenticated: true}}
	var v *validator.Validator
	h := newParent(t, policy, "child NS ns1.provider.example.\n", func(o *delegation.Options) {
		o.Resolve = func(_ context.Context, q dns.Question) (*dns.Message, error) {
			m := new(dns.Message)
			if q.Type == dns.TypeA {
				m.Answer = append(m.Answer, dns.MustRecord("ns1.provider.example. 1 IN A "+addr.Addr().String()))
			}
			return m, nil
		}
		o.Validate = func(ctx context.Context, name dns.Name, typ dns.Type) (delegation.Proven, error) {
			r, err := v.Look(ctx, name, typ)
			p := delegation.Proven{Secure: r.Status == validator.Secure, Why: r.Why}
			for _, rr := range r.Answer {
				if rr.Type == typ {
					p.Answer = append(p.Answer, rr)
				}
			}
			return p, err
		}
	})
	h.ports[netip.AddrPortFrom(addr.Addr(), 53).String()] = addr.String()
	h.await("CDS", func() bool { return has(fetch(t, addr, child, dns.TypeCDS), dns.TypeCDS) })

	signals := ""
	for _, typ := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY} {
		for _, r := range fetch(t, addr, child, typ) {
			if r.Type == typ {
				signals += fmt.Sprintf("_dsboot.child.tld._signal.ns1 %s %s\n", typ, dns.AppendRDataText(nil, typ, r.Data))
			}
		}
	}
	for _, x := range []struct {
		name string
		text string
		want delegation.Verdict
		why  string
	}{
		{"no signal", "", delegation.Refused, "has no CDS"},
		{"signals", signals, delegation.Changed, "signals of 1 name servers"},
	} {
		addr := provider
		if x.text == "" {
			addr = peers.Knot.Addr(t)
		}
		v = providerZone(t, addr, x.text)
		r, err := h.desk.Look(t.Context(), zone.IDOf("", tld), child, false)
		if err != nil || r.DS.Verdict != x.want || !strings.Contains(r.DS.Why, x.why) {
			t.Fatalf("%s: %+v, %v", x.name, r.DS, err)
		}
	}
	if err := vouches(t, h.ds()[0], fetch(t, addr, child, dns.TypeDNSKEY)); err != "" {
		t.Error(err)
	}
}

// providerZone has Knot sign and serve the provider's zone, and returns a validator that trusts its keys.
func providerZone(t *testing.T, addr netip.AddrPort, signals string) *validator.Validator {
	t.Helper()
	file := filepath.Join(t.TempDir(), "provider.zone")
	text := "$TTL 1\n$ORIGIN provider.example.\n@ SOA ns1 hostmaster 1 3600 600 86400 1\n@ NS ns1\nns1 A 127.0.0.1\n" + signals
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	name := dns.MustName("provider.example.")
	peers.SigningKnot(t, peers.Zones{{Name: "provider.example.", File: file}}, addr, addr)
	var anchors []dns.Record
	for _, r := range fetch(t, addr, name, dns.TypeDNSKEY) {
		if k, err := dns.ParseDNSKEY(r.Data); r.Type == dns.TypeDNSKEY && err == nil && k.IsSEP() {
			anchors = append(anchors, r)
		}
	}
	return validator.New(validator.Options{Anchors: anchors, Fetch: func(_ context.Context, q dns.Question) (*dns.Message, error) {
		m := dns.NewQuery(1, q, false)
		m.EDNS = &dns.EDNS{UDPSize: 4096, DO: true}
		return ask(t, "udp", addr, m), nil
	}})
}
