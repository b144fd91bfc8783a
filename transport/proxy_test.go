package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// header makes a PROXY header of parts.
func header(verCmd, family byte, addrs []byte, tlvs ...[]byte) []byte {
	rest := append(append([]byte(nil), addrs...), bytes.Join(tlvs, nil)...)
	b := append(append([]byte(nil), proxySignature...), verCmd, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	return append(b, rest...)
}

func tlv(typ byte, value ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value))), value...)
}

// summed fills in the checksum, which is the last extension of b.
func summed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[len(b)-4:], proxySum(b, len(b)-4))
	return b
}

var (
	pair4 = []byte{192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 53}
	pair6 = append(append(append([]byte{}, netip.MustParseAddr("2001:db8::1").AsSlice()...), netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x30, 0x39, 0, 53)
)

// proxyForms are headers good and bad; err is nil, or what is wrong.
var proxyForms = []struct {
	name          string
	header        []byte
	client, local string // "": the real ones
	err           error
}{
	{"TCP over IPv4", header(0x21, 0x11, pair4), "192.0.2.1:12345", "198.51.100.2:53", nil},
	{"UDP over IPv4", header(0x21, 0x12, pair4), "192.0.2.1:12345", "198.51.100.2:53", nil},
	{"TCP over IPv6", header(0x21, 0x21, pair6), "[2001:db8::1]:12345", "[2001:db8::2]:53", nil},
	{"UDP over IPv6", header(0x21, 0x22, pair6), "[2001:db8::1]:12345", "[2001:db8::2]:53", nil},
	{"LOCAL", header(0x20, 0x00, nil), "", "", nil},
	{"LOCAL with what is to be ignored", header(0x20, 0x11, []byte{1, 2, 3}), "", "", nil},
	{"UNSPEC", header(0x21, 0x00, nil), "", "", nil},
	{"UNSPEC with extensions", header(0x21, 0x00, nil, tlv(4, 0, 0)), "", "", nil},
	{"extensions", header(0x21, 0x11, pair4, tlv(1, 'd', 'o', 't'), tlv(0xE0), tlv(4, 0)), "192.0.2.1:12345", "198.51.100.2:53", nil},
	{"a checksum", summed(header(0x21, 0x11, pair4, tlv(0xE0, 9), tlv(3, 0, 0, 0, 0))), "192.0.2.1:12345", "198.51.100.2:53", nil},

	{"too short for a header", header(0x21, 0x11, pair4)[:15], "", "", errNoProxy},
	{"a wrong signature", append([]byte("\r\n\r\n\x00\r\nQUIT\r"), header(0x21, 0x11, pair4)[12:]...), "", "", errNoProxy},
	{"version 1", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 12345 53\r\n"), "", "", errNoProxy},
	{"version 1 in the form of 2", header(0x11, 0x11, pair4), "", "", errProxyCommand},
	{"version 3", header(0x31, 0x11, pair4), "", "", errProxyCommand},
	{"an unknown command", header(0x22, 0x11, pair4), "", "", errProxyCommand},
	{"an unknown family", header(0x21, 0x41, pair4), "", "", errProxyFamily},
	{"an unknown protocol", header(0x21, 0x13, pair4), "", "", errProxyFamily},
	{"a Unix socket", header(0x21, 0x31, make([]byte, 216)), "", "", errProxyFamily},
	{"IPv4 with a byte too few", header(0x21, 0x11, pair4[:11]), "", "", errProxyLength},
	{"IPv6 with IPv4's addresses", header(0x21, 0x21, pair4), "", "", errProxyLength},
	{"IPv4 with IPv6's addresses", header(0x21, 0x11, pair6), "", "", errProxyTLV},
	{"no addresses", header(0x21, 0x12, nil), "", "", errProxyLength},
	{"half an extension's head", header(0x21, 0x11, pair4, []byte{1, 0}), "", "", errProxyTLV},
	{"an extension beyond the end", header(0x21, 0x11, pair4, []byte{1, 0, 9, 'x'}), "", "", errProxyTLV},
	{"a short checksum", header(0x21, 0x11, pair4, tlv(3, 0, 0)), "", "", errProxyTLV},
	{"a wrong checksum", header(0x21, 0x11, pair4, tlv(3, 1, 2, 3, 4)), "", "", errProxySum},
	{"two, of which the inner is no query", append(header(0x21, 0x11, pair4), header(0x21, 0x11, pair4)[:11]...), "192.0.2.1:12345", "198.51.100.2:53", nil},
}

func TestParseProxy(t *testing.T) {
	for _, c := range proxyForms {
		h, n, err := parseProxy(append(c.header[:len(c.header):len(c.header)], "tail"...))
		if len(c.header) < proxyFixedLen {
			_, n, err = parseProxy(c.header)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
			continue
		}
		if err != nil {
			continue
		}
		client, local := "", ""
		if h.client.IsValid() {
			client, local = h.client.String(), h.local.String()
		}
		if client != c.client || local != c.local || n > len(c.header) {
			t.Errorf("%s: %s %s, %d bytes", c.name, client, local, n)
		}
	}
	long := header(0x21, 0x11, pair4)
	long[15]++
	if _, _, err := parseProxy(long); !errors.Is(err, errProxyLength) {
		t.Errorf("a length beyond the end: %v", err)
	}
}

// who answers with the addresses that the handler was told.
var who = WorkerFunc(func(dst []byte, q *Query) []byte {
	answer := append(dst, q.Msg[:headerLen]...)
	answer[2] |= 0x80
	return fmt.Appendf(answer, "%v %v", q.Client, q.Local)
})

func fromHome() Proxies { return Proxies{netip.PrefixFrom(home, 32)} }

// expectation is what a query behind a header is answered with; "" stands for silence.
func expectation(client, local string, err error, from, to netip.AddrPort) string {
	switch {
	case err != nil:
		return ""
	case client == "":
		return fmt.Sprintf("%v %v", from, to)
	}
	return client + " " + local
}

func TestProxyUDP(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		for _, detach := range []bool{false, true} {
			cfg.Handler, cfg.ProxyFrom = who, fromHome()
			if detach {
				cfg.Handler = WorkerFunc(func(dst []byte, q *Query) []byte {
					answer := who(nil, q)
					p := q.Detach()
					go func() {
						defer p.Done()
						if err := p.Reply(answer); err != nil {
							t.Error(err)
						}
					}()
					return dst
				})
			}
			s := start(t, cfg)
			c := dialFrom(t, UDP, home, s.Addrs()[0])
			from := c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
			bad := uint64(0)
			for i, form := range proxyForms {
				send(t, c, append(form.header[:len(form.header):len(form.header)], message(i, "")...))
				if form.err != nil {
					bad++
				}
				want := expectation(form.client, form.local, form.err, from, s.Addrs()[0])
				if want == "" || i == len(proxyForms)-1 {
					continue
				}
				if m := receive(t, c); idOf(m) != i || textOf(m) != want {
					t.Errorf("%s: %d %q, want %d %q", form.name, idOf(m), textOf(m), i, want)
				}
			}
			send(t, c, message(99, "from a proxy, without a header"))
			eventually(t, "what is bad is counted", func() bool { return s.Stats().UDP.Unproxied == bad+1 })

			// Elsewhere a header is a malformed message, and a message a message.
			stranger := dialFrom(t, UDP, netip.MustParseAddr("127.0.0.9"), s.Addrs()[0])
			send(t, stranger, message(7, ""))
			if m := receive(t, stranger); textOf(m) != fmt.Sprintf("%v %v", stranger.LocalAddr(), s.Addrs()[0]) {
				t.Errorf("a stranger is told %q", textOf(m))
			}
		}
	})
}

