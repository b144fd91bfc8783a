package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/zone"
	"onoma/zone/sign"
)

// rig is a server with one zone, on a clock of its own.
type rig struct {
	t      *testing.T
	now    time.Time
	off    time.Duration // of the clock of the system
	z      *zone.Zone
	id     zone.ID
	k      *Keeper
	s      *Zone
	dir    string
	saved  []byte
	fail   error         // of the next changes
	slow   time.Duration // that each takes
	full   error         // of the disk
	which  string        // of the changes that fail; "": all
	has    func(zone.ID) (serial uint32, ok bool)
	steps  int
	doings []string // "write" and "version", in their order

	parent struct {
		isDeaf bool // never does what CDS say
		isMute bool // answers nobody
		delay  time.Duration
		ds     []dns.DS
		asked  []dns.DS
		since  time.Time
	}
}

var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newRig(t *testing.T, s Settings) *rig {
	t.Helper()
	origin := dns.MustName("example.com.")
	r := &rig{t: t, now: begin, id: zone.IDOf("", origin), z: zone.New(origin), dir: t.TempDir() + "/keys"}
	r.parent.delay = time.Hour
	r.start(s)
	return r
}

// start starts the server, again where it has been.
func (r *rig) start(s Settings) {
	store, err := keystore.Open(keystore.Options{Dir: r.dir, Clock: func() time.Time { return r.now }})
	if err != nil {
		r.t.Fatal(err)
	}
	clock := NewSteady(func() time.Time { return r.now.Add(r.off) }, func() time.Duration { return r.now.Sub(begin) + time.Hour })
	r.k = New(Options{
		InSync: r.has,
		Submit: r.submit, Zone: func(zone.ID) *zone.Zone { return r.z }, Store: store, Clock: clock, Parents: r, Log: slog.New(slog.DiscardHandler),
		Load: func(context.Context, zone.ID) ([]byte, error) { return r.saved, nil },
		Save: func(_ context.Context, _ zone.ID, data []byte) error {
			r.doings = append(r.doings, "write")
			if r.full == nil {
				r.saved = slices.Clone(data)
			}
			return r.full
		},
	})
	if r.s, err = r.k.Add(r.t.Context(), r.id, s); err != nil {
		r.t.Fatal(err)
	}
}

// submit does what the pipeline does.
func (r *rig) submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	c := changes[0]
	if r.fail != nil && (r.which == "" || r.which == c.By.Comment) {
		return nil, r.fail
	}
	head := r.z.Latest()
	var next *zone.Version
	if head == nil {
		v, err := r.s.Whole(ctx, c.Replace, nil, r.now)
		if err != nil {
			return nil, err
		}
		next = v
	} else {
		e := head.Edit()
		defer e.Discard()
		if err := c.Edit(e); err != nil {
			return nil, err
		}
		soa := head.SOA()
		data := slices.Clone(soa.First())
		dns.SetSOASerial(data, head.Serial()+1)
		if _, err := e.Add(dns.Record{Name: r.id.Name, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: soa.TTL(), Data: data}); err != nil {
			return nil, err
		}
		if err := r.s.Sign(ctx, e, head, c.By, r.now, false); err != nil {
			return nil, err
		}
		v, err := e.Commit()
		if err != nil {
			return nil, err
		}
		next = v
	}
	r.now = r.now.Add(r.slow)
	r.z.Publish(next)
	r.doings = append(r.doings, "version")
	r.steps++
	r.k.Published(zone.Receipt{Zone: r.id, Serial: next.Serial(), Changed: true, By: c.By})
	return nil, nil
}

// write brings the first content, or adds a record.
func (r *rig) write(text string) error {
	records := parse(r.t, text)
	if r.z.Latest() == nil {
		b := zone.NewBuilder(r.id.Name)
		for _, rec := range records {
			if err := b.Add(rec); err != nil {
				r.t.Fatal(err)
			}
		}
		v, _ := b.Build()
		r.s.Takes(v)
		_, err := r.submit(r.t.Context(), zone.Change{Zone: r.id, By: zone.Author{Door: zone.DoorFile}, Replace: v})
		r.s.Took(err == nil)
		return err
	}
	_, err := r.submit(r.t.Context(), zone.Change{Zone: r.id, By: zone.Author{Door: zone.DoorUpdate}, Edit: func(e *zone.Editor) error {
		for _, rec := range records {
			if _, err := e.Add(rec); err != nil {
				return err
			}
		}
		return nil
	}})
	return err
}

