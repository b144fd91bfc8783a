package catalog

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/zone"
)

// ErrNoCatalog says that a zone is no catalog that a Producer could change.
var ErrNoCatalog = errors.New("zone is not a catalog of schema version 2")

// Producer makes the changes of a catalog zone that this server produces. It has
// no state: what the catalog lists is looked up in the catalog, so that any node
// may make the next change. All changes of the zone go through a Producer.
type Producer struct {
	Catalog zone.ID
	// Random fills a slice with what nobody can foresee; nil: crypto/rand.
	Random func([]byte)
}

// Wish is how a zone is to be listed.
type Wish struct {
	Zone     dns.Name
	Groups   []string
	NewOwner dns.Name   // the catalog that may take it over (§4.3.1); the zero Name: none
	Custom   []Property // all of its custom properties
}

// Property is a custom property (§4.4): a record of any type under ext.
type Property struct {
	Name dns.Name // relative to ext, such as "metrics.vendor."
	Type dns.Type
	Data dns.RData
}

// Create returns the change that makes the catalog, without members, where there
// is no zone yet.
func (p *Producer) Create(by zone.Author) (zone.Change, error) {
	v, err := Empty(p.Catalog.Name)
	if err != nil {
		return zone.Change{}, err
	}
	return zone.Change{Zone: p.Catalog, By: doored(by), Replace: v, First: true}, nil
}

// Empty returns a catalog without members. Its SOA and NS records are for the
// sake of the zone alone (§4.1): nobody asks for them but secondaries.
func Empty(origin dns.Name) (*zone.Version, error) {
	version, err := origin.Child("version")
	if err != nil {
		return nil, fmt.Errorf("creating catalog %s: %w", origin, err)
	}
	invalid := dns.MustName("invalid.")
	b := zone.NewBuilder(origin)
	soa := dns.SOA{MName: invalid, RName: invalid, Serial: 1, Refresh: 3600, Retry: 600, Expire: 2147483646}
	for _, r := range []dns.Record{
		{Name: origin, Type: dns.TypeSOA, Data: soa.RData()},
		{Name: origin, Type: dns.TypeNS, Data: dns.NewTarget(invalid)},
		{Name: version, Type: dns.TypeTXT, Data: dns.NewTXT(schema)},
	} {
		r.Class = dns.ClassIN
		if err := b.Add(r); err != nil {
			return nil, fmt.Errorf("creating catalog %s: %w", origin, err)
		}
	}
	v, _ := b.Build()
	return v, nil
}

// Set lists zones, or changes how they are listed; those that are listed keep
// their labels.
func (p *Producer) Set(by zone.Author, wishes ...Wish) (zone.Change, error) {
	return p.change(by, wishes, func(e *editing) error { return e.setAll(wishes) })
}

// Sync makes wishes all that the catalog lists. It reads the whole catalog, but
// changes only what is different.
func (p *Producer) Sync(by zone.Author, wishes []Wish) (zone.Change, error) {
	return p.change(by, wishes, func(e *editing) error {
		keep := make(map[dns.Name]bool, len(wishes))
		for _, w := range wishes {
			keep[w.Zone.Fold()] = true
		}
		var gone []dns.Name
		for n := range e.View().Subtree([]byte(e.zones.Wire())) {
			// A node that is not what label makes is a stranger's; its zone gets one of ours.
			if m, ok := e.listed(n); ok && (!keep[m.Zone] || !strings.HasPrefix(m.Label, prefix(m.Zone))) {
				gone = append(gone, n.Name())
			}
		}
		for _, node := range gone {
			e.removeBelow(node)
		}
		return e.setAll(wishes)
	})
}

// Remove lists zones no more.
func (p *Producer) Remove(by zone.Author, zones ...dns.Name) (zone.Change, error) {
	return p.change(by, nil, func(e *editing) error {
		for _, z := range zones {
			if node, ok := e.find(z); ok {
				e.removeBelow(node)
			}
		}
		return nil
	})
}

// Reset gives zones that are listed another label, so that consumers forget what
// they have of them and get it anew (§5.6). Custom properties stay.
func (p *Producer) Reset(by zone.Author, zones ...dns.Name) (zone.Change, error) {
	return p.change(by, nil, func(e *editing) error {
		for _, z := range zones {
			node, ok := e.find(z)
			if !ok {
				return fmt.Errorf("resetting %s in catalog %s: %w", z, p.Catalog, zone.ErrUnknown)
			}
			if err := e.rename(node, z); err != nil {
				return err
			}
		}
		return nil
	})
}

func doored(by zone.Author) zone.Author {
	if by.Door == "" {
		by.Door = zone.DoorCatalog
	}
	return by
}

// change returns the change that edit makes.
func (p *Producer) change(by zone.Author, wishes []Wish, edit func(*editing) error) (zone.Change, error) {
	for _, w := range wishes {
		if err := w.check(); err != nil {
			return zone.Change{}, fmt.Errorf("changing catalog %s: %w", p.Catalog, err)
		}
	}
	fill := p.Random
	if fill == nil {
		fill = func(b []byte) { _, _ = rand.Read(b) } // never fails
	}
	return zone.Change{Zone: p.Catalog, By: doored(by), Edit: func(ed *zone.Editor) error {
		r := newReader(ed.View())
		if r.version(); r.err() != nil {
			return fmt.Errorf("changing %s: %w: %w", p.Catalog, ErrNoCatalog, r.err())
		}
		return edit(&editing{Editor: ed, zones: r.zones, fill: fill})
	}}, nil
}

func (w Wish) check() error {
	switch {
	case w.Zone.IsZero():
		return errors.New("a member has no name")
	case len(w.Groups) > maxGroups:
		return fmt.Errorf("%s has %d groups, expected at most %d", w.Zone, len(w.Groups), maxGroups)
	case slices.ContainsFunc(w.Groups, func(g string) bool { return g == "" || len(g) > maxGroupLen }):
		return fmt.Errorf("%s has a group of no or more than %d octets", w.Zone, maxGroupLen)
	}
	return nil
}

// Labels are made of a hash of the zone's name, so that a zone is found in the
// catalog without an index, and of what is drawn by lot, so that a zone that
// comes back is another one.
var labelCoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const lotLen = 4 // octets

// prefix returns what the labels of a zone begin with.
func prefix(name dns.Name) string {
	sum := sha256.Sum256([]byte(name.Fold().Wire()))
	return labelCoding.EncodeToString(sum[:15]) + "-"
}

func (e *editing) newLabel(name dns.Name) string {
	var lot [lotLen]byte
	e.fill(lot[:])
	return prefix(name) + labelCoding.EncodeToString(lot[:])
}
