package parent

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// fake answers queries by protocol, and remembers which came.
type fake struct {
	answers map[transport.Proto][]any // *dns.Message or error, the last one for ever
	asked   []string
}

func (f *fake) exchange(_ context.Context, p transport.Proto, server netip.AddrPort, query, _ []byte) (transport.Reply, error) {
	f.asked = append(f.asked, p.String())
	list := f.answers[p]
	a := list[0]
	if len(list) > 1 {
		f.answers[p] = list[1:]
	}
	if err, ok := a.(error); ok {
		return transport.Reply{}, err
	}
	b, err := a.(*dns.Message).Append(nil)
	return transport.Reply{Msg: b}, err
}

func dsAnswer(set ...dns.DS) *dns.Message {
	m := &dns.Message{Flags: dns.FlagQR | dns.FlagAA, Questions: []dns.Question{{Name: child.Name, Type: dns.TypeDS, Class: dns.ClassIN}}}
	for _, d := range set {
		m.Answer = append(m.Answer, dns.Record{Name: child.Name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 60, Data: d.RData()})
	}
	if len(set) == 0 {
		m.Authority = []dns.Record{dns.MustRecord("example. 60 IN SOA a. b. 9 2 3 4 5")}
	}
	return m
}

func failed(k transport.Kind) error { return &transport.ExchangeError{Kind: k} }

// TestNewsIsConfirmed shows which answers are believed: what was known before, at once; news, when they came by TCP, or twice
// where there is no TCP.
func TestNewsIsConfirmed(t *testing.T) {
	a, b := testDS(t, 1), testDS(t, 2)
	truncated := dsAnswer()
	truncated.Flags |= dns.FlagTC
	refused := dsAnswer()
	refused.RCode = dns.RCodeRefused
	lame := dsAnswer()
	lame.Flags &^= dns.FlagAA
	other := dsAnswer()
	other.Authority = []dns.Record{dns.MustRecord("child.example. 60 IN SOA a. b. 9 2 3 4 5")}
	for name, x := range map[string]struct {
		udp, tcp []any
		asked    string
		want     []dns.DS
		err      string
	}{
		"nothing new":           {[]any{dsAnswer(a)}, nil, "udp", []dns.DS{a}, ""},
		"news":                  {[]any{dsAnswer(b)}, []any{dsAnswer(b)}, "udp tcp", []dns.DS{b}, ""},
		"a forgery":             {[]any{dsAnswer(b)}, []any{dsAnswer(a)}, "udp tcp", []dns.DS{a}, ""},
		"no TCP":                {[]any{dsAnswer(b)}, []any{failed(transport.Refused)}, "udp tcp udp", []dns.DS{b}, ""},
		"no TCP, a forgery":     {[]any{dsAnswer(b), dsAnswer(a)}, []any{failed(transport.Timeout)}, "udp tcp udp", nil, "now this, now that"},
		"no UDP":                {[]any{failed(transport.Timeout)}, []any{dsAnswer(b)}, "udp tcp", []dns.DS{b}, ""},
		"truncated":             {[]any{truncated}, []any{dsAnswer(a, b)}, "udp tcp", []dns.DS{a, b}, ""},
		"down":                  {[]any{failed(transport.Refused)}, nil, "udp", nil, transport.Refused.String()},
		"refusal":               {[]any{refused}, nil, "udp", nil, "REFUSED"},
		"no authority":          {[]any{lame}, nil, "udp", nil, "without authority"},
		"from below":            {[]any{other}, nil, "udp", nil, "for the zone itself"},
		"none any more":         {[]any{dsAnswer()}, []any{dsAnswer()}, "udp tcp", nil, ""},
		"guesses, TCP to judge": {[]any{failed(transport.Spoofed)}, []any{dsAnswer(a)}, "udp tcp", []dns.DS{a}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{answers: map[transport.Proto][]any{transport.UDP: x.udp, transport.TCP: x.tcp}}
			w := New(Options{Exchange: f.exchange})
			s := w.lookAt(t.Context(), question{child: child.Name, last: []dns.DS{a}, has: true})
			if got := strings.Join(f.asked, " "); got != x.asked {
				t.Errorf("asked by %s, want %s", got, x.asked)
			}
			if diff := cmp.Diff(x.want, s.ds); diff != "" {
				t.Error(diff)
			}
			if s.err == "" && x.err != "" || !strings.Contains(s.err, x.err) {
				t.Errorf("error %q, want %q", s.err, x.err)
			}
		})
	}
}