func TestProxyTCP(t *testing.T) {
	cfg := Config{Handler: who, ProxyFrom: fromHome(), TCP: TCPLimits{HandshakeTimeout: 100 * time.Millisecond}}
	s := start(t, cfg)
	bad := uint64(0)
	for i, form := range proxyForms {
		if i == len(proxyForms)-1 {
			continue
		}
		c := dialFrom(t, TCP, home, s.Addrs()[0])
		from := c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
		c.Write(append(form.header[:len(form.header):len(form.header)], frame(message(i, ""), message(i, ""))...))
		want := expectation(form.client, form.local, form.err, from, s.Addrs()[0])
		if want == "" {
			bad++
			closed(t, c)
			continue
		}
		for range 2 {
			if m := receive(t, c); textOf(m) != want {
				t.Errorf("%s: %q, want %q", form.name, textOf(m), want)
			}
		}
	}
	late := dialFrom(t, TCP, home, s.Addrs()[0])
	late.Write(header(0x21, 0x11, pair4)[:20])
	closed(t, late)
	if st := s.Stats().TCP; st.Unproxied != bad+1 {
		t.Errorf("%d are counted, want %d", st.Unproxied, bad+1)
	}
	stranger := dialFrom(t, TCP, netip.MustParseAddr("127.0.0.9"), s.Addrs()[0])
	send(t, stranger, message(7, ""))
	if m := receive(t, stranger); textOf(m) != fmt.Sprintf("%v %v", stranger.LocalAddr(), s.Addrs()[0]) {
		t.Errorf("a stranger is told %q", textOf(m))
	}
}

