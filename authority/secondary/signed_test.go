package secondary

import (
	"context"
	"errors"
	"testing"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// inline is a pipeline that signs: its versions have serial numbers of their own, and
// what the signer owns is its alone. Its signatures are a mark.
type inline struct{ *memory }

func (inline) Owns(_ dns.Name, t dns.Type) bool {
	return t == dns.TypeRRSIG || t == dns.TypeNSEC || t == dns.TypeDNSKEY
}

var mark = dns.MustRecord(`secondary.example. 300 IN DNSKEY 257 3 13 bWFyaw==`)

// Submit takes what authors bring, and gives the version the next number here.
func (k inline) Submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	for i := range changes {
		c := &changes[i]
		_, head, _ := k.Head(c.Zone)
		edit := c.Edit
		if c.Replace != nil {
			next := c.Replace
			if head == nil {
				head = next
			}
			edit = func(e *zone.Editor) error { return e.ApplyDelta(k.unsigned(zone.Diff(head, next))) }
			if e := head.Fork(); k.head(c.Zone) == nil {
				v, err := k.sign(e, next.Serial())
				if err != nil {
					return nil, err
				}
				c.Replace, edit = v, nil
			}
		}
		if edit != nil {
			serial := head.Serial() + 1
			c.Replace, c.Edit = nil, func(e *zone.Editor) error {
				if err := edit(e); err != nil {
					return err
				}
				return stamp(e, serial)
			}
		}
	}
	return k.memory.Submit(ctx, changes...)
}

func (k inline) head(id zone.ID) *zone.Version {
	_, v, _ := k.Head(id)
	return v
}

func (k inline) sign(e *zone.Editor, serial uint32) (*zone.Version, error) {
	if err := stamp(e, serial); err != nil {
		return nil, err
	}
	return e.Commit()
}

// stamp sets the serial number and the mark.
func stamp(e *zone.Editor, serial uint32) error {
	if _, err := e.Add(soa(serial)); err != nil {
		return err
	}
	_, err := e.Add(mark)
	return err
}

func (k inline) unsigned(d zone.Delta) (out zone.Delta) {
	for _, r := range d.Removed {
		if !k.Owns(r.Name, r.Type) {
			out.Removed = append(out.Removed, r)
		}
	}
	for _, r := range d.Added {
		if !k.Owns(r.Name, r.Type) {
			out.Added = append(out.Added, r)
		}
	}
	return out
}

// resign makes a version as the signer does.
func (k inline) resign(t testing.TB) {
	t.Helper()
	_, v, _ := k.Head(id)
	_, err := k.memory.Submit(t.Context(), zone.Change{Zone: id, By: zone.Author{Door: zone.DoorSigner}, Edit: func(e *zone.Editor) error { return stamp(e, v.Serial()+1) }})
	if err != nil {
		t.Fatal(err)
	}
}

// LastAuthor looks through what was submitted.
func (k inline) LastAuthor(_ context.Context, of zone.ID, above uint64) (by zone.Author, number uint64, serial uint32, ok bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.seen); uint64(i) > above; i-- {
		if c := k.seen[i-1]; c.By.Door != zone.DoorSigner {
			return c.By, uint64(i), 0, true, nil
		}
	}
	return by, 0, 0, false, nil
}

// primaryOf starts a primary, and a secondary that signs what it gives.
func signedRig(t testing.TB) (*primary, inline, ZoneConfig, func(saved []byte) *rig) {
	p := startPrimary(t, authority.Options{}, build(t, 100, 50, `x.secondary.example. 300 IN NSEC y.secondary.example. A`))
	k := inline{newMemory()}
	k.add(id, nil)
	cfg := ZoneConfig{ID: id, Signer: k, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}}}
	return p, k, cfg, func(saved []byte) *rig {
		r := newRig(t, func(o *Options) { o.Zones = k })
		c := cfg
		c.Saved = saved
		r.Add(c)
		return r
	}
}

