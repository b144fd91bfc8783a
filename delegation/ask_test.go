package delegation

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

// TestServersThatAreOdd: what servers do with a connection, and what is made of it.
func TestServersThatAreOdd(t *testing.T) {
	c, old, _ := rolled(t)
	one := func(f func(conn net.Conn, q dns.Question, id uint16)) func(net.Conn) {
		return func(conn net.Conn) {
			defer conn.Close()
			q, id, err := readQuery(conn)
			if err == nil {
				f(conn, q, id)
			}
		}
	}
	reply := func(conn net.Conn, q dns.Question, id uint16, change func(*dns.Message)) {
		m := c.answer(q)
		m.ID = id
		if change != nil {
			change(m)
		}
		_ = writeMessage(conn, m) // who asks may have hung up
	}
	for _, x := range []struct {
		name  string
		serve func(net.Conn)
		want  Verdict
		why   string
	}{
		{"one answer for each connection", one(func(conn net.Conn, q dns.Question, id uint16) { reply(conn, q, id, nil) }), Changed, ""},
		{"answers in another order", func(conn net.Conn) {
			defer conn.Close()
			var later []func()
			for range 3 {
				q, id, err := readQuery(conn)
				if err != nil {
					return
				}
				later = append(later, func() { reply(conn, q, id, nil) })
			}
			for i := range later {
				later[len(later)-1-i]()
			}
		}, Changed, ""},
		{"hangs up", func(conn net.Conn) { conn.Close() }, Waits, "ns1.child.tld."},
		{"hangs up when it is asked", one(func(net.Conn, dns.Question, uint16) {}), Waits, "reading: EOF"},
		{"another ID", one(func(conn net.Conn, q dns.Question, id uint16) { reply(conn, q, id+100, nil) }), Waits, "another question"},
		{"another question", one(func(conn net.Conn, q dns.Question, id uint16) {
			reply(conn, q, id, func(m *dns.Message) { m.Questions[0].Type = dns.TypeTXT })
		}), Waits, "another question"},
		{"a query", one(func(conn net.Conn, q dns.Question, id uint16) {
			reply(conn, q, id, func(m *dns.Message) { m.Flags = 0 })
		}), Waits, "another question"},
		{"the same answer again", one(func(conn net.Conn, q dns.Question, id uint16) {
			reply(conn, q, id, nil)
			reply(conn, q, id, nil)
		}), Changed, ""},
		{"FORMERR without a question", one(func(conn net.Conn, q dns.Question, id uint16) {
			reply(conn, q, id, func(m *dns.Message) { m.Questions, m.RCode = nil, dns.RCodeFormErr })
		}), Waits, "answered FORMERR"},
		{"garbage", one(func(conn net.Conn, _ dns.Question, _ uint16) { conn.Write([]byte{0, 3, 1, 2, 3}) }), Waits, "reading an answer"},
		{"half a message", one(func(conn net.Conn, _ dns.Question, _ uint16) { conn.Write([]byte{0, 99, 1, 2, 3}) }), Waits, "reading"},
		{"more than anybody reads", func(conn net.Conn) {
			defer conn.Close()
			go func() {
				for _, _, err := readQuery(conn); err == nil; _, _, err = readQuery(conn) {
				}
			}()
			// Good answers to nothing, without end.
			for {
				if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, 65535), make([]byte, 65535)...)); err != nil {
					return
				}
			}
		}, Waits, "reading an answer"},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := newHouse(t, delegated+dsLine(c, old), Policy{DS: true}, func(o *Options) { o.Timeout = 5 * time.Second })
			h.net.set("192.0.2.1", x.serve)
			h.net.set("192.0.2.2", c.serveOn)
			r := h.look("child.tld.")
			if r.DS.Verdict != x.want || !strings.Contains(r.DS.Why, x.why) {
				t.Errorf("%s, since %q; expected %s, since %q", r.DS.Verdict, r.DS.Why, x.want, x.why)
			}
			if h.net.dialled > 5 {
				t.Errorf("%d connections", h.net.dialled)
			}
		})
	}
}

// TestTalkIsBounded: answers that are large, each a good one, are not read without end.
func TestTalkIsBounded(t *testing.T) {
	c := newChild(t, "child.tld.")
	var questions []dns.Question
	for i := range 20 {
		questions = append(questions, dns.Question{Name: c.name, Type: dns.Type(1000 + i), Class: dns.ClassIN})
	}
	var n network
	n.set("192.0.2.1", func(conn net.Conn) {
		defer conn.Close()
		for {
			q, id, err := readQuery(conn)
			if err != nil {
				return
			}
			m := &dns.Message{ID: id, Flags: dns.FlagQR | dns.FlagAA, Questions: []dns.Question{q}}
			for range 9 {
				m.Answer = append(m.Answer, dns.Record{Name: q.Name, Type: 999, Class: dns.ClassIN, Data: make([]byte, 7000)})
			}
			if writeMessage(conn, m) != nil {
				return
			}
		}
	})
	_, err := converse(t.Context(), n.dial, netip.MustParseAddr("192.0.2.1"), questions)
	if err == nil || !strings.Contains(err.Error(), errTalk.Error()) {
		t.Errorf("%v", err)
	}
}

// TestIPv4Only: a machine without IPv6 leaves those addresses out of servers that have others.
func TestIPv4Only(t *testing.T) {
	c, old, _ := rolled(t)
	text := delegated + dsLine(c, old) + "ns1.child AAAA 2001:db8::1\n"
	for _, only := range []bool{false, true} {
		h := newHouse(t, text, Policy{DS: true}, func(o *Options) { o.IPv4Only = only })
		h.serveChild(c)
		want := Waits
		if only {
			want = Changed
		}
		if r := h.look("child.tld."); r.DS.Verdict != want {
			t.Errorf("IPv4 only: %v: %+v", only, r.DS)
		}
	}
	h := newHouse(t, "child NS ns1.child\nns1.child AAAA 2001:db8::1\n"+dsLine(c, old), Policy{DS: true}, func(o *Options) { o.IPv4Only = true })
	if r := h.look("child.tld."); r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "no address that can be asked") {
		t.Errorf("a server with IPv6 alone: %+v", r.DS)
	}
}

// TestTooManyServers: such a delegation is left to people, and nobody is asked.
func TestTooManyServers(t *testing.T) {
	text := ""
	for i := range maxHosts + 1 {
		text += "child NS ns" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example.\n"
	}
	h := newHouse(t, text, Policy{DS: true, Bootstrap: Bootstrap{Delay: time.Hour}}, nil)
	if r := h.look("child.tld."); r.DS.Verdict != Waits || !strings.Contains(r.DS.Why, "33 name servers") || h.net.dialled > 0 {
		t.Errorf("%+v", r.DS)
	}
}

// TestPolicyCheck: mistakes are named.
func TestPolicyCheck(t *testing.T) {
	for _, x := range []struct {
		policy Policy
		why    string
	}{
		{Policy{Digests: []uint8{1}}, "digest type 1 is not taken"},
		{Policy{Scan: time.Millisecond}, "flood"},
		{Policy{MinInterval: -1}, "not a time to wait"},
		{Policy{}, ""},
	} {
		err := x.policy.Check()
		if (err == nil) != (x.why == "") || err != nil && !strings.Contains(err.Error(), x.why) {
			t.Errorf("%+v: %v", x.policy, err)
		}
	}
}
