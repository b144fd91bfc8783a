package attack

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/test/peers"
	"onoma/zone/sign"
)

// world is a hostile internet, and one resolver in it.
type world struct {
	t       *testing.T
	block   byte // all addresses are 127.18.block.x
	port    uint16
	hosts   byte
	servers []*server
	domains []*domain
	root    *domain
	good    *domain // honest and signed; every name below it exists
	onoma   *peers.Server
	dir     string
	names   atomic.Int64 // that were made up so far
	usual   usage        // what an honest question costs
}

// worlds counts those of this process, for addresses that no two share.
var worlds atomic.Int32

// newWorld makes a world with a root and an honest zone. Tests with worlds of their own run in parallel.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, block: byte(worlds.Add(1)), dir: t.TempDir()}
	for k := range 200 {
		w.port = uint16(20000 + (os.Getpid()*41+k*17)%12000)
		w.hosts = 0
		if s, err := listen(t, netip.AddrPortFrom(w.address(), w.port)); err == nil {
			w.servers = []*server{s}
			break
		} else if strings.Contains(err.Error(), "cannot assign requested address") {
			t.Skipf("loopback has no addresses of 127.18.0.0/16: %v", err)
		}
	}
	if len(w.servers) == 0 {
		t.Fatal("no free port was found in 200 tries")
	}
	w.root = &domain{name: dns.Root, server: w.servers[0], key: newKey(t), denial: sign.Denial{Kind: sign.NSEC}}
	w.good = w.sign("good.", "")
	w.good.server.set(w.good.made("n", "A 192.0.2.1"))
	return w
}

func (w *world) address() netip.Addr {
	w.hosts++
	return netip.AddrFrom4([4]byte{127, 18, w.block, w.hosts})
}

// listen adds a server without zones.
func (w *world) listen() *server {
	w.t.Helper()
	s, err := listen(w.t, netip.AddrPortFrom(w.address(), w.port))
	if err != nil {
		w.t.Fatal(err)
	}
	w.servers = append(w.servers, s)
	return s
}

// zone adds a zone below the root without signatures, at a server of its own.
func (w *world) zone(name, text string) *domain {
	w.t.Helper()
	d := &domain{name: dns.MustName(name), text: text, server: w.listen()}
	w.domains = append(w.domains, d)
	return d
}

// sign adds a signed zone.
func (w *world) sign(name, text string) *domain {
	w.t.Helper()
	d := w.zone(name, text)
	d.key, d.denial = newKey(w.t), sign.Denial{Kind: sign.NSEC}
	return d
}

// delegate publishes the root with all delegations.
func (w *world) delegate() {
	var cuts []dns.Record
	for _, d := range w.domains {
		cuts = append(cuts, d.delegation(w.t)...)
	}
	w.root.publish(w.t, cuts...)
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// start publishes all zones, starts `onoma resolver` with more flags, and asks it honest names: what they cost is the measure.
func (w *world) start(flags ...string) {
	w.t.Helper()
	hints, anchor := w.publish()
	w.run(append([]string{"resolver", "--listen", w.listener().String(), "--upstream-port", fmt.Sprint(w.port), "--hosts", "off",
		"--root-hints", hints, "--trust-anchor", anchor}, flags...)...)
}

// serve is start for `onoma serve`, with more lines of the resolver's part of the configuration.
func (w *world) serve(lines string) {
	w.t.Helper()
	hints, anchor := w.publish()
	w.run("serve", "--config", w.write("onoma.yaml", fmt.Sprintf("data: %s\ncontrol: off\nresolver:\n  listen: [%q]\n  port: %d\n  root-hints: %s\n  trust-anchor: %s\n%s",
		filepath.Join(w.dir, "data"), w.listener(), w.port, hints, anchor, lines)))
}

// listener is where the resolver is.
func (w *world) listener() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 18, w.block, 250}), w.port)
}

// publish has all zones served, and returns files of the root's servers and keys.
func (w *world) publish() (hints, anchor string) {
	w.t.Helper()
	for _, d := range w.domains {
		d.publish(w.t)
	}
	w.delegate()
	return w.write("hints", fmt.Sprintf(". 3600000 IN NS ns.\nns. 3600000 IN A %s\n", w.root.server.addr.Addr())),
		w.write("anchor", dsOf(w.t, dns.Root, w.root.key).String()+"\n")
}

func (w *world) run(args ...string) {
	w.t.Helper()
	w.onoma = peers.StartOnoma(w.t, w.listener(), args...)
	w.expect(w.fresh(), dns.TypeA, "NOERROR AD 192.0.2.1") // the zone's keys are known then
	const names = 60
	w.usual = w.spend(names, func() {
		for range names {
			w.expect(w.fresh(), dns.TypeA, "NOERROR AD 192.0.2.1")
		}
	})
}

// fresh is an honest name that nobody has asked for before, and that no wildcard stands for.
func (w *world) fresh() dns.Name { return w.good.at("n%d", w.names.Add(1)) }

// usage is what was spent, on all servers and by the resolver's process.
type usage struct {
	messages, octets float64 // upstream
	cpu              time.Duration
	memory           int64
}

func (w *world) total() (u usage) {
	for _, s := range w.servers {
		u.messages += float64(s.messages.Load())
		u.octets += float64(s.octets.Load())
	}
	u.cpu, u.memory = processorTime(w.t, w.onoma.PID()), memory(w.t, w.onoma.PID())
	return u
}

// attack is spend while honest names are asked for, each to be answered within a time: what these cost is taken away.
func (w *world) attack(n int, within time.Duration, do func()) usage {
	w.t.Helper()
	end, watched := w.watch(within), 0
	u := w.spend(n, func() {
		do()
		watched = end()
	})
	share := float64(watched) / float64(n)
	u.messages -= share * w.usual.messages
	u.octets -= share * w.usual.octets
	u.cpu -= time.Duration(share * float64(w.usual.cpu))
	return u
}

// spend returns what n questions cost each, that do asks; memory is the growth of the whole process.
func (w *world) spend(n int, do func()) usage {
	before := w.total()
	do()
	u := w.total()
	k := float64(n)
	return usage{(u.messages - before.messages) / k, (u.octets - before.octets) / k, (u.cpu - before.cpu) / time.Duration(n), u.memory - before.memory}
}

// made answers names that begin with a prefix by a record that is signed when it is asked for, and others honestly.
func (d *domain) made(prefix, data string) handler {
	return func(q *asked) *dns.Message {
		name := q.Question().Name
		typ, rdata, _ := strings.Cut(data, " ")
		if t, _ := dns.ParseType(typ); q.Question().Type != t || !strings.HasPrefix(name.Fold().FirstLabel(), prefix) || name.Equal(d.at("ns")) {
			return honest(q)
		}
		set := []dns.Record{record(dns.Root, name.String(), "300", typ, rdata)}
		if d.key != nil {
			set = d.signed(set...)
		}
		return q.reply(dns.RCodeNoError, set...)
	}
}

// algorithmUnknown is one that nobody can verify.
const algorithmUnknown = 200

// unknownDS is a DS record by an algorithm that nobody knows, of a key that does not matter.
func unknownDS(name dns.Name) dns.Record {
	ds := dns.DS{KeyTag: 4711, Algorithm: algorithmUnknown, DigestType: dnssec.DigestSHA256, Digest: make([]byte, 32)}
	return dns.Record{Name: name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: ds.RData()}
}
