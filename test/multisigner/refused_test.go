package multisigner

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// says reports whether one of its alarms has all these words.
func (p *provider) says(words ...string) bool {
	return slices.ContainsFunc(p.keys().Alarms, func(a string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(a, w) })
	})
}

func tagsOf(rrs []dns.RR) (tags []uint16) {
	for _, rr := range rrs {
		switch r := rr.(type) {
		case *dns.DNSKEY:
			tags = append(tags, r.KeyTag())
		case *dns.CDS:
			tags = append(tags, r.KeyTag)
		}
	}
	return tags
}

// TestRefused: a server that nothing proves to be a provider's, and one that signs by another algorithm, add no key, and people
// are told why. Once the stranger's key was entered by hand, it is believed.
func TestRefused(t *testing.T) {
	t.Parallel()
	first, second := place(t)
	s := newScene(t, first, second)
	third := beside(t, first.Port())
	stranger := s.provider(second, "keys: split", "{}", "[]")
	s.provider(third, "algorithm: ed25519", "{}", "[]")
	a := s.provider(first, "keys: csk", fmt.Sprintf("{stranger: {address: %s}, other: {address: %s, key: pair.}}", second, third), "[stranger, other]")
	s.await("alarms", func() bool {
		return a.says("stranger", "no key that is known to be its own", "TSIG") && a.says("all providers", "same algorithm", "ED25519", "ECDSAP256SHA256")
	}, a)
	if keys := tagsOf(lookup(first, child, dns.TypeDNSKEY)); len(keys) != 1 || a.foreign() != 0 {
		t.Errorf("the DNSKEY set has %v, want this server's key alone\n%s", keys, a.explain())
	}
	var ksk string
	for _, rr := range lookup(second, child, dns.TypeDNSKEY) {
		if k := rr.(*dns.DNSKEY); k.Flags == 257 {
			ksk = fmt.Sprintf("257 3 13 %s", k.PublicKey)
		}
	}
	if err := a.do(control.KeyRequest{Do: "add-foreign", Provider: "stranger", DNSKEY: ksk}); err != nil {
		t.Fatal(err)
	}
	s.await("the stranger is believed", func() bool { return a.foreign() == 2 && !a.says("stranger") }, a)
	want := tagsOf(lookup(first, child, dns.TypeDNSKEY))
	for _, k := range stranger.keys().Keys {
		if !slices.Contains(want, k.Tag) {
			t.Errorf("key %d is not in the DNSKEY set %v", k.Tag, want)
		}
	}
}

// TestForgotten: a provider that is none any more is no alarm any more, and its keys go.
func TestForgotten(t *testing.T) {
	t.Parallel()
	first, second := place(t)
	s := newScene(t, first, second)
	s.provider(second, "algorithm: ed25519", "{}", "[]")
	a := s.provider(first, "keys: csk", fmt.Sprintf("{other: {address: %s, key: pair.}}", second), "[other]")
	s.await("the alarm", func() bool { return a.says("same algorithm") }, a)
	a.follow("[]")
	s.await("no alarm", func() bool { return !a.says("same algorithm") }, a)
}

// TestUpdate: who directs several signers by UPDATE enters other providers' keys, and takes them away.
func TestUpdate(t *testing.T) {
	t.Parallel()
	peers.Need(t, "nsupdate")
	first, second := place(t)
	s := newScene(t, first, second)
	a := s.provider(first, "keys: csk", "{}", "[]")
	s.await("the parent has the DS", func() bool { return len(s.ds()) == 1 }, a)
	own := s.ds()[0]
	s.await("its own key is settled", a.isSettled, a)

	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: child, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 1}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	if _, err := k.Generate(256); err != nil {
		t.Fatal(err)
	}
	rdata := fmt.Sprintf("257 3 13 %s", k.PublicKey)
	if out := s.nsupdate("update add child. 1 DNSKEY 257 3 15 " + "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="); !strings.Contains(out, "REFUSED") {
		t.Errorf("a key of another algorithm: %s", out)
	}
	if out := s.nsupdate("update add child. 1 CDS " + strings.TrimPrefix(k.ToDS(dns.SHA256).String(), k.ToDS(dns.SHA256).Hdr.String())); !strings.Contains(out, "REFUSED") {
		t.Errorf("the CDS of a key that nobody knows: %s", out)
	}
	if out := s.nsupdate("update add child. 1 DNSKEY "+rdata, "update add child. 1 CDNSKEY "+rdata); out != "" {
		t.Fatalf("a key of another provider: %s", out)
	}
	if got := sorted(tagsOf(lookup(first, child, dns.TypeDNSKEY))); !slices.Equal(got, sorted([]uint16{own, k.KeyTag()})) {
		t.Errorf("the DNSKEY set has %v right after NOERROR, want %d and %d\n%s", got, own, k.KeyTag(), a.explain())
	}
	s.await("both DS", func() bool { return slices.Equal(sorted(s.ds()), sorted([]uint16{own, k.KeyTag()})) }, a)

	// As some do it once the parent has the DS; it must stay.
	if out := s.nsupdate("update delete child. CDNSKEY", "update delete child. CDS"); out != "" {
		t.Errorf("deleting CDS: %s", out)
	}
	if got := tagsOf(lookup(first, child, dns.TypeCDS)); len(got) != 2 {
		t.Errorf("CDS of %v, want two", got)
	}
	if out := s.nsupdate("update delete child. DNSKEY"); out != "" {
		t.Errorf("deleting keys: %s", out)
	}
	s.await("the other key is gone", func() bool {
		return slices.Equal(tagsOf(lookup(first, child, dns.TypeDNSKEY)), []uint16{own}) && slices.Equal(s.ds(), []uint16{own})
	}, a)
}

func sorted(tags []uint16) []uint16 {
	slices.Sort(tags)
	return tags
}

// nsupdate sends an UPDATE, and returns what it says, "" if all is well.
func (s *scene) nsupdate(lines ...string) string {
	s.Helper()
	text := fmt.Sprintf("server %s %d\nkey hmac-sha256:%s %s\nzone child.\n%s\nsend\n", s.first.Addr(), s.first.Port(), pair.Name, pair.Secret, strings.Join(lines, "\n"))
	cmd := exec.Command("nsupdate", "-t", "5")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		s.Fatal(err)
	}
	return string(out)
}
