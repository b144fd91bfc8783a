package secondary

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// script answers a query by writing messages.
type script func(c *conversation)

// conversation is one query to a hostile primary.
type conversation struct {
	net.Conn
	query *dns.Message
	sig   *dns.TSIGStream
	n     int
}

// send writes one message with records.
func (c *conversation) send(change func(*dns.Message), records ...dns.Record) bool {
	m := &dns.Message{ID: c.query.ID, Flags: dns.FlagQR | dns.FlagAA, Questions: c.query.Questions, Answer: records}
	if c.n++; c.n > 1 {
		m.Questions = nil
	}
	if change != nil {
		change(m)
	}
	msg, err := m.Append(nil)
	if err != nil {
		return false
	}
	if c.sig != nil {
		if msg, err = c.sig.Sign(msg, time.Now()); err != nil {
			return false
		}
	}
	return c.raw(msg)
}

func (c *conversation) raw(msg []byte) bool {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err == nil
}

// hostile is a primary that says whatever the scripts say; it closes behind each answer.
func hostile(t *testing.T, ixfr, axfr script) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var length [2]byte
				if _, err := io.ReadFull(conn, length[:]); err != nil {
					return
				}
				msg := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, msg); err != nil {
					return
				}
				c := &conversation{Conn: conn}
				if v, err := dns.VerifyTSIG(msg, dns.Keys(tsigKey), time.Now()); err == nil {
					c.sig, _ = dns.NewTSIGStream(tsigKey, v.MAC)
					msg = msg[:v.Len]
				}
				if c.query, err = dns.ParseMessage(msg); err != nil {
					return
				}
				switch c.query.Question().Type {
				case dns.TypeSOA:
					c.send(nil, soa(2))
				case dns.TypeIXFR:
					ixfr(c)
				default:
					axfr(c)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

var (
	apexNS = record("secondary.example. 300 IN NS ns.elsewhere.example.")
	other  = record("other.secondary.example. 300 IN A 192.0.2.1")
	n1     = record("n1.secondary.example. 300 IN A 192.0.2.1")
)

// records sends them in one message.
func records(rr ...dns.Record) script { return func(c *conversation) { c.send(nil, rr...) } }

// changed sends a whole zone in one message that is changed.
func changed(change func(*dns.Message)) script {
	return func(c *conversation) { c.send(change, soa(2), apexNS, soa(2)) }
}

func refusing(c *conversation) { c.send(func(m *dns.Message) { m.RCode = dns.RCodeRefused }) }

// bomb is a message whose few octets expand to names of 255 octets, thousands of them.
func bomb(c *conversation) []byte {
	m := &dns.Message{ID: c.query.ID, Flags: dns.FlagQR | dns.FlagAA, Questions: c.query.Questions, Answer: []dns.Record{soa(2)}}
	label := strings.Repeat("x", 63)
	m.Answer = append(m.Answer, record("%s.%s.%s.secondary.example. 300 IN NS x.", label, label, label))
	msg, _ := m.Append(nil)
	at := len(msg) - 1 - 2 - recordHead // somewhere behind the first label
	for i := range msg {
		if string(msg[i:min(len(msg), i+64)]) == "\x3f"+label {
			at = i
			break
		}
	}
	n := 2
	for len(msg) < 60_000 {
		msg = append(msg, 0xC0|byte(at>>8), byte(at), 0, 2, 0, 1, 0, 0, 1, 44, 0, 5, 2, byte(n>>8), byte(n), 0xC0|byte(at>>8), byte(at))
		n++
	}
	binary.BigEndian.PutUint16(msg[6:], uint16(n))
	return msg
}

// lie is what a hostile primary sends, and what is to be said of it.
type lie struct {
	name   string
	ixfr   script // nil: refused
	axfr   script // nil: refused
	signed bool
	want   string
}

var (
	out   = record("elsewhere.example. 300 IN A 192.0.2.1")
	chaos = dns.Record{Name: other.Name, Type: other.Type, Class: dns.ClassCH, TTL: other.TTL, Data: other.Data}
)

var lies = []lie{
	{name: "wrong ID", axfr: changed(func(m *dns.Message) { m.ID++ }), want: "ID"},
	{name: "other question", axfr: changed(func(m *dns.Message) { m.Questions = []dns.Question{{Name: out.Name, Type: dns.TypeAXFR, Class: 1}} }), want: "another question"},
	{name: "other type", axfr: changed(func(m *dns.Message) { m.Questions = []dns.Question{{Name: origin, Type: dns.TypeSOA, Class: 1}} }), want: "another question"},
	{name: "no question", axfr: changed(func(m *dns.Message) { m.Questions = nil }), want: "0 questions"},
	{name: "a query", axfr: changed(func(m *dns.Message) { m.Flags &^= dns.FlagQR }), want: "no answer"},
	{name: "TC", axfr: changed(func(m *dns.Message) { m.Flags |= dns.FlagTC }), want: "truncated"},
	{name: "rcode", axfr: changed(func(m *dns.Message) { m.RCode = dns.RCodeServFail }), want: "SERVFAIL"},
	{name: "extended rcode", axfr: changed(func(m *dns.Message) { m.RCode, m.EDNS = dns.RCodeBadVers, &dns.EDNS{} }), want: "answers"},
	{name: "rcode in the middle", axfr: func(c *conversation) {
		c.send(nil, soa(2), apexNS)
		refusing(c)
	}, want: "REFUSED"},
	{name: "nothing", axfr: func(*conversation) {}, want: "without an answer"},
	{name: "empty message", axfr: records(), want: "without records"},
	{name: "SOA only", axfr: records(soa(2)), want: "ends in the middle"},
	{name: "SOA twice only", axfr: records(soa(2), soa(2)), want: "nothing but a SOA"},
	{name: "no SOA first", axfr: records(apexNS, soa(2), soa(2)), want: "expected the SOA record"},
	{name: "SOA mismatch at the end", axfr: records(soa(2), apexNS, soa(3)), want: "is not the first one"},
	{name: "records behind the end", axfr: records(soa(2), apexNS, soa(2), other), want: "behind the end"},
	{name: "SOA below the apex", axfr: records(soa(2), apexNS, record("a.secondary.example. 1 IN SOA a. b. 1 2 3 4 5"), soa(2)), want: "SOA record below the apex"},
	{name: "out of zone", axfr: records(soa(2), apexNS, out, soa(2)), want: "not in the zone"},
	{name: "wrong class", axfr: records(soa(2), apexNS, chaos, soa(2)), want: "class CH"},
	{name: "cut off", axfr: records(soa(2), apexNS, other), want: "ends in the middle"},
	{name: "cut off in a message", axfr: func(c *conversation) {
		c.send(nil, soa(2), apexNS)
		_, _ = c.Write([]byte{1, 0, 1, 2, 3})
	}, want: "EOF"},
	{name: "garbage", axfr: func(c *conversation) { c.raw([]byte(strings.Repeat("\xC0", 500))) }, want: "ID"},
	{name: "counts that lie", axfr: func(c *conversation) {
		m := &dns.Message{ID: c.query.ID, Flags: dns.FlagQR | dns.FlagAA, Questions: c.query.Questions, Answer: []dns.Record{soa(2)}}
		msg, _ := m.Append(nil)
		binary.BigEndian.PutUint16(msg[6:], 65535)
		c.raw(msg)
	}, want: "ends within a field"},
	{name: "a pointer to itself", axfr: func(c *conversation) {
		m := &dns.Message{ID: c.query.ID, Flags: dns.FlagQR | dns.FlagAA, Questions: c.query.Questions}
		msg, _ := m.Append(nil)
		at := len(msg)
		msg = append(msg, 0xC0|byte(at>>8), byte(at), 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
		binary.BigEndian.PutUint16(msg[6:], 1)
		c.raw(msg)
	}, want: "name"},
	{name: "endless", axfr: func(c *conversation) {
		var many []dns.Record
		for i := range 400 {
			many = append(many, record("e%d.secondary.example. 1 IN A 192.0.2.1", i))
		}
		for ok := c.send(nil, soa(2), apexNS); ok; ok = c.send(nil, many...) {
		}
	}, want: "more than"},
	{name: "compression bombs", axfr: func(c *conversation) {
		for msg := bomb(c); c.raw(msg); {
			break
		}
	}, want: "ends in the middle"},
	{name: "silence", axfr: func(c *conversation) {
		c.send(nil, soa(2))
		time.Sleep(600 * time.Millisecond)
	}, want: "no message for too long"},
	{name: "a drop a time", axfr: func(c *conversation) {
		c.n = 1
		for ok := c.send(func(m *dns.Message) { m.Questions = c.query.Questions }, soa(2), apexNS); ok; ok = c.send(nil, other) {
			time.Sleep(20 * time.Millisecond)
		}
	}, want: "not finished after"},

	{name: "no TSIG at all", signed: true, axfr: func(c *conversation) {
		c.sig = nil
		c.send(nil, soa(2), apexNS, soa(2))
	}, want: "no TSIG"},
	{name: "wrong TSIG in the middle", signed: true, axfr: func(c *conversation) {
		c.send(nil, soa(2), apexNS)
		c.sig, _ = dns.NewTSIGStream(dns.TSIGKey{Name: tsigKey.Name, Algorithm: tsigKey.Algorithm, Secret: []byte("another secret")}, nil)
		c.send(nil, other, soa(2))
	}, want: "BADSIG"},
	{name: "no TSIG for more than 99 messages", signed: true, axfr: func(c *conversation) {
		c.send(nil, soa(2), apexNS)
		c.sig = nil
		for range 101 {
			c.send(nil, other)
		}
	}, want: "no TSIG"},
	{name: "no TSIG at the end", signed: true, axfr: func(c *conversation) {
		c.send(nil, soa(2), apexNS)
		c.sig = nil
		c.send(nil, soa(2))
	}, want: "no TSIG"},

	{name: "IXFR removes what is not there", ixfr: records(soa(2), soa(1), other, soa(2), soa(2)), want: "REFUSED"},
	{name: "IXFR from another version", ixfr: records(soa(2), soa(7), n1, soa(2), soa(2)), want: "REFUSED"},
	{name: "IXFR that does not chain", ixfr: records(soa(3), soa(1), n1, soa(2), soa(5), soa(3), soa(3)), want: "REFUSED"},
	{name: "IXFR backwards", ixfr: records(soa(3), soa(1), n1, soa(0), soa(0), soa(3), soa(3)), want: "REFUSED"},
	{name: "IXFR with another last SOA", ixfr: records(soa(3), soa(1), n1, soa(3), record("secondary.example. 300 IN SOA a. b. 3 3600 600 86400 300")), want: "REFUSED"},
	{name: "IXFR cut off", ixfr: records(soa(3), soa(1), n1, soa(3), other), want: "REFUSED"},
	{name: "IXFR with the SOA alone", ixfr: records(soa(3)), want: "REFUSED"},
	{name: "IXFR out of zone", ixfr: records(soa(2), soa(1), soa(2), out, soa(2)), want: "REFUSED"},
}

// TestHostilePrimaries: whatever a primary sends, the last good version stays, the
// reason is told, and it takes bounded time and memory.
func TestHostilePrimaries(t *testing.T) {
	for _, tc := range lies {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.ixfr == nil {
				tc.ixfr = refusing
			}
			if tc.axfr == nil {
				tc.axfr = refusing
			}
			r := newRig(t, func(o *Options) { o.Keys = keys(tsigKey) })
			v := build(t, 1, 3)
			r.zones.add(id, v)
			to := Primary{Addr: hostile(t, tc.ixfr, tc.axfr), Proto: transport.TCP}
			if tc.signed {
				to.Key = tsigKey.Name
			}
			limits := Limits{Records: 20_000, Octets: 4 << 20, Idle: 300 * time.Millisecond, Total: 700 * time.Millisecond}
			to.NoIXFR = tc.axfr != nil && tc.want != "REFUSED" || tc.name == "rcode in the middle"
			r.Add(ZoneConfig{ID: id, Primaries: []Primary{to}, Limits: limits})
			run(t, r.Secondary)
			st := await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" && s.Phase == Waiting })
			if !strings.Contains(st.Err, tc.want) {
				t.Errorf("the error is %q, expected %q", st.Err, tc.want)
			}
			if r.current() != v {
				t.Error("the last good version has gone")
			}
			if !to.NoIXFR && r.Stats().Fallbacks != 1 {
				t.Errorf("%d times the whole zone was asked for, expected once", r.Stats().Fallbacks)
			}
		})
	}
}

