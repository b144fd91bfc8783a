package delegation

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/delegation"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

var (
	tld   = dns.MustName("tld.")
	child = dns.MustName("child.tld.")
)

// parent serves tld. and keeps the delegation of child.tld.
type parent struct {
	t    testing.TB
	zone *zone.Zone
	desk *delegation.Desk
	addr netip.AddrPort

	mu    sync.Mutex
	ports map[string]string // of servers, by their addresses
}

// newParent is a parent whose child has name servers at the addresses, and what more records say.
func newParent(t testing.TB, p delegation.Policy, more string, change func(*delegation.Options), servers ...netip.AddrPort) *parent {
	t.Helper()
	text := "$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n" + more
	h := &parent{t: t, zone: zone.New(tld), ports: make(map[string]string)}
	for i, s := range servers {
		host := "ns" + string(rune('1'+i)) + ".child"
		text += "child NS " + host + "\n" + host + " A " + s.Addr().String() + "\n"
		h.ports[netip.AddrPortFrom(s.Addr(), 53).String()] = s.String()
	}
	v, findings, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: tld}), tld)
	if err != nil || v == nil {
		t.Fatal(err, findings)
	}
	h.zone.Publish(v)
	o := delegation.Options{
		Submit: h.submit, Dial: h.dial, Zone: func(zone.ID) *zone.Version { return h.zone.Current() },
		Allowed: func(netip.Addr) bool { return true }, Timeout: 3 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	h.desk = delegation.New(o)
	if err := h.desk.Set(t.Context(), delegation.Parent{ID: zone.IDOf("", tld), Policy: p}); err != nil {
		t.Fatal(err)
	}
	h.serve()
	return h
}

func (h *parent) dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mu.Lock()
	to := h.ports[address]
	h.mu.Unlock()
	if to == "" {
		return nil, errors.New("no such server")
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

func (h *parent) submit(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	v, err := h.zone.Update(changes[0].Edit)
	if err != nil {
		return nil, err
	}
	return []zone.Receipt{{Zone: changes[0].Zone, Serial: v.Serial(), Changed: true, By: changes[0].By}}, nil
}

// serve answers questions and NOTIFYs, and runs the desk, until the test ends.
func (h *parent) serve() {
	h.t.Helper()
	auth := authority.New(authority.Options{ChildNotified: func(n authority.Notice) authority.NoticeVerdict {
		return map[delegation.Answer]authority.NoticeVerdict{
			delegation.NotOurs: authority.NoticeUnknown, delegation.Rejected: authority.NoticeRefused, delegation.Taken: authority.NoticeTaken,
		}[h.desk.Notified(n.View, n.Zone, n.Type, n.From.Addr())]
	}})
	if err := auth.SetZones(h.zone); err != nil {
		h.t.Fatal(err)
	}
	srv, err := transport.Listen(transport.Config{Handler: auth, Addrs: []netip.AddrPort{netip.AddrPortFrom(peers.Addr(h.t).Addr(), 0)}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = srv.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{srv.Serve, h.desk.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				h.t.Error(err)
			}
		})
	}
	h.t.Cleanup(func() { cancel(); wg.Wait() })
}

// ds returns the child's DS set in the parent, as text.
func (h *parent) ds() []string {
	set, _ := h.zone.Current().Find([]byte(child.Wire())).RRset(dns.TypeDS)
	var out []string
	if !set.IsZero() {
		for data := range set.RData() {
			out = append(out, string(dns.AppendRDataText(nil, dns.TypeDS, data)))
		}
	}
	return out
}

// notify sends a NOTIFY to the parent's endpoint, and returns its answer.
func (h *parent) notify(t dns.Type) dns.RCode {
	h.t.Helper()
	m := dns.NewQuery(4711, dns.Question{Name: child, Type: t, Class: dns.ClassIN}, false)
	m.Flags = m.Flags.WithOpcode(dns.OpcodeNotify) | dns.FlagAA
	r := ask(h.t, "udp", h.addr, m)
	return r.RCode
}

// ask asks a server one question over UDP.
func ask(t testing.TB, network string, addr netip.AddrPort, m *dns.Message) *dns.Message {
	t.Helper()
	conn, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	msg, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 65535)
	for range 5 {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			continue
		}
		r, err := dns.ParseMessage(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Fatalf("%s does not answer", addr)
	return nil
}

// fetch returns a set that a server has, with its signatures.
func fetch(t testing.TB, addr netip.AddrPort, name dns.Name, typ dns.Type) []dns.Record {
	m := dns.NewQuery(99, dns.Question{Name: name, Type: typ, Class: dns.ClassIN}, false)
	m.EDNS = &dns.EDNS{UDPSize: 4096, DO: true}
	return ask(t, "udp", addr, m).Answer
}

func has(list []dns.Record, typ dns.Type) bool {
	return slices.ContainsFunc(list, func(r dns.Record) bool { return r.Type == typ })
}

// await waits for something that a child does in its own time.
func (h *parent) await(what string, is func() bool) {
	h.t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s: not in 40 s; DS %v; %+v", what, h.ds(), h.desk.State(zone.IDOf("", tld), child).Last)
		}
	}
}

// zoneFile writes the child's zone.
func zoneFile(t testing.TB, more string) peers.Zones {
	t.Helper()
	file := filepath.Join(t.TempDir(), "child.zone")
	text := "$TTL 1\n$ORIGIN child.tld.\n@ SOA ns1 hostmaster 1 3600 600 86400 1\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n" + more
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return peers.Zones{{Name: "child.tld.", File: file}}
}
