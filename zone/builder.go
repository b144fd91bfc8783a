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
	names, nsec3 := b.inOrder(&b.names), b.inOrder(&b.nsec3)
	if !b.hasSOA(names) {
		b.findings.add(Finding{
			Severity: Error, Code: "no-soa", Name: b.v.origin, Type: dns.TypeSOA,
			Text: "the zone has no SOA record at its apex", Cure: "add one, and check the origin",
		})
		return nil, b.findings.sorted()
	}
	b.findChain()
	splits := b.assemble(names, nsec3)
	v := b.v
	if b.garbage > v.live/8 {
		v, splits = v.compact(), nil
	}
	if err := b.err(); err != nil {
		b.findings.add(Finding{Severity: Error, Code: "too-large", Name: v.origin, Text: err.Error(), Cure: "split the zone"})
		return nil, b.findings.sorted()
	}
	b.findings.checkParts(v, splits)
	return v, b.findings.sorted()
}

// assemble makes the tries of names in order, and returns at which names the
// work was split.
func (b *Builder) assemble(names, nsec3 runs) (splits []uint32) {
	if b.team != nil {
		return b.team.assemble(names, nsec3)
	}
	b.w.Expect((names.len() + nsec3.len()) * 3 / 2)
	a := newAssembly(&b.edit)
	a.addRuns(names)
	a.finishNames()
	a.addHashedRuns(nsec3)
	a.finish()
	return nil
}

// err returns why the zone is too large, if it is.
func (b *Builder) err() error {
	if b.team != nil {
		return b.team.err()
	}
	return b.w.Err()
}

// hasSOA looks at the first name, and makes it the apex.
func (b *Builder) hasSOA(names runs) bool {
	if names.len() == 0 {
		return false
	}
	first := names.first()
	b.v.apex = qp.Leaf{Flags: first.flags, Ref: first.ref}
	b.sync()
	soa, ok := b.v.Apex().RRset(dns.TypeSOA)
	if !ok || first.flags&flagApex == 0 {
		return false
	}
	b.v.serial = dns.SOASerial(soa.First())
	return true
}