// TestIXFRInPieces: forms of a good answer that servers differ in.
func TestIXFRInPieces(t *testing.T) {
	n2 := record("n2.secondary.example. 300 IN A 192.0.2.2")
	for name, ixfr := range map[string]script{
		"one message": records(soa(3), soa(1), n1, soa(2), other, soa(2), n2, soa(3), n1, soa(3)),
		"the SOA first": func(c *conversation) {
			c.send(nil, soa(3))
			records(soa(1), n1, soa(2), other, soa(2), n2, soa(3), n1, soa(3))(c)
		},
		"one by one": func(c *conversation) {
			for _, r := range []dns.Record{soa(3), soa(1), n1, soa(2), other, soa(2), n2, soa(3), n1, soa(3)} {
				c.send(nil, r)
			}
		},
		"the whole zone": records(soa(3), apexNS, record("secondary.example. 300 IN NS ns.secondary.example."),
			record("ns.secondary.example. 300 IN A 192.0.2.1"), record("n0.secondary.example. 300 IN A 192.0.2.0"), n1, other, soa(3)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.zones.add(id, build(t, 1, 3, apexNS.String()))
			r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: hostile(t, ixfr, refusing), Proto: transport.TCP}}})
			run(t, r.Secondary)
			awaitSerial(t, r.Secondary, id, 3)
			same(t, build(t, 3, 2, apexNS.String(), other.String()), r.current())
		})
	}
}

