package attack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"onoma/dns"
)

// TestRebirthday: questions that differ in ECS alone do not become so many queries, each with a port and an ID to guess
// (CVE-2025-5994, CVE-2025-30192).
func TestRebirthday(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	victim.server.set(func(q *asked) *dns.Message {
		time.Sleep(300 * time.Millisecond)
		return honest(q)
	})
	w.start()
	victim.server.sightings()
	const clients = 200
	name := victim.at("www")
	c := w.attack(clients, 5*time.Second, func() {
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				subnet := dns.ClientSubnet{Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 0}), 24)}.Option()
				a, err := w.question(dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassIN}, []dns.Option{subnet})
				if v := verdict(a, err); v != "NOERROR 192.0.2.7" {
					t.Errorf("with a client subnet: %s", v)
				}
			})
		}
		wg.Wait()
	})
	same := 0
	for _, s := range victim.server.sightings() {
		if s.Name.Equal(name) {
			same++
		}
	}
	if same > 2 { // once more where the first was given up as lost
		t.Errorf("one question of %d clients was asked %d times", clients, same)
	}
	w.row(row{attack: "RebirthDay, CVE-2025-5994, 30192", defence: "one look-up for a question, whatever options clients send; no ECS upstream",
		ceiling: ceiling{messages: 0.1, octets: 100, cpu: 6}, cost: c, seen: fmt.Sprintf("%d queries for %d clients with subnets of their own", same, clients)})
}

// TestJiggle: what a client sends does not come back but where it has to: ID, question, RD, CD, and the opcode (2026: bits of
// malformed queries came back in errors, a covert channel and worse).
func TestJiggle(t *testing.T) {
	w := newWorld(t)
	w.start()
	random := rand.New(rand.NewPCG(1, 2))
	const tries = 300
	answered := 0
	c := w.attack(tries, 5*time.Second, func() {
		for range tries {
			query := make([]byte, 12+random.IntN(80))
			for i := range query {
				query[i] = byte(random.Uint32())
			}
			query[2] &^= 0x80 // a query
			if random.IntN(2) == 0 {
				copy(query[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0}) // that may be read as far as the question
			}
			r := w.octets(query, 30*time.Millisecond)
			if r == nil {
				continue
			}
			answered++
			checkReflection(t, query, r)
		}
	})
	if answered == 0 {
		t.Error("no error was answered")
	}
	w.row(row{attack: "Jiggle 2026", defence: "errors are made from scratch: a header, and the question where it could be read",
		ceiling: ceiling{messages: 0.1, octets: 100, cpu: 6}, cost: c, seen: fmt.Sprintf("%d errors for %d random messages, no bit reflected", answered, tries)})
}

// checkReflection wants nothing of query in r that has no business there.
func checkReflection(t *testing.T, query, r []byte) {
	t.Helper()
	q, _ := dns.ParseHeader(query)
	h, ok := dns.ParseHeader(r)
	if !ok || h.ID != q.ID || !h.Flags.Has(dns.FlagQR) {
		t.Errorf("%x is no reply to %x", r, query)
		return
	}
	const own = dns.FlagRD | dns.FlagCD | dns.FlagRA | dns.FlagQR | 0xF<<11 | 0xF
	if extra := h.Flags &^ own; extra != 0 {
		t.Errorf("flags %04x of %04x come back", uint16(extra), uint16(q.Flags))
	}
	if h.Flags.RCode() == 0 {
		t.Errorf("%x is answered without an error: %x", query, r)
	}
	if tail := r[12:]; h.Questions == 0 && h.Additional == 0 && len(tail) > 0 || len(tail) > 0 && !bytes.HasPrefix(query[12:], tail[:min(len(tail), 4)]) {
		t.Errorf("%x is answered by %x", query, r)
	}
}

// TestBombs: options by the thousand and pointers to pointers, from clients and from servers (CVE-2026-41292, 44390, 2024-8508).
func TestBombs(t *testing.T) {
	w := newWorld(t)
	evil := w.zone("evil.", "")
	options := make([]dns.Option, 14_000)
	for i := range options {
		options[i] = dns.Option{Code: dns.OptionCode(20000 + i%1000)}
	}
	evil.server.set(func(q *asked) *dns.Message {
		if !q.isTCP {
			a := q.reply(dns.RCodeNoError)
			a.Flags |= dns.FlagTC
			return a
		}
		if q.Question().Name.Fold().FirstLabel()[0] == 'o' {
			a := q.reply(dns.RCodeNoError, rr("%s 60 A 192.0.2.66", q.Question().Name))
			a.EDNS = &dns.EDNS{UDPSize: 1232, Options: options}
			q.send(q.pack(a))
			return nil
		}
		q.send(pointers(q.pack(q.reply(dns.RCodeNoError))))
		return nil
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names / 2 {
			for _, prefix := range []string{"o", "p"} {
				if a, err := w.ask(evil.at("%s%d", prefix, i), dns.TypeA); err != nil {
					t.Errorf("a bomb: %s", explained(a, err))
				}
			}
		}
	})
	fromClient := w.spend(20, func() {
		for range 20 {
			a, err := w.question(dns.Question{Name: w.good.at("n1"), Type: dns.TypeA, Class: dns.ClassIN}, options[:300])
			if err != nil {
				t.Errorf("300 options: %s", explained(a, err))
			}
		}
	})
	c.cpu = max(c.cpu, fromClient.cpu)
	w.row(row{attack: "EDNS option and compression bombs, CVE-2026-41292, 44390, 2024-8508", defence: "parsers linear in the length of a message, pointers lead backwards",
		ceiling: ceiling{messages: 12, octets: 500_000, cpu: 60}, cost: c, // several tries of 64 KB each
		seen: "14,000 options, 3,600 records behind 60 pointers each"})
}