func parse(t *testing.T, text string) (out []dns.Record) {
	t.Helper()
	for _, line := range splitLines(text) {
		rec, err := dns.ParseRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rec)
	}
	return out
}

func splitLines(text string) (lines []string) {
	start := 0
	for i := range len(text) {
		if text[i] == '\n' {
			if i > start {
				lines = append(lines, text[start:i])
			}
			start = i + 1
		}
	}
	if start < len(text) {
		lines = append(lines, text[start:])
	}
	return lines
}

// Want, Seen and Forget are a parent that does what CDS say after a delay.
func (r *rig) Want(_ zone.ID, w Wish) {
	same := slices.EqualFunc(r.parent.asked, w.CDS, func(a, b dns.DS) bool { return string(a.RData()) == string(b.RData()) })
	if w.IsTold && !same {
		r.parent.asked, r.parent.since = w.CDS, r.now
	}
}

func (r *rig) Seen(zone.ID) keys.Parent {
	p := &r.parent
	if !p.isDeaf && !p.since.IsZero() && r.now.Sub(p.since) >= p.delay {
		p.ds = nil
		for _, d := range p.asked {
			if d.Algorithm != 0 { // RFC 8078 §4
				p.ds = append(p.ds, d)
			}
		}
	}
	if p.isMute {
		return keys.Parent{}
	}
	out := keys.Parent{At: r.now, Asked: 2, Answered: 2, TTL: time.Hour, NegativeTTL: time.Hour}
	for _, d := range p.ds {
		out.DS = append(out.DS, keys.SeenDS{DS: d, Servers: 2})
	}
	return out
}

func (r *rig) Forget(zone.ID) {}

// pass lets time go by: the zone is tended when it wants to be, and each hour, and looked at each time.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		r.k.Wake(r.id)
		next := r.k.Tend(r.t.Context())
		r.check()
		if most := r.now.Add(min(time.Hour, d/10)); next.IsZero() || next.After(most) {
			next = most
		} else if !next.After(r.now) {
			next = r.now.Add(time.Second)
		}
		r.now = next
	}
}

// check looks at what is served: it must be good in itself, and by a DS of the parent.
func (r *rig) check() {
	r.t.Helper()
	v := r.z.Current()
	if v == nil || r.view().IsPassive {
		return
	}
	o := sign.VerifyOptions{At: r.now, Compact: r.s.plan != nil && r.s.plan.Denial.Kind == sign.Compact}
	for _, d := range r.parent.ds {
		o.Anchors = append(o.Anchors, dns.Record{Name: r.id.Name, Type: dns.TypeDS, Class: dns.ClassIN, Data: d.RData()})
	}
	if _, ok := v.Apex().RRset(dns.TypeDNSKEY); !ok {
		if len(o.Anchors) > 0 {
			r.t.Fatalf("at %s the parent has a DS and the zone is unsigned", r.now)
		}
		return
	}
	for _, f := range sign.Verify(v, o) {
		if f.Severity == zone.Error {
			r.t.Fatalf("at %s (%v after the beginning): %s", r.now, r.now.Sub(begin), f)
		}
	}
}

func (r *rig) view() View {
	v, ok := r.k.View(r.id, r.now.Add(90*24*time.Hour))
	if !ok {
		r.t.Fatal("the zone is not signed here")
	}
	return v
}

// explain is for failures.
func (r *rig) explain() string {
	v := r.view()
	out := fmt.Sprintf("at %s, after %v:\n", r.now, r.now.Sub(begin))
	for _, k := range v.Keys {
		out += fmt.Sprintf("  %s %v %v lost=%v\n", k.ID, k.Phase(), k.Records, k.Lost)
	}
	for _, w := range v.Waits {
		out += fmt.Sprintf("  waits: %s until %v\n", w.Text, w.Until)
	}
	for _, a := range v.Alarms {
		out += "  alarm: " + a + "\n"
	}
	return out
}

var errDisk = errors.New("no space left on device")
