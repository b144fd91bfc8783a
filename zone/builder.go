package zone

import (
	"bytes"

	"onoma/dns"
	"onoma/zone/qp"
)

// Builder makes a version from records in any order; grouped by owner and in
// canonical order is quickest.
type Builder struct {
	edit
	owner   []byte // of the records being gathered, with the origin
	outside bool   // owner is not in the zone
	plain   draft  // owner's records
	hashed  draft  // owner's NSEC3 records and what covers those: a namespace of their own (RFC 5155 §7.2.8)

	names, nsec3 fragments
	garbage      int // octets of entries that were merged or belong to nothing
	findings     findings
	team         *team // nil, or who else builds
	copies       bool  // entries are written anew, and the old ones will go
}

// NewBuilder returns a Builder for the zone origin. The first record says what
// class the zone is of.
func NewBuilder(origin dns.Name) *Builder {
	b := &Builder{}
	b.v = &Version{id: newVersionID(), origin: origin}
	b.w = qp.NewWriter(&qp.Space{}, false)
	b.share = newInterner(origin)
	b.hosts = newHostWriter(hostTable{})
	return b
}

// Add takes one record and copies what it needs of it. A record that cannot be
// in the zone is left out and becomes a finding; the error is for a zone that
// has grown beyond what a version can hold.
func (b *Builder) Add(r dns.Record) error {
	if err := dns.CheckRData(r.Type, r.Data); err != nil || len(r.Data) > 0xFFFF {
		b.findings.add(Finding{
			Severity: Error, Code: "bad-rdata", Name: r.Name, Type: r.Type,
			Text: "malformed rdata", Cure: "write the record anew",
		})
		return nil
	}
	var owner [dns.MaxNameLen]byte
	return b.add(r.Name.Append(owner[:0]), r.Type, r.Class, r.TTL, r.Data)
}

// add is Add for an owner in wire form and rdata known to be well-formed.
func (b *Builder) add(owner []byte, t dns.Type, class dns.Class, ttl uint32, rdata []byte) error {
	if !bytes.Equal(owner, b.owner) && !dns.EqualNames(owner, b.owner) {
		b.open(owner)
	}
	if b.v.class == 0 {
		b.v.class = class
	}
	if b.outside || class != b.v.class || t.IsMeta() {
		b.refuse(t, class)
		return b.w.Err()
	}
	d := &b.plain
	if t == dns.TypeNSEC3 || t == dns.TypeRRSIG && dns.SigCovers(rdata) == dns.TypeNSEC3 {
		d = &b.hashed
	}
	if d.full = d.full || !d.hasRoom(t, rdata); !d.full {
		d.add(t, ttl, rdata)
	}
	return b.w.Err()
}

// open begins with another owner.
func (b *Builder) open(owner []byte) {
	b.flush()
	b.owner = append(b.owner[:0], owner...)
	b.outside = !b.v.has(owner)
}

// refuse says why a record is not taken.
func (b *Builder) refuse(t dns.Type, class dns.Class) {
	name, _ := dns.NameFromWire(b.owner)
	f := Finding{Severity: Error, Name: name, Type: t}
	switch {
	case b.outside:
		// As named-checkzone does: a warning, and the record is left out.
		f.Severity, f.Code = Warning, "out-of-zone"
		f.Text = "the name is not in the zone; the record is left out"
		f.Cure = "remove it, or check the origin and final dots"
	case t.IsMeta():
		f.Code, f.Text, f.Cure = "meta-type", "the type exists in questions and messages only", "remove the record"
	default:
		f.Code = "wrong-class"
		f.Text = "the class is " + class.String() + ", that of the zone is " + b.v.class.String()
		f.Cure = "give all records the class of the zone"
	}
	b.findings.add(f)
}

// flush stores the records of the owner that ends here.
func (b *Builder) flush() {
	rel := b.v.relative(b.owner)
	b.store(&b.plain, rel, &b.names)
	b.store(&b.hashed, rel, &b.nsec3)
}

func (b *Builder) store(d *draft, rel []byte, to *fragments) {
	if len(d.sets) == 0 {
		return
	}
	d.tidy()
	b.findings.draft(b.v, d, rel)
	ref, flags := d.write(b.w, b.share, rel)
	b.v.records += d.records()
	d.reset()
	b.key.Set(rel)
	to.add(&b.w.Space, fragment{b.key.Prefix(), ref, flags})
}