// pointers adds 3600 records to a reply, each with an owner behind 60 pointers.
func pointers(msg []byte) []byte {
	at := len(msg)
	// The OPT record at the end goes: its place has the chain of pointers, in the rdata of a record.
	msg = slices.Clone(msg[:at-11])
	binary.BigEndian.PutUint16(msg[10:], 0)
	msg = append(msg, 0xC0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 120) // TXT
	previous := 12
	for range 60 {
		here := len(msg)
		msg = binary.BigEndian.AppendUint16(msg, 0xC000|uint16(previous))
		previous = here
	}
	count := 1
	for len(msg) < 65_000-18 {
		msg = binary.BigEndian.AppendUint16(msg, 0xC000|uint16(previous))
		msg = append(msg, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, byte(count))
		count++
	}
	binary.BigEndian.PutUint16(msg[6:], uint16(count))
	return msg
}

// TestDNSBomb: questions at a low rate whose answers are held back and then come all at once, to an address that is not the
// one that asked (2024, CVE-2024-33655). After 1.9 s an answer by UDP is small, or truncated.
func TestDNSBomb(t *testing.T) {
	w := newWorld(t)
	large, small := w.zone("large.", ""), w.zone("small.", "")
	w.start()
	const questions = 300
	var big, little bomb
	c := w.attack(2*questions, 5*time.Second, func() {
		var wg sync.WaitGroup
		wg.Go(func() { big = w.drop(large, questions, 4) })
		wg.Go(func() { little = w.drop(small, questions, 1) })
		wg.Wait()
	})
	// What is late is at most 512 octets (a question has 33), and large answers are nothing but the question.
	if big.times > 2 || little.times > 512.0/33 {
		t.Errorf("late answers have %.1f times the octets of their questions, small ones %.1f times", big.times, little.times)
	}
	w.row(row{attack: "DNSBomb 2024, CVE-2024-33655", defence: "after 1.9 s no answer by UDP of more than 512 octets, TC in its place",
		ceiling: ceiling{messages: 12, octets: 8000, cpu: 20}, cost: c, // several tries for each
		seen: fmt.Sprintf("%.1f times the octets of the questions come back of large answers, %.1f of small ones", big.times, little.times)})
}

// bomb is what came of it.
type bomb struct {
	times float64 // the octets that were sent
	got   int
}

// drop asks n questions in half a second, of a server that has no answer until they are late, and then all at once, each with
// so many records of 250 octets.
func (w *world) drop(d *domain, n, size int) (b bomb) {
	release := make(chan struct{})
	list := records(d.name, bigTXT("@", size))
	d.server.set(func(q *asked) *dns.Message {
		if q.Question().Type != dns.TypeTXT {
			return honest(q)
		}
		<-release
		a := q.reply(dns.RCodeNoError)
		for _, r := range list {
			r.Name = q.Question().Name
			a.Answer = append(a.Answer, r)
		}
		return a
	})
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(w.onoma.Addr))
	if err != nil {
		w.t.Error(err)
		close(release)
		return b
	}
	defer conn.Close()
	sent, octets := 0, 0
	for i := range n {
		m := dns.NewQuery(uint16(i), dns.Question{Name: d.at("b%d", i/3), Type: dns.TypeTXT, Class: dns.ClassIN}, true)
		m.EDNS = &dns.EDNS{UDPSize: 1232}
		query, err := m.Append(nil)
		if err != nil {
			w.t.Error(err)
		}
		k, _ := conn.Write(query)
		sent += k
		time.Sleep(time.Millisecond)
	}
	time.Sleep(2 * time.Second) // so that the last of them are late, too
	close(release)
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(8 * time.Second))
	for b.got < n {
		k, err := conn.Read(buf)
		if err != nil {
			break
		}
		b.got++
		octets += k
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	}
	b.times = float64(octets) / float64(sent)
	return b
}
