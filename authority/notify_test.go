package authority

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// told is a core of notices with a clock of its own, whose dice always show 0.
type told struct {
	*notices
	t    *testing.T
	now  time.Time
	dice int64
}

func newTold(t *testing.T, keys ...dns.TSIGKey) *told {
	c := &told{t: t, now: time.Unix(1e9, 0)}
	c.notices = newNotices(keysOf(keys...), func(n int64) int64 {
		if n == 1<<16 {
			c.dice++
			return c.dice % n // IDs
		}
		return 0
	})
	return c
}

func secondaryAt(addr string) Secondary { return Secondary{Addr: netip.MustParseAddrPort(addr)} }

// sends returns the messages that are due.
func (c *told) sends() []packet {
	out, _ := c.next(c.now)
	return out
}

// sent returns the only message that is due.
func (c *told) sent() []byte {
	c.t.Helper()
	out := c.sends()
	if len(out) != 1 {
		c.t.Fatalf("%d messages are sent at %s, expected one", len(out), c.now)
	}
	return out[0].msg
}

// pass lets time go by until something is due, and returns how long that is.
func (c *told) pass() time.Duration {
	c.t.Helper()
	_, wake := c.next(c.now)
	if wake.IsZero() {
		c.t.Fatal("nothing will be due any more")
	}
	d := wake.Sub(c.now)
	c.now = wake
	return d
}

// respond answers a message with a code.
func respond(t testing.TB, msg []byte, code dns.RCode) []byte {
	t.Helper()
	m, err := dns.ParseMessage(msg)
	if err != nil {
		t.Fatal(err)
	}
	m.Answer, m.Additional, m.RCode = nil, nil, code
	m.Flags |= dns.FlagQR
	out, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *told) state(to Secondary) NotifyState {
	c.t.Helper()
	for _, s := range c.states() {
		if s.Secondary == to {
			return s
		}
	}
	c.t.Fatalf("nothing is known of %s", to)
	return NotifyState{}
}

func versionOf(t testing.TB, serial int) *zone.Version { return largeZone(t, serial, 1).Current() }

var oneSecondary = secondaryAt("192.0.2.1:53")

func TestNotifyIsAcknowledged(t *testing.T) {
	c := newTold(t)
	z := largeZone(t, 7, 1)
	c.publish(z, oneSecondary, c.now)
	msg := c.sent()
	m, err := dns.ParseMessage(msg)
	if err != nil {
		t.Fatal(err)
	}
	if m.Flags.Opcode() != dns.OpcodeNotify || !m.Flags.Has(dns.FlagAA) || m.Question().String() != "example. IN SOA" ||
		len(m.Answer) != 1 || dns.SOASerial(m.Answer[0].Data) != 7 {
		t.Fatalf("%v, expected NOTIFY with the SOA record of version 7", m)
	}
	good := respond(t, msg, dns.RCodeNoError)
	other := slices.Clone(good)
	other[1]++
	c.answered(oneSecondary.Addr, other, c.now)
	c.answered(netip.MustParseAddrPort("192.0.2.9:53"), good, c.now)
	c.answered(oneSecondary.Addr, msg, c.now)
	c.answered(oneSecondary.Addr, good[:20], c.now)
	if c.state(oneSecondary).IsAcked {
		t.Fatal("an answer to something else, or from someone else, has been taken")
	}
	c.answered(oneSecondary.Addr, good, c.now)
	if s := c.state(oneSecondary); !s.IsAcked || s.Acked != 7 || s.Tries != 1 || s.Err != "" {
		t.Errorf("%+v, expected version 7 to be acknowledged", s)
	}
	if out, wake := c.next(c.now.Add(time.Hour)); len(out) > 0 || !wake.IsZero() {
		t.Errorf("%d more messages, next at %s; expected the end", len(out), wake)
	}
}

