package cache

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
)

func never() bool { return false }

// filled makes caches with n names, and a snapshot of them.
func filled(t testing.TB, n int) *Snapshot {
	s := &Snapshot{Messages: NewMessages(1<<22, Stale{For: 1000, TTL: 30, Recheck: 30}), Records: NewRecords(1 << 22), Origin: 1, Trust: 2}
	zone := dns.MustName("example.com.")
	for i := range n {
		name := fmt.Sprintf("host-%d.example.com.", i)
		s.Messages.Put(key(name), message(t, name, 300, 200), dns.EDE{Code: 1}.Append(nil), 1000, 1200, 1<<32-1)
		set := RRset{Name: dns.MustName(name), Type: dns.TypeA, Data: []dns.RData{{192, 0, 2, byte(i)}}, Sigs: []dns.RData{[]byte("signature")}}
		s.Records.PutRRset(&set, TrustAuthority, zone, 1000, 1300)
		s.Records.SettleRRset(set.Name, dns.TypeA, Finding{Status: Secure, Was: []RRset{set}, Kept: []RRset{set}, Expire: 1300}, 1000)
	}
	d := &Delegation{Zone: zone, Parent: dns.Root, Granted: 1000, Expire: 5000, Servers: []NameServer{{Name: zone, Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}}}
	s.Records.PutDelegation(d, 1000)
	soa := RRset{Name: zone, Type: dns.TypeSOA, Data: []dns.RData{[]byte("soa")}}
	s.Records.PutNoData(zone, dns.TypeTXT, Entry{Trust: TrustAuthority, Zone: zone, Expire: 2000, Sets: []RRset{soa}}, 1000)
	s.Records.PutFailure(zone, dns.TypeMX, Failure{Expire: 2000}, 1000)
	s.Records.PutBogus(zone, dns.TypeMX, dns.EDE{Code: 6}, 1000, 2000)
	return s
}

func (s *Snapshot) written(t testing.TB, now uint32) []byte {
	var b bytes.Buffer
	if _, err := s.Write(&b, now); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// empty makes caches that a snapshot can be read into.
func empty() *Snapshot {
	return &Snapshot{Messages: NewMessages(1<<22, Stale{For: 1000, TTL: 30, Recheck: 30}), Records: NewRecords(1 << 22), Origin: 1, Trust: 2}
}

func TestSnapshotKeepsWhatItWas(t *testing.T) {
	file := filled(t, 2000).written(t, 1100)
	got := empty()
	n, err := got.Read(bytes.NewReader(file), 1150, never)
	if err != nil || n != 4002 {
		t.Fatalf("%d entries, %v; expected 4002", n, err)
	}
	name := "host-77.example.com."
	var hit Hit
	msg := message(t, name, 300, 200)
	out, ok := got.Messages.Get(msg[:12+21+4], key(name), 1150, &hit)
	if m, err := dns.ParseMessage(out); !ok || err != nil || m.Answer[0].TTL != 150 || m.Answer[1].TTL != 50 || hit.Expire != 1200 {
		t.Errorf("an answer: %v %v %v %+v", m, ok, err, hit)
	}
	e, ok := got.Records.RRset(dns.MustName(name), dns.TypeA, 1150)
	if !ok || e.Status != Secure || e.Sets[0].TTL != 150 || len(e.Sets[0].Sigs) != 1 {
		t.Errorf("an RRset: %+v %v", e, ok)
	}
	if d, ok := got.Records.Delegation(dns.MustName("example.com."), 1150); !ok || d.Expire != 5000 || d.Granted != 1000 {
		t.Errorf("a delegation: %+v %v", d, ok)
	}
	if _, ok := got.Records.Failure(dns.MustName("example.com."), dns.TypeMX); ok {
		t.Error("a failure was kept")
	}
	if _, _, ok := got.Records.Bogus(dns.MustName("example.com."), dns.TypeMX, 1150); ok {
		t.Error("that something is bogus was kept")
	}
}

func TestSnapshotIsNotTrustedMore(t *testing.T) {
	file := filled(t, 10).written(t, 1100)
	got := empty()
	got.Trust = 3
	if n, err := got.Read(bytes.NewReader(file), 1150, never); err != nil || n != 12 || got.Messages.Len() != 0 {
		t.Fatalf("by other anchors: %d entries, %v, %d of them whole answers", n, err, got.Messages.Len())
	}
	if e, ok := got.Records.RRset(dns.MustName("host-7.example.com."), dns.TypeA, 1150); !ok || e.Status != Unchecked {
		t.Errorf("by other anchors: %+v %v", e, ok)
	}
	late := empty()
	if n, err := late.Read(bytes.NewReader(file), 1250, never); err != nil || n != 22 {
		t.Fatalf("later: %d entries, %v", n, err)
	}
	if _, ok := late.Messages.Get(nil, key("host-7.example.com."), 1250, new(Hit)); ok || !late.Messages.Revive(key("host-7.example.com."), 1250, false) {
		t.Error("an answer whose time is over is not stale")
	}
	if n, err := empty().Read(bytes.NewReader(file), 9000, never); err != nil || n != 0 {
		t.Errorf("much later: %d entries, %v", n, err)
	}
}

func TestSnapshotIsRefused(t *testing.T) {
	file := filled(t, 3000).written(t, 1100)
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(file)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		file []byte
		now  uint32
		why  string
	}{
		{nil, 1150, "its head"},
		{[]byte("something else that is long enough to have a head"), 1150, "something else"},
		{changed(11, 77), 1150, "version 77"},
		{changed(30, 1), 1150, "head is damaged"},
		{file[:len(file)-1], 1150, "ends too soon"},
		{file[:len(file)-8], 1150, "ends too soon"},
		{changed(len(file)/2, file[len(file)/2]^4), 1150, "block is damaged"},
		{changed(snapshotHead, 255), 1150, "a block of"},
		{file, 700, "from the future"},
	} {
		s := empty()
		n, err := s.Read(bytes.NewReader(c.file), c.now, never)
		if n != 0 || !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), c.why) || s.Messages.Len()+s.Records.Len() != 0 {
			t.Errorf("%d entries, %v, expected %q; %d and %d are held", n, err, c.why, s.Messages.Len(), s.Records.Len())
		}
	}
	other := empty()
	other.Origin = 7
	if _, err := other.Read(bytes.NewReader(file), 1150, never); err == nil || !strings.Contains(err.Error(), "other servers") {
		t.Errorf("from elsewhere: %v", err)
	}
}

