package transfer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"onoma/test/peers"
)

var key = peers.Key{Name: "transfer.key.", Secret: "c2l4dGVlbiBvY3RldHMgYW5kIHNpeHRlZW4gbW9yZQ=="}

// primary is an onoma that serves one zone, which changes.
type primary struct {
	*peers.Server
	zone *zoneText
	file string
}

// startPrimary serves z, lets who signs with key (if it is not nil) have it, and tells secondaries of it.
func startPrimary(t *testing.T, z *zoneText, key *peers.Key, secondaries ...netip.AddrPort) *primary {
	t.Helper()
	dir := t.TempDir()
	p := &primary{zone: z, file: filepath.Join(dir, "zone")}
	z.write(t, p.file)
	addr := peers.Addr(t)
	args := []string{"authority", "--listen", addr.String(), "--zone", zoneName + "=" + p.file}
	suffix := ""
	if key != nil {
		keys := filepath.Join(dir, "keys")
		if err := os.WriteFile(keys, fmt.Appendf(nil, "key %q {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", key.Name, key.Secret), 0o600); err != nil {
			t.Fatal(err)
		}
		suffix = "+key:" + key.Name
		args = append(args, "--tsig-key", keys)
	}
	args = append(args, "--transfer-to", "127.0.0.0/8"+suffix)
	for _, s := range secondaries {
		args = append(args, "--notify", s.String()+suffix)
	}
	p.Server = peers.StartOnoma(t, addr, args...)
	return p
}