// The header comes before the handshake, and is in the clear.
func TestProxyTLS(t *testing.T) {
	cfg := Config{Handler: who, ProxyFrom: fromHome()}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	raw := dialFrom(t, TCP, home, s.TLSAddrs()[0])
	raw.Write(header(0x21, 0x21, pair6))
	c := tlsOver(t, raw, client)
	sendTLS(t, c, message(1, ""))
	if m := receiveTLS(t, c); textOf(m) != "[2001:db8::1]:12345 [2001:db8::2]:53" {
		t.Errorf("it is told %q", textOf(m))
	}
}

// A proxy may have many connections, each of its clients only so many.
func TestProxyLimits(t *testing.T) {
	s := start(t, Config{Handler: who, ProxyFrom: fromHome(), TCP: TCPLimits{MaxConnsPerClient: 2}})
	first := func(host byte) (closes func()) {
		c := dialFrom(t, TCP, home, s.Addrs()[0])
		pair := append([]byte(nil), pair4...)
		pair[3] = host
		c.Write(append(header(0x21, 0x11, pair), frame(message(1, ""))...))
		receive(t, c)
		return func() { closed(t, c) }
	}
	one := first(1)
	eventually(t, "it is idle", func() bool { return idleConns(s) == 1 })
	first(1)
	for host := range byte(5) {
		first(2 + host)
	}
	eventually(t, "all are idle", func() bool { return idleConns(s) == 7 })
	first(1)
	one()
	if st := s.Stats().Conns; st.Evicted != 1 || st.Open != 7 {
		t.Errorf("counters: %+v", st)
	}
}

func FuzzProxy(f *testing.F) {
	for _, c := range proxyForms {
		f.Add(c.header)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := parseProxy(b)
		if err == nil && (n < proxyFixedLen || n > len(b)) {
			t.Fatalf("a header of %d of %d bytes", n, len(b))
		}
		// What a stream gives is the same as what a packet gives.
		client, _, serr := ReadProxy(bytes.NewReader(b), netip.AddrPort{}, netip.AddrPort{})
		if err == nil && n-proxyFixedLen <= proxyMaxLen && (serr != nil || client != h.client) {
			t.Errorf("a packet is for %v, a stream for %v (%v)", h.client, client, serr)
		}
		if err != nil && serr == nil {
			t.Errorf("a stream takes what a packet does not: %v", err)
		}
	})
}
