package cache

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"onoma/dns"
)

// TestEverythingAtOnce has answers put, read, revived, claimed, forgotten, evicted,
// written to a file and read from one, all at the same time, in a cache that is too
// small for them. Whatever is read is whole, and of the name that was asked for.
func TestEverythingAtOnce(t *testing.T) {
	const names, rounds = 300, 4000
	s := &Snapshot{Messages: NewMessages(minShard, Stale{For: 1000, TTL: 30, Recheck: 5}), Records: NewRecords(minShard)}
	zone := dns.MustName("example.com.")
	name := func(i int) string { return fmt.Sprintf("host-%d.example.com.", i%names) }
	var all sync.WaitGroup
	each := func(do func(i int)) {
		all.Go(func() {
			for i := range rounds {
				do(i)
			}
		})
	}
	each(func(i int) {
		n := name(i * 7)
		s.Messages.Put(key(n), message(t, n, 300, 300, 300)[:], nil, 1000, 1000+uint32(i%300), 1<<32-1)
		set := RRset{Name: dns.MustName(n), Type: dns.TypeTXT, Data: []dns.RData{[]byte(n)}}
		s.Records.PutRRset(&set, TrustAuthority, zone, 1000, 1001+uint32(i%300))
		s.Records.SettleRRset(set.Name, set.Type, Finding{Status: Insecure, Was: []RRset{set}, Kept: []RRset{set}, Expire: 1200}, 1000)
	})
	each(func(i int) {
		n := name(i * 3)
		question := append(make([]byte, 12), key(n)[:len(key(n))-1]...)
		var hit Hit
		out, ok := s.Messages.Get(question, key(n), 1100, &hit)
		if ok && (len(out) != len(message(t, n, 1, 1, 1)) || hit.Counts != [3]uint16{3}) {
			t.Errorf("a torn answer: %x %+v", out, hit)
		}
		if e, ok := s.Records.RRset(dns.MustName(n), dns.TypeTXT, 1100); ok && string(e.Sets[0].Data[0]) != n {
			t.Errorf("%s has the data of %s", n, e.Sets[0].Data[0])
		}
	})
	each(func(i int) {
		s.Messages.Revive(key(name(i)), 1200, i%2 == 0)
		s.Messages.Claim(key(name(i * 5)))
		if i%50 == 0 {
			s.Messages.Forget(At(dns.MustName(name(i))))
			s.Records.Forget(At(dns.MustName(name(i))).Type(dns.TypeTXT))
		}
		if i%1000 == 999 {
			s.Messages.Forget(Below(zone))
			s.Records.FlushAll()
		}
	})
	each(func(i int) {
		if i%200 != 0 {
			return
		}
		var file bytes.Buffer
		if _, err := s.Write(&file, 1100); err != nil {
			t.Error(err)
		}
		if n, err := s.Read(&file, 1100, func() bool { return false }); err != nil {
			t.Errorf("after %d entries of what was just written: %v", n, err)
		}
		if _, err := s.Write(io.Discard, 1100); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
}