// change publishes a new version.
func (p *primary) change(t *testing.T) {
	t.Helper()
	p.zone.change()
	p.zone.write(t, p.file)
	if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// serial is the serial number that a server answers with; 0 where it does not answer for the zone.
func serial(addr netip.AddrPort) uint32 {
	q := new(dns.Msg)
	q.SetQuestion(zoneName, dns.TypeSOA)
	client := dns.Client{Timeout: time.Second}
	r, _, err := client.Exchange(q, addr.String())
	if err != nil || !r.Authoritative || len(r.Answer) != 1 {
		return 0
	}
	return r.Answer[0].(*dns.SOA).Serial
}

// await waits until a server has the version.
func await(t *testing.T, s *peers.Server, want uint32) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for serial(s.Addr) != want {
		if time.Now().After(deadline) {
			t.Fatalf("%s has version %d, expected %d", s.Name, serial(s.Addr), want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// records are all those of the zone as a server gives them away, sorted.
func records(t *testing.T, addr netip.AddrPort, key *peers.Key) (lines []string) {
	t.Helper()
	m := new(dns.Msg)
	m.SetAxfr(zoneName)
	for _, rr := range transfer(t, addr, m, key) {
		lines = append(lines, canonical(rr))
	}
	slices.Sort(lines)
	return slices.Compact(lines) // the SOA record is there twice
}

// transfer asks with another's client, which checks signatures.
func transfer(t *testing.T, addr netip.AddrPort, m *dns.Msg, key *peers.Key) (rrs []dns.RR) {
	t.Helper()
	var tr dns.Transfer
	if key != nil {
		tr.TsigSecret = map[string]string{key.Name: key.Secret}
		m.SetTsig(key.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	envelopes, err := tr.In(m, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for e := range envelopes {
		if e.Error != nil {
			t.Fatalf("transfer from %s: %v", addr, e.Error)
		}
		rrs = append(rrs, e.RR...)
	}
	return rrs
}

// TestSecondaries: other servers fetch the zone, are told of each change, fetch the difference, and then have the same
// records. The zone's timers are so long that nothing but NOTIFY can have told them.
func TestSecondaries(t *testing.T) {
	for _, peer := range []*peers.Peer{peers.NSD, peers.Knot, peers.BIND} {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/signed=%v", peer.Name, signed), func(t *testing.T) {
				peers.Need(t, peer.Binary)
				var k *peers.Key
				if signed {
					k = &key
				}
				addr := peer.Addr(t)
				p := startPrimary(t, newZone(1, 300, 7), k, addr)
				s := peer.StartSecondary(t, []string{zoneName}, addr, peers.Primary{Addr: p.Addr, Key: k})
				await(t, s, 1)
				same(t, p, s, k)
				for range 6 {
					p.change(t)
					await(t, s, p.zone.serial)
					same(t, p, s, k)
				}
				if n := strings.Count(p.Log(), "kind=ixfr serial"); n < 6 {
					t.Errorf("%d incremental transfers, expected one for each of 6 changes:\n%s", n, p.Log())
				}
				if signed != strings.Contains(p.Log(), "key="+key.Name) {
					t.Errorf("transfers are signed: %v, expected %v", !signed, signed)
				}
			})
		}
	}
}

func same(t *testing.T, p *primary, s *peers.Server, k *peers.Key) {
	t.Helper()
	if diff := cmp.Diff(records(t, p.Addr, k), records(t, s.Addr, nil)); diff != "" {
		t.Fatalf("version %d at the primary and at %s (-onoma +%s):\n%s", p.zone.serial, s.Name, s.Name, diff)
	}
}

// TestSecondaryThatWasAway comes back after many changes and gets them as one difference.
func TestSecondaryThatWasAway(t *testing.T) {
	peers.Need(t, peers.Knot.Binary)
	addr := peers.Knot.Addr(t)
	p := startPrimary(t, newZone(0xFFFFFFFD, 300, 8), &key, addr)
	s := peers.Knot.StartSecondary(t, []string{zoneName}, addr, peers.Primary{Addr: p.Addr, Key: &key})
	await(t, s, 0xFFFFFFFD)
	if err := syscall.Kill(s.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 6 { // across the end of serial numbers
		p.change(t)
		await(t, p.Server, p.zone.serial)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, s, p.zone.serial)
	same(t, p, s, &key)
}

// TestIncrementalIsTheDifference applies differences, one step long and many, with another's parser.
func TestIncrementalIsTheDifference(t *testing.T) {
	p := startPrimary(t, newZone(1, 200, 9), nil)
	versions := map[uint32][]string{1: records(t, p.Addr, nil)}
	for range 12 {
		p.change(t)
		await(t, p.Server, p.zone.serial)
		versions[p.zone.serial] = records(t, p.Addr, nil)
	}
	now := versions[p.zone.serial]
	for from, old := range versions {
		m := new(dns.Msg)
		m.SetIxfr(zoneName, from, ".", ".")
		rrs := transfer(t, p.Addr, m, nil)
		if from == p.zone.serial {
			if len(rrs) != 1 {
				t.Errorf("%d records for who has the current version, expected the SOA alone", len(rrs))
			}
			continue
		}
		got, err := applied(old, rrs)
		if err != nil {
			t.Errorf("from %d: %v", from, err)
		}
		if diff := cmp.Diff(now, got); diff != "" {
			t.Errorf("from %d (-version +difference applied):\n%s", from, diff)
		}
	}
	if m := p.Log(); strings.Contains(m, "answered in full") {
		t.Errorf("a difference was answered in full:\n%s", m)
	}
}

// applied is what a secondary makes of an answer to IXFR (RFC 1995 §4): each SOA record but the first and the last begins
// a list, of what goes and of what comes by turns.
func applied(old []string, rrs []dns.RR) ([]string, error) {
	zone := slices.Clone(old)
	removing := false
	for _, rr := range rrs[1 : len(rrs)-1] {
		if rr.Header().Rrtype == dns.TypeSOA {
			removing = !removing
		}
		line := canonical(rr)
		at := slices.Index(zone, line)
		switch {
		case removing && at < 0:
			return nil, fmt.Errorf("%s is to go, and is not there", line)
		case removing:
			zone = slices.Delete(zone, at, at+1)
		case at >= 0:
			return nil, fmt.Errorf("%s is to come, and is there", line)
		default:
			zone = append(zone, line)
		}
	}
	slices.Sort(zone)
	return zone, nil
}