// TestDiscovery follows RFC 9859 §4.1 through zones that answer as these do.
func TestDiscovery(t *testing.T) {
	for name, x := range map[string]struct {
		child, parent string
		has           map[string]string
		asked         string
		want          string
	}{
		"child": {
			"a.example.", "example.", map[string]string{"a._dsync.example.": "CDS NOTIFY 5300 r.example."},
			"a._dsync.example.", "r.example.",
		},
		"apex": {
			"a.example.", "example.", map[string]string{"_dsync.example.": "CDS NOTIFY 5300 r.example."},
			"a._dsync.example. _dsync.example.", "r.example.",
		},
		"two labels": {
			"a.b.example.", "example.", map[string]string{"a.b._dsync.example.": "CDS NOTIFY 5300 r.example."},
			"a._dsync.b.example. a.b._dsync.example.", "r.example.",
		},
		"two labels, apex": {
			"a.b.example.", "example.", map[string]string{"_dsync.example.": "CDS NOTIFY 5300 r.example."},
			"a._dsync.b.example. a.b._dsync.example. _dsync.example.", "r.example.",
		},
		"nobody": {
			"a.example.", "example.", nil, "a._dsync.example. _dsync.example.", "",
		},
		"another type": {
			"a.example.", "example.", map[string]string{"a._dsync.example.": "CSYNC NOTIFY 5300 r.example."}, "a._dsync.example.", "",
		},
		"another scheme": {
			"a.example.", "example.", map[string]string{"a._dsync.example.": "CDS 200 5300 r.example."}, "a._dsync.example.", "",
		},
		"below the root": {
			"example.", ".", map[string]string{"_dsync.": "CDS NOTIFY 5300 r.example."}, "example._dsync. _dsync.", "r.example.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			resolve := func(_ context.Context, q dns.Question) (*dns.Message, error) {
				asked = append(asked, q.Name.String())
				m := &dns.Message{Flags: dns.FlagQR | dns.FlagAD, Questions: []dns.Question{q}}
				if text, ok := x.has[q.Name.String()]; ok {
					data, err := dns.ParseRDataString(dns.TypeDSYNC, text, dns.Root)
					if err != nil {
						return nil, err
					}
					m.Answer = []dns.Record{{Name: q.Name, Type: dns.TypeDSYNC, Class: dns.ClassIN, Data: data}}
					return m, nil
				}
				m.RCode = dns.RCodeNXDomain
				m.Authority = []dns.Record{dns.MustRecord(x.parent + " 60 IN SOA a. b. 9 2 3 4 5")}
				return m, nil
			}
			rs, err := discover(t.Context(), resolve, dns.MustName(x.child), dns.TypeCDS)
			if got := strings.Join(asked, " "); got != x.asked {
				t.Errorf("asked for %s, want %s", got, x.asked)
			}
			if x.want == "" {
				if err == nil {
					t.Errorf("found %v", rs)
				}
				return
			}
			if err != nil || len(rs) != 1 || rs[0].target.String() != x.want || rs[0].port != 5300 || rs[0].status != Proven {
				t.Errorf("found %+v: %v", rs, err)
			}
		})
	}
}

// TestBogusDiscovery finds nobody where the resolver does not believe the answer.
func TestBogusDiscovery(t *testing.T) {
	w := New(Options{Resolve: func(context.Context, dns.Question) (*dns.Message, error) {
		return &dns.Message{RCode: dns.RCodeServFail}, nil
	}})
	told, err := w.notify(t.Context(), notice{child: child.Name, kind: dns.TypeCDS})
	if len(told) > 0 || !strings.Contains(err, "SERVFAIL") {
		t.Errorf("told %v, error %q", told, err)
	}
	w = New(Options{Resolve: func(context.Context, dns.Question) (*dns.Message, error) { return nil, errors.New("resolver is down") }})
	if f := w.find(t.Context(), child.Name, nil); !strings.Contains(f.err, "resolver is down") {
		t.Errorf("found %+v", f)
	}
}

func TestParseReport(t *testing.T) {
	agent := dns.MustName("reports.ns.example.")
	for name, want := range map[string]string{
		"_er.59.child.example.22._er.reports.ns.example.":    "child.example. CDS 22",
		"_er.62.child.example.0._er.Reports.ns.example.":     "child.example. CSYNC 0",
		"_er.59.22._er.reports.ns.example.":                  ". CDS 22",
		"_er.59.child.example.22._er.reports.ns2.example.":   "",
		"_er.x.child.example.22._er.reports.ns.example.":     "",
		"_er.59.child.example.99999._er.reports.ns.example.": "",
		"child.example.22._er.reports.ns.example.":           "",
		"reports.ns.example.":                                "",
	} {
		r, ok := ParseReport(dns.MustName(name), agent)
		got := ""
		if ok {
			got = r.Name.String() + " " + r.Type.String() + " " + strconv.Itoa(int(r.Code))
		}
		if got != want {
			t.Errorf("%s reads as %q, want %q", name, got, want)
		}
	}
	w := New(Options{})
	w.Set(Zone{ID: child, Wanted: Wanted{DS: []dns.DS{testDS(t, 1)}}})
	w.Reported(child, Report{Name: child.Name, Type: dns.TypeCDS, Code: 22})
	if v, _ := w.State(child); !strings.Contains(codes(v.Findings), "notice:reported") {
		t.Errorf("findings%s", codes(v.Findings))
	}
	w.Reported(zone.IDOf("", dns.MustName("other.")), Report{Name: child.Name, Type: dns.TypeCDS})
	if _, ok := w.State(zone.IDOf("", dns.MustName("other."))); ok {
		t.Error("a report makes a zone")
	}
}
