package multisigner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// TestMoveFrom moves a zone that Knot or BIND has signed until now to an onoma while it is signed: that one fetches the keys, gives
// its own by UPDATE, rolls them, and signs alone at the end.
func TestMoveFrom(t *testing.T) {
	t.Parallel()
	for _, p := range []*peers.Peer{peers.Knot, peers.BIND} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, p.Binary)
			first := p.Addr(t)
			s := newScene(t, first, beside(t, first.Port()))
			file := filepath.Join(t.TempDir(), "zone")
			if err := os.WriteFile(file, []byte("$ORIGIN child.\n"+s.text(childText)), 0o644); err != nil {
				t.Fatal(err)
			}
			p.StartCosigning(t, peers.Zone{Name: child, File: file}, first, pair)
			f := s.newFront(first)
			c, o := s.watch(first), s.look(f)
			s.await("secure at Unbound", o.isSecure)
			own := s.ds()
			c.secure()
			o.mustBeSecure()

			servers := fmt.Sprintf(`{first: {address: %s, key: pair.}}`, first)
			b := s.provider(s.second, "keys: csk", servers, "[first], signers-update: true")
			s.await("both may serve", func() bool { return b.mayServe() && len(s.ds()) == 2 }, b)
			if !slices.Contains(s.ds(), own[0]) {
				t.Errorf("the parent had the DS of %v and has those of %v", own, s.ds())
			}
			ns := []string{"child. 1 NS ns2.hosts."}
			s.update(ns, nil)
			b.change(ns, nil)
			s.change(s.root, ".", ns, nil)
			f.ask(first, s.second)
			c.ask(first, s.second)
			time.Sleep(2 * time.Second)

			gone := []string{"child. 1 NS ns1.hosts."}
			s.update(nil, gone)
			b.change(nil, gone)
			s.change(s.root, ".", nil, gone)
			b.follow("[]")
			time.Sleep(900 * time.Millisecond) // the TTL of the NS set, in which the first one is still asked
			f.ask(s.second)
			c.ask(s.second)
			s.await("the keys of the first are gone", func() bool { return b.foreign() == 0 && len(s.ds()) == 1 && s.ds()[0] != own[0] }, b)
			time.Sleep(time.Second)
		})
	}
}

// update changes the zone at the first provider by UPDATE.
func (s *scene) update(add, remove []string) {
	s.Helper()
	m := new(dns.Msg)
	m.SetUpdate(child)
	for _, text := range add {
		m.Insert([]dns.RR{record(s.T, text)})
	}
	for _, text := range remove {
		m.Remove([]dns.RR{record(s.T, text)})
	}
	m.SetTsig(pair.Name, dns.HmacSHA256, 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{pair.Name: pair.Secret}}
	if r, _, err := client.Exchange(m, s.first.String()); err != nil || r.Rcode != dns.RcodeSuccess {
		s.Fatalf("%v: %v, %v", m, r, err)
	}
}

func record(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}
