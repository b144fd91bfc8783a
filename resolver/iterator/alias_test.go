package iterator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// twoZones sets up example.com with ns at 192.0.2.3 and other.com at 192.0.2.4.
func (w *world) twoZones(example, other string) {
	w.standard(exampleDelegation + "other.com. NS ns.other.com.\nns.other.com. A 192.0.2.4")
	w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n"+example))
	w.Serve("192.0.2.4", fakenet.ParseZone("other.com.", "@ NS ns\nns A 192.0.2.4\n"+other))
}

func TestAliasAcrossZones(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www 300 CNAME a\na 200 CNAME cdn.other.com.", "cdn 60 CNAME edge\nedge 30 A 198.51.100.9\nnix CNAME gone")
		const want = "NOERROR www.example.com./%d/CNAME=a.example.com. a.example.com./%d/CNAME=cdn.other.com." +
			" cdn.other.com./%d/CNAME=edge.other.com. edge.other.com./%d/A=198.51.100.9"
		expect(t, "the chain, in order", w.resolve("www.example.com.", dns.TypeA), fmt.Sprintf(want, 300, 200, 60, 30))
		w.asked()
		time.Sleep(10 * time.Second)
		expect(t, "from the cache, in order", w.resolve("www.example.com.", dns.TypeA), fmt.Sprintf(want, 290, 190, 50, 20))
		expect(t, "the alias itself", w.resolve("www.example.com.", dns.TypeCNAME), "NOERROR www.example.com./290/CNAME=a.example.com.")
		expectList(t, "nobody asked", w.asked())
		expect(t, "no data at the end", w.resolve("www.example.com.", dns.TypeTXT), "NOERROR www.example.com./290/CNAME=a.example.com."+
			" a.example.com./190/CNAME=cdn.other.com. cdn.other.com./50/CNAME=edge.other.com. | other.com./300/SOA")
		// Ten seconds of the delegation's 3600 are over, and data below ends with it.
		expect(t, "no name at the end", w.resolve("nix.other.com.", dns.TypeA), "NXDOMAIN nix.other.com./3590/CNAME=gone.other.com. | other.com./300/SOA")
	})
}

func TestDName(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("old 500 DNAME new.other.com.", "www.new 60 A 198.51.100.9\nmail.new 60 A 198.51.100.8")
		expect(t, "with the CNAME made from it", w.resolve("www.old.example.com.", dns.TypeA),
			"NOERROR old.example.com./500/DNAME=new.other.com. www.old.example.com./500/CNAME=www.new.other.com. www.new.other.com./60/A=198.51.100.9")
		w.asked()
		time.Sleep(10 * time.Second)
		expect(t, "again", w.resolve("www.old.example.com.", dns.TypeA),
			"NOERROR old.example.com./490/DNAME=new.other.com. www.old.example.com./490/CNAME=www.new.other.com. www.new.other.com./50/A=198.51.100.9")
		expect(t, "the alias alone", w.resolve("www.old.example.com.", dns.TypeCNAME),
			"NOERROR old.example.com./490/DNAME=new.other.com. www.old.example.com./490/CNAME=www.new.other.com.")
		expectList(t, "from the cache", w.asked())
		expect(t, "another name below it", w.resolve("mail.old.example.com.", dns.TypeA),
			"NOERROR old.example.com./500/DNAME=new.other.com. mail.old.example.com./500/CNAME=mail.new.other.com. mail.new.other.com./60/A=198.51.100.8")
		expectList(t, "unsigned, a DNAME is not applied to other names", w.asked(), "192.0.2.3 mail.old.example.com. A", "192.0.2.4 mail.new.other.com. A")
		long := strings.Repeat("a123456789012345678901234567890123456789012345678901234567890.", 3)
		name := long + strings.Repeat("x.", 25) + "old.example.com."
		if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(got, "NOERROR") && !strings.HasPrefix(got, "NXDOMAIN") {
			t.Errorf("a name that just fits: %s", got)
		}
	})
}

func TestDNameTooLong(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("o 500 DNAME a-target-that-is-much-longer-than-the-owner.of-the-dname.other.com.", "")
		label := strings.Repeat("x", 60) + "."
		name := label + label + label + strings.Repeat("y", 40) + ".o.example.com."
		want := "YXDOMAIN o.example.com./500/DNAME=a-target-that-is-much-longer-than-the-owner.of-the-dname.other.com."
		expect(t, "RFC 6672: YXDOMAIN", w.resolve(name, dns.TypeA), want)
		expect(t, "and again", w.resolve("z"+name[1:], dns.TypeA), want)
	})
}

func TestAliasLoops(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("self CNAME self\na CNAME b\nb CNAME a\nx CNAME x.other.com.\nd DNAME d.other.com.", "x CNAME x.example.com.\nd DNAME d.example.com.")
		for _, name := range []string{"self.example.com.", "a.example.com.", "x.example.com."} {
			w.expectFailure(name, "alias loop at "+name)
			w.expectFailure(name, "alias loop at "+name) // from the cache of failures
		}
		w.expectFailure("www.d.example.com.", "alias loop at www.d.example.com.")
		expect(t, "asked for the type itself", w.resolve("self.example.com.", dns.TypeCNAME), "NOERROR self.example.com./3600/CNAME=self.example.com.")
		if got := w.resolve("www.d.example.com.", dns.TypeCNAME); !strings.Contains(got, "alias loop") && !strings.HasPrefix(got, "NOERROR") {
			t.Errorf("CNAME below looping DNAMEs: %s", got)
		}
		if n := len(w.asked()); n > 30 {
			t.Errorf("%d packets for loops, expected at most 30", n)
		}
	})
}

func TestLongAliasChain(t *testing.T) {
	lines := ""
	for i := range 40 {
		lines += fmt.Sprintf("c%d CNAME c%d\n", i, i+1)
	}
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones(lines+"c40 A 198.51.100.1", "")
		if got := w.resolve("c30.example.com.", dns.TypeA); !strings.HasPrefix(got, "NOERROR") {
			t.Errorf("10 aliases: %s", got)
		}
		w.asked()
		w.expectFailure("c0.example.com.", "work budget used up: 11 aliases followed")
		if n := len(w.asked()); n > 12 {
			t.Errorf("%d packets, expected at most 12", n)
		}
	})
}

// TestAliasInOneReply: links that a server sends along are used, so far as they
// are in its zone, and asked for elsewhere.
func TestAliasInOneReply(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("", "cdn 60 A 198.51.100.9")
		extra := []dns.Record{
			fakenet.ParseRecord("cdn.other.com. 60 A 203.0.113.66", dns.Root), // not its zone
			fakenet.ParseRecord("b.example.com. 50 CNAME cdn.other.com.", dns.Root),
			fakenet.ParseRecord("www.example.com. 40 CNAME b.example.com.", dns.Root),
			fakenet.ParseRecord("unasked.example.com. 40 A 203.0.113.66", dns.Root),
		}
		w.Serve("192.0.2.3").Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			m := with(q, a, dns.RCodeNoError)
			m.Flags |= dns.FlagAA
			m.Answer = extra
			return m
		}
		expect(t, "in order, and the foreign part asked for", w.resolve("www.example.com.", dns.TypeA),
			"NOERROR www.example.com./40/CNAME=b.example.com. b.example.com./50/CNAME=cdn.other.com. cdn.other.com./60/A=198.51.100.9")
		if _, ok := w.it.Cache.RRset(dns.MustName("unasked.example.com."), dns.TypeA, w.it.now()); ok {
			t.Error("a record that is no part of the chain was cached")
		}
	})
}