// A zone that is signed here goes by the primary's serial numbers, however many
// versions the signer makes between them.
func TestSignedHere(t *testing.T) {
	p, k, cfg, start := signedRig(t)
	r := start(nil)
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 100)
	for range 20 {
		k.resign(t)
	}
	v := p.change(t, func(e *zone.Editor) error {
		e.Remove(record("n7.secondary.example. 300 IN A 192.0.2.7"))
		e.Remove(record("x.secondary.example. 300 IN NSEC y.secondary.example. A"))
		_, err := e.Add(record("new.secondary.example. 300 IN A 192.0.2.77"))
		return err
	})
	r.Notified(authority.Notice{Zone: origin, From: cfg.Primaries[0].Addr, Serial: v.Serial(), HasSerial: true})
	st := awaitSerial(t, r.Secondary, id, 101)
	if !st.Signed {
		t.Error("the state does not say that the zone is signed here")
	}
	now := k.head(id)
	if now.Serial() != 121 {
		t.Errorf("the serial number here is %d, expected 121: the 22nd version from 100", now.Serial())
	}
	if got := now.Find([]byte(dns.MustName("n7.secondary.example.").Wire())); !got.IsZero() {
		t.Error("what the primary has removed is still there")
	}
	if !now.Apex().Has(dns.TypeDNSKEY) {
		t.Error("the signer's records are gone")
	}
	reports := r.reports()
	if last := reports[len(reports)-1]; last.Kind != authority.Incremental || last.From != 100 || last.To != 101 {
		t.Errorf("the change came as %+v, expected a difference from 100 to 101", last)
	}
	if by := k.seen[len(k.seen)-1].By; by.Comment != "version 101 of the primary" {
		t.Errorf("the version's author says %q", by.Comment)
	}
}

// The primary's serial number is known after a restart: from the state, from the
// history where the state is older, and where neither tells the zone is fetched whole.
func TestSignedHereRestarts(t *testing.T) {
	p, k, _, start := signedRig(t)
	r := start(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	awaitSerial(t, r.Secondary, id, 100)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	state := r.saved[id]
	k.resign(t)
	p.change(t, func(e *zone.Editor) error {
		_, err := e.Add(record("a.secondary.example. 300 IN A 192.0.2.1"))
		return err
	})
	next := func(name string, saved []byte, want authority.TransferKind, from, to uint32) {
		t.Helper()
		r := start(saved)
		r.Refresh(id)
		run(t, r.Secondary)
		awaitSerial(t, r.Secondary, id, to)
		last := r.reports()
		if len(last) == 0 || last[len(last)-1].Kind != want || last[len(last)-1].From != from {
			t.Errorf("%s: %+v, expected %s from %d", name, last, want, from)
		}
	}
	next("by the state", state, authority.Incremental, 100, 101)
	p.change(t, func(e *zone.Editor) error {
		e.RemoveName(dns.MustName("a.secondary.example."))
		return nil
	})
	next("by the history, for the state is older", state, authority.Incremental, 101, 102)
	p.change(t, func(e *zone.Editor) error {
		_, err := e.Add(record("b.secondary.example. 300 IN A 192.0.2.1"))
		return err
	})
	next("by the history alone", nil, authority.Incremental, 102, 103)
	_, err := k.Submit(t.Context(), zone.Change{Zone: id, By: zone.Author{Door: zone.DoorRollback}, Edit: func(e *zone.Editor) error {
		e.RemoveName(dns.MustName("b.secondary.example."))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	next("behind a rollback", state, authority.Whole, 0, 103)
	if k.head(id).Find([]byte(dns.MustName("b.secondary.example.").Wire())).IsZero() {
		t.Error("what the rollback has taken is not there again")
	}
}

// A pipeline that has to see all of the zone gets all of it.
func TestSignedHereNeedsWhole(t *testing.T) {
	p, k, cfg, start := signedRig(t)
	r := start(nil)
	run(t, r.Secondary)
	awaitSerial(t, r.Secondary, id, 100)
	k.mu.Lock()
	k.refuse = errors.Join(zone.ErrUnfit)
	k.mu.Unlock()
	p.change(t, func(*zone.Editor) error { return nil })
	r.Notified(authority.Notice{Zone: origin, From: cfg.Primaries[0].Addr, Serial: 101, HasSerial: true})
	await(t, r.Secondary, id, "the whole zone being asked for", func(State) bool {
		reports := r.reports()
		return len(reports) > 2 && !reports[len(reports)-1].IXFR
	})
}

func TestSavedSource(t *testing.T) {
	m := &member{signer: inline{}, source: source{number: 1 << 40, serial: 4294967295, known: true}, tries: 3}
	b := m.save()
	if s, ok := readSaved(b); !ok || s.source != m.source || s.tries != 3 {
		t.Errorf("read %+v, %v", s, ok)
	}
	for n := range b {
		if s, ok := readSaved(b[:n]); ok {
			t.Errorf("%d of %d octets are read as %+v", n, len(b), s)
		}
	}
}
