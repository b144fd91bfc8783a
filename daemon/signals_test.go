package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/signer/parent"
	"onoma/zone"
)

// hosting is the zones of a hoster of very many, whose name servers are in one zone of its own.
type hosting struct {
	*signals
	looks    atomic.Int64 // at children
	changes  atomic.Int64
	zone     *zone.Zone
	isSigned atomic.Bool
	secure   atomic.Bool // all parents have the DS
}

const (
	cdsText = "1 13 2 0000000000000000000000000000000000000000000000000000000000000000"
	keyText = "257 3 13 sJJj9Jm4UhpJkT+hehXah01mhzYuNQZfBad0IZyoMurMLb+q5uGVgbEmjtY6dspeqmR6bIL75l2H6J5YhUPp4g=="
)

var hosterNS = []dns.Name{dns.MustName("ns1.hoster.example."), dns.MustName("ns2.hoster.example.")}

func newHosting(t *testing.T) *hosting {
	h := &hosting{zone: zone.New(dns.MustName("hoster.example."))}
	h.isSigned.Store(true)
	origin := h.zone.Origin()
	const text = "$TTL 60\n@ SOA ns1 h 1 7200 900 86400 60\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n"
	v, _, err := zone.Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin}), origin)
	if err != nil {
		t.Fatal(err)
	}
	h.zone.Publish(v)
	cds, cdnskey := dns.MustRecord("x. 1 IN CDS "+cdsText).Data, dns.MustRecord("x. 1 IN CDNSKEY "+keyText).Data
	h.signals = (&signals{
		log: slog.New(slog.DiscardHandler),
		child: func(id zone.ID) (parent.Child, bool) {
			h.looks.Add(1)
			c := parent.Child{Name: id.Name, TTL: signalTTL, NS: hosterNS}
			if !h.secure.Load() {
				c.CDS, c.CDNSKEY = []dns.RData{cds}, []dns.RData{cdnskey}
			}
			return c, strings.HasSuffix(id.Name.String(), ".customer.test.")
		},
		provider: func(name dns.Name) (parent.Provider, bool) {
			return parent.Provider{ID: zone.IDOf("", origin), Version: h.zone.Current(), IsSigned: h.isSigned.Load()}, name.IsSubdomainOf(origin)
		},
		submit: func(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
			for _, c := range changes {
				h.changes.Add(1)
				h.edit(t, c.By, c.Edit)
			}
			return nil, nil
		},
	}).init()
	return h
}

// edit makes a version of the hoster's zone.
func (h *hosting) edit(t *testing.T, by zone.Author, edit func(*zone.Editor) error) {
	t.Helper()
	e := h.zone.Current().Edit()
	if err := edit(e); err != nil {
		t.Fatal(err)
	}
	v, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	h.zone.Publish(v)
	h.published(&zone.Receipt{Zone: zone.IDOf("", h.zone.Origin()), By: by}, h.isSigned.Load())
}

func customer(n int) zone.ID {
	return zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.customer.test.", n)))
}

// there counts the names with signals.
func (h *hosting) there() (n int) {
	for node := range h.zone.Current().Nodes() {
		if node.Has(dns.TypeCDS) {
			n++
		}
	}
	return n
}

func (h *hosting) expect(t *testing.T, what string, looks int64, there int) {
	t.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	if got := h.looks.Swap(0); got > looks {
		t.Errorf("%s: %d looks at zones, expected %d at most", what, got, looks)
	}
	if got := h.there(); got != there {
		t.Errorf("%s: %d signals are there, expected %d", what, got, there)
	}
}

// TestSignalsOfMany: what is done is in proportion to what has changed.
func TestSignalsOfMany(t *testing.T) {
	const many = 3000
	synctest.Test(t, func(t *testing.T) {
		h := newHosting(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = h.run(ctx) }()
		for n := range many {
			h.look(customer(n))
		}
		h.expect(t, "all zones are new", many, 2*many)
		if n := h.changes.Swap(0); n > 2*many/500+6 {
			t.Errorf("%d changes of the provider's zone", n)
		}
		for range 5 {
			h.look(customer(7))
		}
		h.expect(t, "one zone changes", 1, 2*many)
		h.secure.Store(true)
		h.look(customer(7))
		h.expect(t, "one parent has the DS", 1, 2*many-2)
		h.secure.Store(false)
		h.forget(customer(8).Name, hosterNS)
		h.expect(t, "a zone is gone", 0, 2*many-4)
		h.edit(t, zone.Author{Door: zone.DoorFile}, func(e *zone.Editor) error {
			owner, err := parent.SignalName(customer(9).Name, hosterNS[0])
			e.RemoveRRset(owner, dns.TypeCDS)
			return err
		})
		h.expect(t, "the provider's zone is written anew, without signals", many, 2*many-4)
	})
}

// TestSignalsWaitForTheProvider: below a name server whose zone is not signed a signal proves nothing; once it is signed, it does.
func TestSignalsWaitForTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHosting(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = h.run(ctx) }()
		h.isSigned.Store(false)
		h.look(customer(1), customer(2), zone.IDOf("", dns.MustName("unknown.test.")))
		h.expect(t, "the provider is not signed", 3, 0)
		h.isSigned.Store(true)
		h.edit(t, zone.Author{Door: zone.DoorSigner}, func(*zone.Editor) error { return nil })
		h.expect(t, "the provider is signed", 2, 4)
		h.secure.Store(true)
		time.Sleep(2 * sweepEvery)
		h.expect(t, "days later", 100, 0)
	})
}