func TestNotifyIsRepeatedAndEnds(t *testing.T) {
	c := newTold(t)
	c.publish(largeZone(t, 1, 1), oneSecondary, c.now)
	var waits []time.Duration
	last, sent := c.now, 0
	for {
		if n := len(c.sends()); n > 0 {
			sent += n
			waits = append(waits, c.now.Sub(last))
			last = c.now
		}
		if _, wake := c.next(c.now); wake.IsZero() {
			break
		}
		c.pass()
	}
	want := []time.Duration{0, 2, 4, 8, 16, 32, 60, 60, 60}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(waits, want) || sent != maxTries {
		t.Errorf("%d messages %v apart, expected %v", sent, waits, want)
	}
	if s := c.state(oneSecondary); !s.GaveUp || s.IsAcked || s.Err != "no answer" || s.Tries != maxTries {
		t.Errorf("%+v, expected the end of tries", s)
	}
	z := c.peers[oneSecondary].zones[dns.MustName("example.")].zone
	z.Publish(versionOf(t, 2))
	c.publish(z, oneSecondary, c.now)
	c.answered(oneSecondary.Addr, respond(t, c.sent(), dns.RCodeNoError), c.now)
	if s := c.state(oneSecondary); !s.IsAcked || s.GaveUp || s.Acked != 2 {
		t.Errorf("%+v, expected a new version to begin anew", s)
	}
}

func TestNotifyRefusedIsTriedAgain(t *testing.T) {
	c := newTold(t)
	c.publish(largeZone(t, 1, 1), oneSecondary, c.now)
	c.answered(oneSecondary.Addr, respond(t, c.sent(), dns.RCodeRefused), c.now)
	if s := c.state(oneSecondary); s.IsAcked || s.Err != "REFUSED" {
		t.Errorf("%+v, expected REFUSED", s)
	}
	if d := c.pass(); d != firstWait {
		t.Errorf("the next try is after %s, expected %s", d, firstWait)
	}
	c.answered(oneSecondary.Addr, respond(t, c.sent(), dns.RCodeNoError), c.now)
	if !c.state(oneSecondary).IsAcked {
		t.Error("the second try is not acknowledged")
	}
}

// TestNotifyOfNewerVersion: what is acknowledged is the version that was told of,
// not the one that has come since.
func TestNotifyOfNewerVersion(t *testing.T) {
	c := newTold(t)
	z := largeZone(t, 1, 1)
	c.publish(z, oneSecondary, c.now)
	first := c.sent()
	z.Publish(versionOf(t, 2))
	c.publish(z, oneSecondary, c.now)
	if n := len(c.sends()); n != 0 {
		t.Errorf("%d messages while one is under way, expected none", n)
	}
	c.answered(oneSecondary.Addr, respond(t, first, dns.RCodeNoError), c.now)
	if s := c.state(oneSecondary); s.IsAcked || s.Acked != 1 {
		t.Errorf("%+v, expected version 1 to be acknowledged and 2 to be wanted", s)
	}
	c.answered(oneSecondary.Addr, respond(t, c.sent(), dns.RCodeNoError), c.now)
	if s := c.state(oneSecondary); !s.IsAcked || s.Acked != 2 {
		t.Errorf("%+v, expected version 2 to be acknowledged", s)
	}
	// Once more, and this time the first message is lost.
	z.Publish(versionOf(t, 3))
	c.publish(z, oneSecondary, c.now)
	c.sent()
	z.Publish(versionOf(t, 4))
	c.publish(z, oneSecondary, c.now)
	c.pass()
	c.answered(oneSecondary.Addr, respond(t, c.sent(), dns.RCodeNoError), c.now)
	if s := c.state(oneSecondary); !s.IsAcked || s.Acked != 4 {
		t.Errorf("%+v, expected version 4 to be acknowledged", s)
	}
}

// TestNotifyOfNewsIsSoon: what is new does not wait for the answer to a message
// that was lost.
func TestNotifyOfNewsIsSoon(t *testing.T) {
	c, to := newTold(t), secondaryAt("192.0.2.1:53")
	z := largeZone(t, 1, 1)
	c.publish(z, to, c.now)
	c.sent()
	z.Publish(versionOf(t, 2))
	c.publish(z, to, c.now)
	if out := c.sends(); len(out) != 0 {
		t.Fatal("a second message follows at once, before the first could be answered")
	}
	if d := c.pass(); d != newsWait {
		t.Errorf("the next message is sent after %s, expected %s", d, newsWait)
	}
	c.sent()
	if s := c.state(to); s.Sent != 2 {
		t.Errorf("serial number %d was told of, expected 2", s.Sent)
	}
}