// single returns the name whose fragments are parts, all in one entry.
func (b *Builder) single(parts []fragment) fragment {
	if len(parts) > 1 {
		return b.join(parts)
	}
	if b.copies {
		return b.copy(parts[0])
	}
	return parts[0]
}

// copy writes the entry of a name anew.
func (b *Builder) copy(f fragment) fragment {
	old := b.w.At(f.ref)
	n := entryLen(old)
	ref, entry := b.w.Alloc(n)
	copy(entry, old[:n])
	f.ref = ref
	return f
}

func (b *Builder) join(parts []fragment) fragment {
	d, name := &b.plain, b.name(parts[0].ref)
	for _, f := range parts {
		d.load(&b.w.Space, f.ref)
		b.garbage += entryLen(b.w.At(f.ref))
	}
	b.v.records -= d.records() + d.lost
	d.tidy()
	b.v.records += d.records()
	b.findings.draft(b.v, d, name)
	ref, flags := d.write(b.w, b.share, name)
	d.reset()
	return fragment{parts[0].prefix, ref, flags}
}

// Build returns the version and all findings, errors first. The version is nil
// where it could not be served at all: without a SOA record, or too large. The
// Builder is spent.
func (b *Builder) Build() (*Version, []Finding) {
	b.flush()
	b.share.settle()
	workers := b.workers()
	names, nsec3 := b.names.order(&b.w.Space, workers), b.nsec3.order(&b.w.Space, workers)
	apex, ok := b.makeApex(names)
	if !ok {
		b.findings.add(Finding{
			Severity: Error, Code: "no-soa", Name: b.v.origin, Type: dns.TypeSOA,
			Text: "the zone has no SOA record at its apex", Cure: "add one, and check the origin",
		})
		return nil, b.findings.sorted()
	}
	splits := b.assemble(apex, names, nsec3)
	v := b.v
	if b.garbage > v.live/8 {
		v, splits = v.compact(), nil
	}
	if err := b.err(); err != nil {
		b.findings.add(Finding{Severity: Error, Code: "too-large", Name: v.origin, Text: err.Error(), Cure: "split the zone"})
		return nil, b.findings.sorted()
	}
	var blocks []uint32
	if len(splits) > 0 {
		blocks = v.line.blocks
	}
	b.findings.checkParts(v, splits, blocks)
	return v, b.findings.sorted()
}

// assemble makes the tries, and returns at which names the work was split.
func (b *Builder) assemble(apex fragment, names, nsec3 ordered) (splits []uint32) {
	if b.team != nil {
		return b.team.assemble(apex, names, nsec3)
	}
	b.w.Expect((names.len() + nsec3.len()) * 3 / 2)
	a := newAssembly(&b.edit)
	a.add(apex.ref, apex.flags)
	b.addNames(a, names)
	a.finishNames()
	b.addHashed(a, nsec3)
	a.finish()
	return nil
}

// addNames appends names to a, each one made one entry.
func (b *Builder) addNames(a *assembly, names ordered) {
	names.each(&b.w.Space, func(parts []fragment) {
		f := b.single(parts)
		a.add(f.ref, f.flags)
	})
}

// addHashed is addNames for owners of NSEC3 records.
func (b *Builder) addHashed(a *assembly, owners ordered) {
	owners.each(&b.w.Space, func(parts []fragment) {
		f := b.single(parts)
		a.sync()
		a.addNSEC3(f.ref, f.flags)
	})
}

// workers returns how many goroutines build.
func (b *Builder) workers() int {
	if b.team != nil {
		return len(b.team.helpers)
	}
	return 1
}

// err returns why the zone is too large, if it is.
func (b *Builder) err() error {
	if b.team != nil {
		return b.team.err()
	}
	return b.w.Err()
}

// makeApex takes the apex from names, looks at it, and reports whether it has a SOA.
func (b *Builder) makeApex(names ordered) (apex fragment, ok bool) {
	parts := names.takeApex()
	if len(parts) == 0 {
		return apex, false
	}
	if apex = parts[0]; len(parts) > 1 {
		apex = b.join(parts)
		b.share.settle()
	}
	b.v.apex = qp.Leaf{Flags: apex.flags, Ref: apex.ref}
	b.findChain()
	soa, ok := b.v.Apex().RRset(dns.TypeSOA)
	if ok {
		b.v.serial = dns.SOASerial(soa.First())
	}
	return apex, ok
}
