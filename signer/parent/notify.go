package parent

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// notice is what the parent is to be told.
type notice struct {
	child    dns.Name
	kind     dns.Type
	servers  []netip.AddrPort // of the parent, where they are configured
	reportTo dns.Name
	round    time.Time // who has answered since then is not told again
	before   []Telling
}

func (w *watched) notice(j *job) notice {
	n := notice{child: w.ID.Name, servers: w.Parents, reportTo: w.ReportTo}
	for i := range w.tells {
		if t := &w.tells[i]; t.job == j {
			n.kind, n.round, n.before = tellTypes[i], t.round, t.receivers
		}
	}
	return n
}

// notify tells all whom the parent names. The error says why there is nobody.
func (w *Watcher) notify(ctx context.Context, n notice) ([]Telling, string) {
	resolve, err := w.resolver(n.servers)
	if err != nil {
		return n.before, err.Error()
	}
	receivers, err := discover(ctx, resolve, n.child, n.kind)
	if err != nil {
		return nil, why(err)
	}
	var out []Telling
	for _, r := range receivers {
		t := Telling{Type: n.kind, Target: r.target, Port: r.port}
		if i := slices.IndexFunc(n.before, func(b Telling) bool { return b.Target.Equal(t.Target) && b.Port == t.Port }); i >= 0 {
			t = n.before[i]
		}
		if t.Status = r.status; !t.isDone(n.round) {
			w.tellOne(ctx, n, resolve, &t)
		}
		out = append(out, t)
	}
	return out, ""
}

// tellOne tells one receiver, at the first of its addresses that answers.
func (w *Watcher) tellOne(ctx context.Context, n notice, resolve resolver, t *Telling) {
	t.Tries++
	t.Last = time.Now()
	addrs, err := addrsOf(ctx, resolve, t.Target)
	if len(addrs) == 0 && len(n.servers) > 0 && w.options.Resolve != nil {
		addrs, err = addrsOf(ctx, w.resolve, t.Target) // it need not be a name in the parent zone
	}
	if len(addrs) == 0 && err == nil {
		err = errors.New("its name has no address")
	}
	for _, a := range addrs {
		var m *dns.Message
		if m, err = w.notifyAt(ctx, netip.AddrPortFrom(a.Unmap(), t.Port), n); err == nil {
			t.Answered, t.Error, t.NotYet = time.Now(), verdict(m), m.RCode == dns.RCodeNotAuth
			return
		}
	}
	t.Error = why(err)
}

// notifyAt sends NOTIFY to one address, over UDP and where nothing comes back over TCP.
func (w *Watcher) notifyAt(ctx context.Context, server netip.AddrPort, n notice) (*dns.Message, error) {
	m, err := w.send(ctx, transport.UDP, server, n.message())
	if err != nil {
		m, err = w.send(ctx, transport.TCP, server, n.message())
	}
	switch {
	case err != nil:
		return nil, err
	case m.RCode == dns.RCodeServFail:
		return nil, errors.New("it answers " + verdict(m)) // it may do better the next time
	}
	return m, nil
}

// message is NOTIFY (RFC 1996 §3.7) with the type of RFC 9859 §4.2, and where errors may be reported to (§4.3).
func (n *notice) message() *dns.Message {
	m := dns.NewQuery(uint16(rand.Uint32()), dns.Question{Name: n.child, Type: n.kind, Class: dns.ClassIN}, false)
	m.Flags = (m.Flags | dns.FlagAA).WithOpcode(dns.OpcodeNotify)
	m.EDNS = &dns.EDNS{UDPSize: 1232}
	if !n.reportTo.IsZero() {
		m.EDNS.Options = []dns.Option{{Code: dns.OptionReportChannel, Data: n.reportTo.Append(nil)}}
	}
	return m
}

// verdict is what an answer says other than yes.
func verdict(m *dns.Message) string {
	var out []string
	if m.RCode != dns.RCodeNoError {
		out = append(out, m.RCode.String())
	}
	if m.EDNS != nil {
		for _, e := range m.EDNS.EDE() {
			out = append(out, printable(e.String()))
		}
	}
	return strings.Join(out, ", ")
}

// printable is a stranger's text, short enough and without what a terminal may take for orders.
func printable(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}