// TestMemoryOfIXFR: while a difference is here, and the next version beside the
// one that is served, that takes at most 1.05 times the zone at rest.
func TestMemoryOfIXFR(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a zone of 300,000 names")
	}
	v := build(t, 1, 300_000)
	p := startPrimary(t, authority.Options{}, build(t, 1, 300_000))
	r := newRig(t, nil)
	r.zones.add(id, v)
	p.change(t, func(e *zone.Editor) error {
		for i := range 500 {
			e.RemoveName(dns.MustName(fmt.Sprintf("n%d.secondary.example.", i*70)))
		}
		return nil
	})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	rest := uint64(v.Stats().Bytes)
	before := heap()
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}})
	var peak uint64
	r.options.Zones = measuring{r.zones, func() { peak = heap() }}
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 2)
	t.Logf("%d octets beside a zone of %d", int64(peak-before), rest)
	const chunk = 1 << 20
	if peak > before+rest/20+chunk {
		t.Errorf("the difference takes %d octets beside a zone of %d, expected a twentieth and a chunk at most", peak-before, rest)
	}
}

// measuring looks when the difference is there and the next version is made.
type measuring struct {
	*memory
	look func()
}

func (m measuring) Head(id zone.ID) (uint64, *zone.Version, bool) {
	n, v, ok := m.memory.Head(id)
	if v != nil && v.Serial() == 2 {
		m.look()
	}
	return n, v, ok
}

