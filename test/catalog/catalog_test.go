package catalog

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
	mdns "github.com/miekg/dns"

	"onoma/authority/catalog"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/zone"
)

const (
	catz  = "catalog.invalid."
	group = "special"
)

// primary is an onoma that serves a catalog and some zones, not all of which the catalog lists.
type primary struct {
	*peers.Server
	producer catalog.Producer
	version  *zone.Version
	file     string
}

func startPrimary(t *testing.T, consumer netip.AddrPort, zones ...string) *primary {
	t.Helper()
	dir := t.TempDir()
	p := &primary{file: filepath.Join(dir, "catalog"), producer: catalog.Producer{Catalog: zone.IDOf("", dns.MustName(catz))}}
	change, err := p.producer.Create(zone.Author{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p.version = change.Replace
	p.write(t)
	addr := peers.Addr(t)
	args := []string{"authority", "--listen", addr.String(), "--transfer-to", "127.0.0.0/8", "--notify", consumer.String(), "--zone", catz + "=" + p.file}
	for _, name := range zones {
		file := filepath.Join(dir, name+"zone")
		text := "$ORIGIN " + name + "\n$TTL 300\n@ SOA ns.example.net. host.example.net. 7 300 300 3000 300\n@ NS ns.example.net.\nwww A 192.0.2.1\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--zone", name+"="+file)
	}
	p.Server = peers.StartOnoma(t, addr, args...)
	return p
}

func (p *primary) write(t *testing.T) {
	t.Helper()
	f, err := os.Create(p.file + ".new")
	if err != nil {
		t.Fatal(err)
	}
	if err := zonefile.Write(f, p.version.Origin(), p.version.Records()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.file+".new", p.file); err != nil {
		t.Fatal(err)
	}
}

// make applies changes as the pipeline would, with a new serial number.
func (p *primary) make(t *testing.T, change zone.Change, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	e := p.version.Edit()
	if err := change.Edit(e); err != nil {
		t.Fatal(err)
	}
	soa, err := dns.ParseSOA(e.View().SOA().First())
	if err != nil {
		t.Fatal(err)
	}
	soa.Serial++
	if _, err := e.Add(dns.Record{Name: p.version.Origin(), Type: dns.TypeSOA, Class: dns.ClassIN, Data: soa.RData()}); err != nil {
		t.Fatal(err)
	}
	if p.version, err = e.Commit(); err != nil {
		t.Fatal(err)
	}
}

// publish has the server read the catalog again, and tell the consumer.
func (p *primary) publish(t *testing.T) {
	t.Helper()
	p.write(t)
	if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// await waits until exactly those of the zones are served.
func await(t *testing.T, s *peers.Server, zones []string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var got []string
		for _, z := range zones {
			if s.Serves(z) {
				got = append(got, z)
			}
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s serves %v, expected %v\n%s", s.Name, got, want, s.Mentions("catalog"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestConsumers: other servers follow our catalog, and transfer its members from us.
func TestConsumers(t *testing.T) {
	author := zone.Author{Name: "test"}
	zones := []string{"a.example.", "b.example.", "c.example.", "d.example."}
	member := func(i int) catalog.Wish { return catalog.Wish{Zone: dns.MustName(zones[i])} }
	for _, peer := range []*peers.Peer{peers.Knot, peers.BIND, peers.PowerDNS} {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, peer.Binary)
			addr := peer.Addr(t)
			p := startPrimary(t, addr, zones...)
			grouped := member(1)
			grouped.Groups = []string{group}
			grouped.Custom = []catalog.Property{{Name: dns.MustName("metrics.vendor."), Type: dns.TypeTXT, Data: dns.NewTXT("ignored")}}
			change, err := p.producer.Set(author, member(0), grouped)
			p.make(t, change, err)
			p.publish(t)
			s := peer.StartConsumer(t, catz, group, addr, peers.Primary{Addr: p.Addr})
			await(t, s, zones, "a.example.", "b.example.")
			if peer == peers.Knot {
				for _, file := range []string{"plain-a.example.zone", "group-b.example.zone"} {
					if _, err := os.Stat(filepath.Join(s.Dir, file)); err != nil {
						t.Errorf("the group does not count: %v", err)
					}
				}
			}

			change, err = p.producer.Set(author, member(2))
			p.make(t, change, err)
			change, err = p.producer.Remove(author, dns.MustName(zones[0]))
			p.make(t, change, err)
			change, err = p.producer.Reset(author, dns.MustName(zones[1]))
			p.make(t, change, err)
			p.publish(t)
			await(t, s, zones, "b.example.", "c.example.")

			change, err = p.producer.Sync(author, []catalog.Wish{member(0), member(1), member(2), member(3)})
			p.make(t, change, err)
			p.publish(t)
			await(t, s, zones, zones...)
		})
	}
}

// TestProducers: we read the catalogs of other servers as they give them away.
func TestProducers(t *testing.T) {
	members := []peers.Member{{Zone: "a.example."}, {Zone: "b.example.", Group: group}, {Zone: "sub.a.example."}}
	for _, peer := range []*peers.Peer{peers.Knot, peers.PowerDNS} {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, peer.Binary)
			addr := peer.Addr(t)
			s := peer.StartProducer(t, catz, members, addr)
			v := transferred(t, s)
			list, odd, err := catalog.Read(v)
			if err != nil || len(odd) > 0 {
				t.Fatal(err, odd)
			}
			want, got := make(map[string]string), make(map[string]string)
			for _, m := range members {
				want[m.Zone] = m.Group
			}
			for _, m := range list {
				got[m.Zone.String()] = strings.Join(m.Groups, ",")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("members and groups (-%s +read):\n%s", peer.Name, diff)
			}
		})
	}
}

// transferred waits for a server's catalog and gets it.
func transferred(t *testing.T, s *peers.Server) *zone.Version {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		v, err := transfer(s.Addr)
		if err == nil {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// transfer reads the zone from another's client's hands, by its text.
func transfer(addr netip.AddrPort) (*zone.Version, error) {
	m := new(mdns.Msg)
	m.SetAxfr(catz)
	var tr mdns.Transfer
	envelopes, err := tr.In(m, addr.String())
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for e := range envelopes {
		if e.Error != nil {
			return nil, e.Error
		}
		for _, rr := range e.RR {
			fmt.Fprintln(&text, rr)
		}
	}
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text.String()), zonefile.Options{}), dns.MustName(catz))
	if v == nil || err != nil {
		return nil, fmt.Errorf("%v: %w", findings, err)
	}
	return v, nil
}