func TestNotifyIsSigned(t *testing.T) {
	c := newTold(t, transferKey)
	to := oneSecondary
	to.Key = transferKey.Name
	c.publish(largeZone(t, 1, 1), to, c.now)
	msg := c.sent()
	v, err := dns.VerifyTSIG(slices.Clone(msg), dns.Keys(transferKey), c.now)
	if err != nil {
		t.Fatal(err)
	}
	c.answered(to.Addr, respond(t, msg, dns.RCodeNoError), c.now)
	if c.state(to).IsAcked {
		t.Error("an answer without a signature is taken")
	}
	signed, _, err := dns.SignTSIG(respond(t, msg, dns.RCodeNoError), transferKey, c.now, v.MAC)
	if err != nil {
		t.Fatal(err)
	}
	c.answered(to.Addr, signed, c.now)
	if s := c.state(to); !s.IsAcked {
		t.Errorf("%+v, expected a signed answer to be taken", s)
	}
	c.keys.Set(nil)
	z := largeZone(t, 2, 1)
	c.publish(z, to, c.now)
	if n := len(c.sends()); n != 0 {
		t.Errorf("%d messages without the key, expected none", n)
	}
	if s := c.state(to); s.Err != errNoKey.Error() {
		t.Errorf("%+v, expected the lack of the key", s)
	}
}

// TestNotifyOfManyZones: 5,000 zones change at once. One secondary is down, and
// the other one is told of all nevertheless, a few at a time.
func TestNotifyOfManyZones(t *testing.T) {
	const n = 5000
	c := newTold(t)
	down, up := secondaryAt("192.0.2.1:53"), secondaryAt("192.0.2.2:53")
	v := largeZone(t, 1, 1)
	for i := range n {
		z := zone.New(dns.MustName(fmt.Sprintf("z%d.example.", i)))
		z.Publish(v.Current()) // the message has the version's own name, so answers must too
		c.publish(z, down, c.now)
		c.publish(z, up, c.now)
	}
	counts := make(map[netip.AddrPort]int)
	for round := 0; counts[up.Addr] < n; round++ {
		out := c.sends()
		each := make(map[netip.AddrPort]int)
		for _, p := range out {
			each[p.to.Addr]++
			counts[p.to.Addr]++
			if p.to.Addr == up.Addr {
				c.acknowledge(p)
			}
		}
		if each[up.Addr] > maxFlying || c.peers[down].flying > maxFlying {
			t.Fatalf("%d messages at once, expected at most %d", each[up.Addr], maxFlying)
		}
		if round > n {
			t.Fatalf("%d zones are told of in %d rounds", counts[up.Addr], round)
		}
	}
	if counts[down.Addr] != maxFlying {
		t.Errorf("%d messages to who is down, expected %d", counts[down.Addr], maxFlying)
	}
	for i := range n {
		c.forget(dns.MustName(fmt.Sprintf("Z%d.example.", i)))
	}
	if out, wake := c.next(c.now.Add(time.Hour)); len(out) > 0 || !wake.IsZero() || len(c.states()) > 0 || len(c.peers[down].ids) > 0 || c.peers[down].flying > 0 {
		t.Errorf("%d messages, %d zones and %d IDs are left, expected nothing", len(out), len(c.states()), len(c.peers[down].ids))
	}
}

// acknowledge has the notice of a packet answered.
func (c *told) acknowledge(p packet) {
	id, _ := dns.ParseHeader(p.msg)
	n := c.peers[p.to].ids[id.ID]
	c.land(n)
	c.stop(n)
	n.state.IsAcked = true
}

func FuzzNotifyAnswer(f *testing.F) {
	f.Add([]byte{0, 1, 0xA4, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 6, 0, 1})
	f.Add([]byte{0, 1, 0xA4, 5, 0, 0, 0, 0, 0, 0, 0, 0})
	z := largeZone(f, 1, 1)
	f.Fuzz(func(t *testing.T, msg []byte) {
		c := newTold(t)
		c.publish(z, oneSecondary, c.now)
		sent := c.sent()
		c.answered(oneSecondary.Addr, msg, c.now)
		s := c.state(oneSecondary)
		if s.IsAcked && (len(msg) < dns.HeaderLen || msg[0] != sent[0] || msg[1] != sent[1] || msg[3]&0xF != 0) {
			t.Errorf("%x is taken as an answer to %x", msg, sent)
		}
		if _, wake := c.next(c.now); wake.IsZero() != s.IsAcked {
			t.Errorf("acknowledged: %v, and the next try at %s", s.IsAcked, wake)
		}
	})
}