// FuzzIncoming: no stream of messages makes the reader panic, or keep more than
// it has been sent.
func FuzzIncoming(f *testing.F) {
	seed := func(ixfr bool, rr ...dns.Record) {
		typ := dns.TypeAXFR
		if ixfr {
			typ = dns.TypeIXFR
		}
		m := &dns.Message{ID: 7, Flags: dns.FlagQR | dns.FlagAA, Questions: []dns.Question{{Name: origin, Type: typ, Class: 1}}, Answer: rr}
		m.EDNS = &dns.EDNS{Options: []dns.Option{{Code: dns.OptionExpire, Data: []byte{0, 0, 1, 0}}}}
		msg, err := m.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...), ixfr)
	}
	seed(false, soa(2), apexNS, soa(2))
	seed(true, soa(3), soa(1), n1, soa(2), other, soa(2), soa(3), n1, soa(3))
	seed(true, soa(3), apexNS, soa(3))
	seed(true, soa(1))
	f.Fuzz(func(t *testing.T, stream []byte, ixfr bool) {
		in := incoming{question: dns.Question{Name: origin, Type: dns.TypeAXFR, Class: 1}, id: 7, limits: Limits{}.filled()}
		d := &difference{origin: origin}
		in.sink = newWholeZone(origin)
		if ixfr {
			in.question.Type, in.ours, in.sink = dns.TypeIXFR, 1, d
		}
		for len(stream) > 2 && in.state != stateDone {
			n := min(int(binary.BigEndian.Uint16(stream)), len(stream)-2)
			if in.message(stream[2:2+n]) != nil {
				return
			}
			stream = stream[2+n:]
		}
		if in.state != stateDone {
			return
		}
		switch {
		case ixfr && d.whole == nil:
			e := build(t, 1, 3).Edit()
			if err := d.apply(e, nil); err != nil {
				e.Discard()
				return
			}
			if v, err := e.Commit(); err == nil && v.Serial() != in.serial {
				t.Errorf("the difference leads to version %d, expected %d", v.Serial(), in.serial)
			}
		case ixfr:
			_ = d.whole.build()
		default:
			_ = in.sink.(*wholeZone).build()
		}
	})
}
