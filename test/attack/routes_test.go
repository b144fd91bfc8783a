package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"testing"
	"time"

	"onoma/dns"
)

// TestMaginot: who answers for a zone that is forwarded speaks of that zone alone, and who has a zone of the tree cannot speak
// of what is forwarded (MaginotDNS 2023: resolvers that forward took the former's word for everything).
func TestMaginot(t *testing.T) {
	w := newWorld(t)
	victim, evil, forwarder, trap := w.zone("victim.", "* 60 A 192.0.2.7"), w.zone("evil.", ""), w.listen(), w.listen()
	trap.set(func(q *asked) *dns.Message {
		return q.reply(dns.RCodeNoError, rr("%s 86400 A %s", q.Question().Name, forged))
	})
	lies := func(a *dns.Message) *dns.Message {
		for _, zone := range []string{"victim.", "good.", ".", "corp."} {
			a.Authority = append(a.Authority, rr("%s 86400 NS ns.trap.", zone))
		}
		for _, name := range []string{"www.victim.", "ns.victim.", "www.corp.", "ns.trap."} {
			a.Answer = append(a.Answer, rr("%s 86400 A %s", name, forged))
			a.Additional = append(a.Additional, rr("%s 86400 A %s", name, trap.addr.Addr()))
		}
		return a
	}
	forwarder.set(func(q *asked) *dns.Message {
		if q.Question().Name.Fold().FirstLabel() == "alias" { // the rest of the chain is not the forwarder's to tell
			return lies(q.reply(dns.RCodeNoError, rr("%s 60 CNAME www.victim.", q.Question().Name)))
		}
		a := q.reply(dns.RCodeNoError, rr("%s 60 A 192.0.2.8", q.Question().Name))
		a.Flags |= dns.FlagRA
		if q.Question().Name.Fold().FirstLabel() == "www" {
			return a
		}
		return lies(a)
	})
	evil.server.set(func(q *asked) *dns.Message {
		if q.Question().Name.Fold().FirstLabel() == "alias" {
			return lies(q.reply(dns.RCodeNoError, rr("%s 60 CNAME www.corp.", q.Question().Name)))
		}
		return lies(q.reply(dns.RCodeNoError, rr("%s 60 A 192.0.2.66", q.Question().Name)))
	})
	w.start("--forward", "corp.="+forwarder.addr.String(), "--insecure", "corp.")
	const names = 10
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(dns.MustName(fmt.Sprintf("n%d.corp.", i)), dns.TypeA, "NOERROR 192.0.2.8")
			w.expect(evil.at("n%d", i), dns.TypeA, "NOERROR 192.0.2.66")
		}
		w.expect(dns.MustName("alias.corp."), dns.TypeA, "NOERROR 192.0.2.7")
		w.expect(evil.at("alias"), dns.TypeA, "NOERROR 192.0.2.8")
		w.expect(victim.at("www"), dns.TypeA, "NOERROR 192.0.2.7")
		w.expect(dns.MustName("www.corp."), dns.TypeA, "NOERROR 192.0.2.8")
		w.expect(dns.MustName("n100.corp."), dns.TypeA, "NOERROR 192.0.2.8")
	})
	if n := trap.messages.Load(); n > 0 {
		t.Errorf("%d questions went to where only the attackers' records point", n)
	}
	w.row(row{attack: "MaginotDNS 2023", defence: "a reply is of the route and the zone that it was asked for, forwarded or not",
		ceiling: ceiling{messages: 4, octets: 3000, cpu: 15}, cost: c, seen: "no question went where they point"}) // two questions, aliases, and the cuts
}

// TestBelowNXDomain: that the tree has no such name, signed, says nothing of a zone that has a route of its own, neither by the
// denial itself nor by what it proves of names around (CVE-2026-44687; RFC 8020, RFC 8198).
func TestBelowNXDomain(t *testing.T) {
	w := newWorld(t)
	forwarder := w.listen()
	forwarder.set(func(q *asked) *dns.Message {
		return q.reply(dns.RCodeNoError, rr("%s 60 A 192.0.2.8", q.Question().Name))
	})
	w.start("--forward", "inner.corp.="+forwarder.addr.String(), "--insecure", "inner.corp.")
	c := w.attack(4, 5*time.Second, func() {
		w.expect(dns.MustName("corp."), dns.TypeA, "NXDOMAIN AD")
		w.expect(dns.MustName("other.corp."), dns.TypeA, "NXDOMAIN AD")
		w.expect(dns.MustName("www.inner.corp."), dns.TypeA, "NOERROR 192.0.2.8")
		w.expect(dns.MustName("inner.corp."), dns.TypeA, "NOERROR 192.0.2.8")
	})
	w.row(row{attack: "NXDOMAIN above a local zone, CVE-2026-44687", defence: "denials do not cross into a zone with a route",
		ceiling: ceiling{messages: 3, octets: 2000, cpu: 20}, cost: c, seen: "the zone's names are there"})
}