func TestSnapshotStops(t *testing.T) {
	file := filled(t, 3000).written(t, 1100)
	blocks := 0
	s := empty()
	n, err := s.Read(bytes.NewReader(file), 1150, func() bool { blocks++; return blocks > 2 })
	if err != nil || n == 0 || n > 3000 || s.Messages.Len() != n {
		t.Errorf("%d entries of two blocks, %v", n, err)
	}
}

// FuzzSnapshot: whatever the entries of a file are, reading them and using what was
// read ends, without a panic.
func FuzzSnapshot(f *testing.F) {
	file := filled(f, 2).written(f, 1100)
	f.Add(file[snapshotHead+8 : len(file)-8])
	f.Add([]byte{'R', 2, 0, 4, 0, 2, 0, 0, 9, 9, 0, 0, 1, 'R', 1, 2})
	f.Fuzz(func(t *testing.T, entries []byte) {
		s := empty()
		_, err := s.Read(bytes.NewReader(sealed(entries)), 1100, never)
		if err != nil && s.Messages.Len()+s.Records.Len() > 0 {
			t.Fatal("something of a bad file was kept")
		}
		s.Messages.s.each(func(key, _ []byte, _ head) bool {
			msg := append(make([]byte, 12), key[:len(key)-1]...)
			out, ok := s.Messages.Get(msg, bytes.Clone(key), 1100, new(Hit))
			if ok && len(out) < len(msg) {
				t.Fatal("an answer is shorter than its question")
			}
			s.Messages.Revive(bytes.Clone(key), 1300, true)
			return true
		})
		s.Records.s.each(func(key, _ []byte, _ head) bool {
			name, err := dns.NameFromWire(key[:len(key)-3])
			if err != nil {
				t.Fatal(err)
			}
			typ := dns.Type(key[len(key)-3])<<8 | dns.Type(key[len(key)-2])
			if e, ok := s.Records.RRset(name, typ, 1100); ok && len(e.Sets[0].Data) == 0 {
				t.Fatal("an empty RRset")
			}
			s.Records.NoData(name, typ, 1100)
			s.Records.NXDomain(name, 1100)
			s.Records.Delegation(name, 1100)
			return true
		})
	})
}

// sealed makes a file of one block of entries.
func sealed(entries []byte) []byte {
	file := (&Snapshot{Messages: NewMessages(1<<18, Stale{}), Records: NewRecords(1 << 18), Origin: 1, Trust: 2}).written(new(testing.B), 1000)
	var out bytes.Buffer
	b := blockWriter{w: &out, b: append(make([]byte, 8), entries...)}
	b.flush()
	return append(append(bytes.Clone(file[:snapshotHead]), out.Bytes()...), file[snapshotHead:]...)
}
