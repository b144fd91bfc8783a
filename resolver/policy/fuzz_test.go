package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/policy"
)

// FuzzBlocks: whatever a list says, a name that it blocks or allows is one that it mentions, or is below one, and problems are bounded.
func FuzzBlocks(f *testing.F) {
	f.Add(mixedList, "www.tree.example")
	f.Add("||a^$dnstype=A|AAAA,important\n@@||a^", "a")
	f.Add("0.0.0.0 a b c #x\n*.b\n.c", "x.b")
	f.Add("\\000.x\n||\\..x^", "y.x")
	f.Fuzz(func(t *testing.T, list, question string) {
		b := read(t, policy.BlockOptions{Subdomains: true}, list)
		if p := b.Problems(); len(p.Text) > 100 || p.Count > strings.Count(list, "\n")+1 {
			t.Fatalf("%d problems of %d lines, %d kept", p.Count, strings.Count(list, "\n")+1, len(p.Text))
		}
		name, err := dns.ParseName(question)
		if err != nil {
			return
		}
		for _, qtype := range []dns.Type{dns.TypeA, dns.TypeHTTPS} {
			a := b.Ask([]byte(name.Wire()), qtype)
			if a != policy.None && b.Len() == 0 {
				t.Fatalf("%v by a list without rules", a)
			}
			if folded := b.Ask([]byte(name.Fold().Wire()), qtype); folded != a {
				t.Fatalf("%v in one case, %v in another", a, folded)
			}
			b.Reply(a, name, qtype)
		}
	})
}

// FuzzRPZ: a policy zone in any order of its records gives the same verdicts as far as no two rules have one trigger, and none panics.
func FuzzRPZ(f *testing.F) {
	f.Add(everyAction, "a.gone.")
	f.Add("32.1.2.0.192.rpz-ip CNAME .\n128.1.zz.db8.2001.rpz-nsip A 192.0.2.1\n*.x.rpz-nsdname CNAME rpz-drop.", "y.x.")
	f.Add("8.0.0.0.10.rpz-client-ip CNAME *.g.\n*.a CNAME *.\nb.c.a CNAME .\nx\\.y CNAME .", "c.a.")
	f.Fuzz(func(t *testing.T, text, question string) {
		name, err := dns.ParseName(question)
		if err != nil {
			return
		}
		o := policy.ZoneOptions{Origin: dns.MustName("rpz.")}
		list, _ := zonefile.NewReader(strings.NewReader("$TTL 1\n"+text), zonefile.Options{Origin: o.Origin}).ReadAll()
		forth := compile(t, o, list)
		back := make([]dns.Record, 0, len(list))
		for i := range list {
			back = append(back, list[len(list)-1-i])
		}
		client := netip.MustParseAddr("10.0.0.1")
		facts := policy.Facts{Addresses: addrs("192.0.2.1", "2001:db8::1"), Servers: []dns.Name{name}, ServerAddresses: addrs("2001:db8::1")}
		one, other := policy.RPZ{forth}, policy.RPZ{compile(t, o, back)}
		m, n := one.Answer(one.Question(client, []byte(name.Wire())), facts), other.Answer(other.Question(client, []byte(name.Wire())), facts)
		one.Reply(m, name, dns.TypeA)
		other.Reply(n, name, dns.TypeANY)
		if forth.Problems().Count == 0 && (m.Action != n.Action || m.Trigger != n.Trigger) {
			t.Fatalf("%+v forth, %+v back", m, n)
		}
	})
}

// FuzzKeep: what rebinding protection leaves has no private address, is part of what there was, and leaves the rest alone.
func FuzzKeep(f *testing.F) {
	r, err := policy.NewRebinding(policy.RebindingOptions{})
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range []string{"x. A 10.0.0.1", "x. HTTPS 1 . ipv4hint=10.0.0.1", "x. AAAA 64:ff9b::a00:1"} {
		record := dns.MustRecord(strings.Replace(line, ". ", ". 60 IN ", 1))
		f.Add(uint16(record.Type), []byte(record.Data))
	}
	f.Fuzz(func(t *testing.T, rtype uint16, data []byte) {
		all := []dns.Record{{Name: dns.MustName("x."), Type: dns.Type(rtype), Class: dns.ClassIN, Data: data}}
		kept, removed := r.Keep(all)
		if len(kept)+removed != 1 {
			t.Fatalf("kept %d, removed %d of one record", len(kept), removed)
		}
		for _, a := range policy.Addresses(nil, kept) {
			for _, p := range policy.PrivateNetworks {
				if p.Contains(a.Unmap()) {
					t.Fatalf("%v was kept", a)
				}
			}
		}
	})
}