// TestMixedTLS: a connection that has proved one name is not used for another, and who does not speak TLS is not believed
// (Opossum 2025 mixes what is authenticated with what is not; Unbound 1.25 mended the re-use across names).
func TestMixedTLS(t *testing.T) {
	w := newWorld(t)
	forwarder, plain := w.listen(), w.listen()
	at := netip.AddrPortFrom(forwarder.addr.Addr(), w.port+1)
	ca := forwarder.serveTLS(t, at, "proved.example")
	for _, s := range []*server{forwarder, plain} {
		s.set(func(q *asked) *dns.Message {
			return q.reply(dns.RCodeNoError, rr("%s 60 A 192.0.2.8", q.Question().Name))
		})
	}
	w.start("--forward", fmt.Sprintf("one.=tls://%s#proved.example", at), "--forward", fmt.Sprintf("two.=tls://%s#other.example", at),
		"--forward", fmt.Sprintf("three.=tls://%s#proved.example", plain.addr), "--forward-ca", w.write("ca.pem", string(ca)),
		"--insecure", "one.", "--insecure", "two.", "--insecure", "three.")
	var asked []string
	c := w.attack(4, 15*time.Second, func() {
		w.expect(dns.MustName("www.one."), dns.TypeA, "NOERROR 192.0.2.8")
		w.expect(dns.MustName("www.two."), dns.TypeA, "SERVFAIL")
		w.expect(dns.MustName("www.three."), dns.TypeA, "SERVFAIL")
		w.expect(dns.MustName("again.one."), dns.TypeA, "NOERROR 192.0.2.8")
	})
	for _, s := range append(forwarder.sightings(), plain.sightings()...) {
		if !s.Name.IsSubdomainOf(dns.MustName("one.")) {
			asked = append(asked, s.Question.String())
		}
	}
	if len(asked) > 0 {
		t.Errorf("asked of servers that have not proved their name: %v", asked)
	}
	w.row(row{attack: "Opossum 2025: authenticated and other connections mixed", defence: "a connection is for one address and one name that it has proved",
		ceiling: ceiling{messages: 2, octets: 2000, cpu: 60}, cost: c, seen: "nothing asked of who has not proved the name"}) // handshakes cost more than questions
}

// TestOpportunisticTLS: a server of the tree that is asked over TLS without proving anything (RFC 9539) is the very one that an
// authenticated route leads to, as a name that it is not: the connection that stands is not for that.
func TestOpportunisticTLS(t *testing.T) {
	w := newWorld(t)
	private := w.zone("private.", "* 60 A 192.0.2.7")
	at := netip.AddrPortFrom(private.server.addr.Addr(), 853)
	ca := private.server.serveTLS(t, at, "proved.example")
	private.server.set(func(q *asked) *dns.Message {
		if q.Question().Name.IsSubdomainOf(dns.MustName("two.")) {
			return q.reply(dns.RCodeNoError, rr("%s 60 A %s", q.Question().Name, forged))
		}
		return honest(q)
	})
	w.serve(fmt.Sprintf("  opportunistic-encryption: true\n  insecure: [two.]\n  upstream-ca: %s\n  routes:\n    two.: {forward: [\"tls://%s#other.example\"]}\n", w.write("ca.pem", string(ca)), at))
	encrypted := func() (n int) {
		for _, s := range private.server.sightings() {
			if s.TLS {
				n++
			}
		}
		return n
	}
	w.expect(private.at("first"), dns.TypeA, "NOERROR 192.0.2.7")
	for i := 0; encrypted() == 0 && !t.Failed(); i++ { // the connection is made in the background
		if i == 200 {
			t.Fatal("the server is not asked over TLS")
		}
		w.expect(private.at("n%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		time.Sleep(20 * time.Millisecond)
	}
	c := w.attack(2, 15*time.Second, func() {
		w.expect(dns.MustName("www.two."), dns.TypeA, "SERVFAIL")
		w.expect(private.at("last"), dns.TypeA, "NOERROR 192.0.2.7")
	})
	for _, s := range private.server.sightings() {
		if s.Name.IsSubdomainOf(dns.MustName("two.")) {
			t.Errorf("%s was asked over a connection that has proved nothing", s.Question)
		}
	}
	w.row(row{attack: "Opossum 2025: an opportunistic connection for an authenticated route", defence: "connections that have proved nothing are of another kind (RFC 9539, RFC 8310)",
		ceiling: ceiling{messages: 3, octets: 2000, cpu: 60}, cost: c, seen: "nothing asked over the connection that stood"})
}

// serveTLS serves as a name that its certificate has, which it returns.
func (s *server) serveTLS(t *testing.T, at netip.AddrPort, name string) (certificate []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", at.String(), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("a server on %v: %v", at, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.converse(conn) })
		}
	})
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
