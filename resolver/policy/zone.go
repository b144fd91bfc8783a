package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"onoma/dns"
)

// Zone is a policy zone ready for use (RPZ).
type Zone struct {
	origin   dns.Name
	soa      dns.Record
	override Action
	target   dns.Name
	maxTTL   uint32
	ede      dns.EDECode
	signal   bool
	again    bool
	byName   names                         // QNAME
	byServer names                         // NSDNAME
	byAddr   [ByServerAddress + 1]prefixes // of the triggers by address
	data     dataSets
	rules    int
	problems Problems
}

// ZoneOptions say how a policy zone is to be taken.
type ZoneOptions struct {
	Origin   dns.Name
	Override Action   // in place of what the rules say; None: as they say. [Data] with Target: a CNAME to it
	Target   dns.Name // of Override
	MaxTTL   uint32   // of the records that the rules answer with, in seconds; 0: no limit

	EDE    dns.EDECode // that goes with what is blocked; 0: Blocked
	Signal bool        // NXDOMAIN by a rule has RA clear, by which a client can tell it from a true one
}

// ZoneBuilder compiles a policy zone out of its records, in whatever order. It belongs to one goroutine.
type ZoneBuilder struct {
	zone    *Zone
	in      interner
	owner   dns.Name // of the records in pending
	pending []byte
	count   int
	buf     [2][256]byte
}

// NewZone begins a policy zone.
func NewZone(o ZoneOptions) (*ZoneBuilder, error) {
	if o.Origin.IsZero() || o.Origin.IsRoot() {
		return nil, errors.New("a policy zone needs a name, expected one below the root such as rpz.example")
	}
	if o.Override >= numActions || (o.Override == Data) == o.Target.IsZero() {
		return nil, errors.New("an override by data needs a target and no other has one")
	}
	z := &Zone{origin: o.Origin.Fold(), override: o.Override, target: o.Target, maxTTL: o.MaxTTL, ede: o.EDE, signal: o.Signal, byName: newNames(), byServer: newNames()}
	return &ZoneBuilder{zone: z}, nil
}

// Add takes one record. A rule that makes no sense is left out and noted ([Zone.Problems]); the error is about all of them.
func (b *ZoneBuilder) Add(r dns.Record) error {
	switch {
	case r.Class != dns.ClassIN:
		b.note(r.Name, "class %v, expected IN", r.Class)
		return nil
	case !r.Name.IsSubdomainOf(b.zone.origin):
		b.note(r.Name, "this is not below %v", b.zone.origin)
		return nil
	case r.Name.Len() == b.zone.origin.Len(): // the apex has no rules
		if r.Type == dns.TypeSOA {
			b.zone.soa = r
			b.zone.soa.Data = slices.Clone(r.Data) // it may be a reader's memory
		}
		return nil
	case !isRuleType(r.Type):
		b.note(r.Name, "type %v has no meaning in a rule", r.Type)
		return nil
	}
	if r.Name != b.owner {
		if err := b.flush(); err != nil {
			return err
		}
		b.owner = r.Name
	}
	if hasRecord(b.pending, r.Type, r.Data) {
		return nil
	}
	if b.count++; b.count > maxSetRecords {
		b.note(r.Name, "%v, expected at most %d", errManyRecords, maxSetRecords)
		return nil
	}
	b.pending = appendRecord(b.pending, r.Type, r.TTL, r.Data)
	return nil
}

// isRuleType says whether records of type t can be the data of a rule: those that make a zone or sign it are no data (RPZ draft §3.6).
func isRuleType(t dns.Type) bool {
	switch t {
	case dns.TypeSOA, dns.TypeNS, dns.TypeDNAME, dns.TypeDS, dns.TypeDNSKEY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return false
	}
	return !t.IsMeta()
}

// flush makes a rule out of the records of one owner.
func (b *ZoneBuilder) flush() error {
	pending, count := b.pending, b.count
	b.pending, b.count = b.pending[:0], 0
	if count == 0 {
		return nil
	}
	rel := append(b.buf[0][:0], b.owner.Wire()[:b.owner.Len()-b.zone.origin.Len()]...)
	dns.FoldName(rel)
	t, err := parseTrigger(b.buf[1][:0], rel)
	if err != nil {
		b.note(b.owner, "%v", err)
		return nil
	}
	action, err := b.action(t, pending, count)
	if err != nil {
		b.note(b.owner, "%v", err)
		return nil
	}
	set := uint32(0)
	if action == Data {
		if set, err = b.in.intern(pending); err != nil {
			return err
		}
	}
	return b.put(t, valueOf(action, set))
}

