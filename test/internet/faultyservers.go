package internet

import (
	"fmt"

	"onoma/dns"
)

// delegationFaults are in who is said to serve a zone.
var delegationFaults = []Fault{
	{Name: "glueless", Text: "servers below a zone whose servers are below another one", Slow: true, apply: func(n *Internet, z *Zone) {
		far := n.under(n.tlds[0], z.Name.FirstLabel()+"-far")
		far.Fault, far.operators, far.servers = z.Fault, z.operators, z.servers
		for i, s := range z.servers {
			t, data := dns.NewAddr(s.addr)
			far.add(fmt.Sprintf("dns%d", i), 300, t, data.Text(t))
		}
		z.servers = nil
		for i := range far.servers {
			z.servers = append(z.servers, nameServer{name: far.at(fmt.Sprintf("dns%d", i))})
		}
	}},
	{Name: "cyclic", Text: "two zones whose servers are below each other", Slow: true, apply: func(n *Internet, z *Zone) {
		twin := n.under(n.tlds[0], z.Name.FirstLabel()+"-twin")
		twin.Fault, twin.operators = z.Fault, z.operators
		twin.servers = []nameServer{{name: z.at("ns")}}
		z.servers = []nameServer{{name: twin.at("ns")}}
	}},
	{Name: "nowhere", Text: "the only server's name does not exist", apply: func(n *Internet, z *Zone) {
		z.servers = []nameServer{{name: n.tlds[0].at("no-such-server")}}
	}},
	{Name: "half-nowhere", Text: "one of two servers' names does not exist", apply: func(n *Internet, z *Zone) {
		z.servers = []nameServer{{name: n.tlds[0].at("no-such-server")}, z.servers[0]}
	}},
	{Name: "ns-alias", Text: "the only server's name is an alias (against RFC 2181 §10.3)", Slow: true, apply: func(n *Internet, z *Zone) {
		good := z.servers[0]
		far := n.under(n.tlds[0], z.Name.FirstLabel()+"-far")
		far.Fault, far.operators, far.servers = z.Fault, z.operators, z.servers
		far.add("dns", 300, dns.TypeCNAME, good.name.String())
		z.servers = []nameServer{{name: far.at("dns")}}
	}},
	{Name: "lame", Text: "the only server refuses", apply: at(func() habit { return always(dns.RCodeRefused) })},
	{Name: "half-lame", Text: "one of two servers refuses", apply: beside(func() habit { return always(dns.RCodeRefused) })},
	{Name: "failing", Text: "the only server fails", apply: at(func() habit { return always(dns.RCodeServFail) })},
	{Name: "half-failing", Text: "one of two servers fails", apply: beside(func() habit { return always(dns.RCodeServFail) })},
	{Name: "upward", Text: "the only server refers to the root", apply: at(func() habit { return upward })},
	{Name: "half-upward", Text: "one of two servers refers to the root", apply: beside(func() habit { return upward })},
	{Name: "selfish", Text: "the only server refers to itself", apply: func(n *Internet, z *Zone) {
		n.move(z, n.newOperator(1, selfish(func() dns.Name { return z.Name })))
	}},
	{Name: "dead", Text: "nobody is at the address of the only server", Slow: true, apply: func(n *Internet, z *Zone) {
		z.operators, z.servers = nil, []nameServer{{z.at("ns1"), n.address()}}
	}},
	{Name: "half-dead", Text: "nobody is at the address of one of two servers", apply: func(n *Internet, z *Zone) {
		z.servers = []nameServer{{z.at("ns1"), n.address()}, {z.at("ns2"), z.servers[0].addr}}
	}},
	{Name: "silent", Text: "the only server says nothing", Slow: true, apply: at(func() habit { return silent })},
	{Name: "half-silent", Text: "one of two servers says nothing", Slow: true, apply: beside(func() habit { return silent })},
	{Name: "stale-parent", Text: "the parent names a server that is dead beside one that is not; the zone names the latter alone", apply: func(n *Internet, z *Zone) {
		good := z.servers[0].addr
		z.servers = []nameServer{{z.at("ns1"), n.address()}, {z.at("ns2"), good}}
		z.atApex = []dns.Name{z.at("ns2")}
	}},
	{Name: "wrong-child", Text: "the zone itself names a server that does not exist", apply: func(_ *Internet, z *Zone) {
		z.atApex = []dns.Name{z.at("no-such-server")}
	}},
}

// serverFaults are habits of servers.
var serverFaults = []Fault{
	{Name: "tc", Text: "all answers over UDP are truncated", apply: at(func() habit { return truncating })},
	{Name: "tc-no-tcp", Text: "all answers over UDP are truncated, and nobody listens over TCP", apply: func(n *Internet, z *Zone) {
		op := n.newOperator(1, truncating)
		op.deaf = true
		n.move(z, op)
	}},
	{Name: "edns-formerr", Text: "FORMERR to EDNS", apply: plainly(func() habit { return withEDNS(always(dns.RCodeFormErr)) })},
	{Name: "edns-notimp", Text: "NOTIMP to EDNS", apply: plainly(func() habit { return withEDNS(always(dns.RCodeNotImp)) })},
	{Name: "edns-servfail", Text: "SERVFAIL to EDNS", apply: plainly(func() habit { return withEDNS(always(dns.RCodeServFail)) })},
	{Name: "edns-silent", Text: "nothing to EDNS", Slow: true, apply: plainly(func() habit { return withEDNS(silent) })},
	{Name: "edns-ignored", Text: "answers without EDNS", apply: plainly(func() habit { return changed(withoutEDNS) })},
	{Name: "no-aa", Text: "answers without AA", apply: plainly(func() habit { return changed(withoutAA) })},
	{Name: "no-aa-aaaa", Text: "answers without AA to AAAA alone", apply: plainly(func() habit { return forType(dns.TypeAAAA, changed(withoutAA)) }, dns.TypeAAAA)},
	{Name: "https-servfail", Text: "SERVFAIL to HTTPS", apply: at(func() habit { return forType(dns.TypeHTTPS, always(dns.RCodeServFail)) }, dns.TypeHTTPS)},
	{Name: "https-notimp", Text: "NOTIMP to HTTPS", apply: at(func() habit { return forType(dns.TypeHTTPS, always(dns.RCodeNotImp)) }, dns.TypeHTTPS)},
	{Name: "https-refused", Text: "REFUSED to HTTPS", apply: at(func() habit { return forType(dns.TypeHTTPS, always(dns.RCodeRefused)) }, dns.TypeHTTPS)},
	{Name: "https-silent", Text: "nothing to HTTPS", Slow: true, apply: at(func() habit { return forType(dns.TypeHTTPS, silent) }, dns.TypeHTTPS)},
	{Name: "aaaa-nxdomain", Text: "NXDOMAIN to AAAA where there is no such set", apply: func(n *Internet, z *Zone) {
		plainly(func() habit { return changed(denying) })(n, z)
		z.ask("mail", dns.TypeAAAA).ask("mail", dns.TypeA)
	}},
	{Name: "ent-nxdomain", Text: "NXDOMAIN to names that have others below them alone", apply: func(n *Internet, z *Zone) {
		plainly(func() habit { return changed(treeless) })(n, z)
		z.ask("host.below.ent", dns.TypeA).ask("ent", dns.TypeA)
	}},
	{Name: "no-nxdomain", Text: "NOERROR where it is NXDOMAIN", apply: plainly(func() habit { return changed(blurred) })},
	{Name: "no-soa", Text: "negative answers without SOA", apply: plainly(func() habit { return changed(barren) }, dns.TypeMX)},
	{Name: "lower-case", Text: "all names in lower case", apply: plainly(func() habit { return changed(lowering) }, dns.TypeMX)},
	{Name: "upper-case", Text: "all names in upper case", apply: plainly(func() habit { return changed(raising) }, dns.TypeMX)},
	{Name: "recursive", Text: "answers with RA", apply: plainly(func() habit { return changed(func(a *dns.Message) { a.Flags |= dns.FlagRA }) })},
	{Name: "misquoting", Text: "answers to other questions", Slow: true, apply: at(func() habit { return changed(misquoting) })},
	{Name: "poisoning", Text: "records of others' names in all sections", apply: func(n *Internet, z *Zone) {
		z.algorithm = 0
		victim := n.Zones[0]
		n.move(z, n.newOperator(1, poisoning(func() dns.Name { return victim.at("www") })))
		z.questions = append(z.questions, dns.Question{Name: victim.at("www"), Type: dns.TypeA, Class: dns.ClassIN})
	}},
	{Name: "overeager", Text: "an alias together with a forged address of its target in another zone", apply: func(n *Internet, z *Zone) {
		z.algorithm = 0
		n.move(z, n.newOperator(1, changed(overeager)))
		z.add("lure", 300, dns.TypeCNAME, "www."+n.Zones[0].Name.String()).ask("lure", dns.TypeA)
	}},
}

// move gives a zone one server of its own.
func (n *Internet) move(z *Zone, op *operator) {
	z.operators, z.servers = []*operator{op}, nil
	for i, a := range op.addrs {
		z.servers = append(z.servers, nameServer{z.at(fmt.Sprintf("ns%d", i+1)), a})
	}
}

// at lets a zone be served by one server with a habit alone. Zones with the same fault have a server each, as resolvers judge servers.
func at(h func() habit, types ...dns.Type) func(*Internet, *Zone) {
	return func(n *Internet, z *Zone) {
		n.move(z, n.newOperator(1, h()))
		z.ask("www", types...)
	}
}

// plainly is at for an unsigned zone, where the habit does away with what validation needs.
func plainly(h func() habit, types ...dns.Type) func(*Internet, *Zone) {
	return func(n *Internet, z *Zone) {
		z.algorithm = 0
		at(h, types...)(n, z)
	}
}

// beside adds a server with a habit to one that is good.
func beside(h func() habit) func(*Internet, *Zone) {
	return func(n *Internet, z *Zone) {
		good := z.servers[0].addr
		bad := n.newOperator(1, h())
		z.servers = []nameServer{{z.at("ns1"), bad.addrs[0]}, {z.at("ns2"), good}}
	}
}