// action reads what the records of a rule ask for: mostly one CNAME (RPZ draft §3).
//
// Of several the first counts, as of two rules with one trigger, unless it gives data: that would be two CNAMEs for one name.
func (b *ZoneBuilder) action(t trigger, set []byte, count int) (Action, error) {
	action, err, cnames := Data, error(nil), 0
	eachRecord(set, func(rt dns.Type, _ uint32, data []byte) bool {
		if rt != dns.TypeCNAME {
			return true
		}
		if cnames++; cnames == 1 {
			action, err = actionOf(t, data)
		}
		return true
	})
	if err == nil && cnames > 0 && count > 1 && (cnames < count || action == Data) {
		err = errors.New("a CNAME beside other records, expected it alone")
	}
	return action, err
}

// actionOf reads the target of a rule's CNAME.
func actionOf(t trigger, target []byte) (Action, error) {
	var buf [256]byte
	folded := dns.AppendFolded(buf[:0], target)
	switch string(folded) {
	case "\x00":
		return NXDomain, nil
	case "\x01*\x00":
		return NoData, nil
	case "\x0crpz-passthru\x00":
		return Passthru, nil
	case "\x08rpz-drop\x00":
		return Drop, nil
	case "\x0crpz-tcp-only\x00":
		return TCPOnly, nil
	}
	if t.kind == ByName && !t.wildcard && string(folded) == string(t.name) {
		return Passthru, nil // the old way to say it: a CNAME to the trigger itself
	}
	if dns.CountLabels(folded) == 1 && len(folded) > 5 && string(folded[1:5]) == "rpz-" {
		return None, fmt.Errorf("action %q is unknown, expected rpz-passthru, rpz-drop or rpz-tcp-only", folded[1:len(folded)-1])
	}
	return Data, nil
}

// put puts a rule where it will be sought.
func (b *ZoneBuilder) put(t trigger, value uint32) error {
	b.zone.rules++
	set := &b.zone.byName
	switch t.kind {
	case ByClient, ByAddress, ByServerAddress:
		b.zone.byAddr[t.kind].add(t.prefix, value)
		return nil
	case ByServer:
		set = &b.zone.byServer
	}
	values, err := set.add(t.name)
	if err != nil {
		return err
	}
	if t.wildcard {
		values = values[4:]
	}
	binary.LittleEndian.PutUint32(values, b.join(binary.LittleEndian.Uint32(values), value))
	return nil
}

// join says what stays of two rules with one trigger: their data together, else the one that came first.
func (b *ZoneBuilder) join(first, next uint32) uint32 {
	if first == 0 {
		return next
	}
	b.zone.rules--
	action, old := takeApart(first)
	also, set := takeApart(next)
	if action == Data && also == Data {
		if joined, err := b.in.join(old, set); err == nil {
			return valueOf(Data, joined)
		}
	}
	if first != next {
		b.note(b.owner, "another rule for the same trigger came before")
	}
	return first
}

func (b *ZoneBuilder) note(owner dns.Name, format string, args ...any) {
	b.zone.problems.add(func() string { return owner.String() + ": " + fmt.Sprintf(format, args...) })
}

// Compile ends the zone. The builder is of no use afterwards.
func (b *ZoneBuilder) Compile() (*Zone, error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	z := b.zone
	for i := range z.byAddr {
		z.byAddr[i].compile(b.join)
	}
	for _, set := range []*names{&z.byName, &z.byServer} {
		if err := set.addEmpty(); err != nil {
			return nil, err
		}
		set.compile()
	}
	z.data = b.in.sets
	b.zone, b.in = nil, interner{}
	return z, nil
}

// Origin returns the zone's name.
func (z *Zone) Origin() dns.Name { return z.origin }

// HasSOA says whether the zone has an SOA record, as every whole zone does.
func (z *Zone) HasSOA() bool { return z.soa.Data != nil }

// Len returns how many rules the zone has.
func (z *Zone) Len() int { return z.rules }

// Problems returns what was left out, and why.
func (z *Zone) Problems() Problems { return z.problems }

// Size returns the memory that the rules take, in octets.
func (z *Zone) Size() int {
	n := z.byName.size() + z.byServer.size() + z.data.size()
	for i := range z.byAddr {
		n += z.byAddr[i].size()
	}
	return n
}
