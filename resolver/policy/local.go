package policy

import (
	"encoding/binary"
	"fmt"

	"onoma/dns"
)

// LocalKind is what a local zone does with names that have no local data.
type LocalKind uint8

const (
	Transparent       LocalKind = iota // names without data are looked up; those with data of other types only are NODATA
	TypeTransparent                    // whatever has no data of the type is looked up
	Static                             // names without data do not exist
	Redirect                           // all names have the data of the zone's own name
	LocalDeny                          // no answer but for data
	LocalRefuse                        // REFUSED but for data
	AlwaysTransparent                  // the rules of zones above it end here, data is not used
	AlwaysNXDomain                     // no name exists, data is not used
	AlwaysNoData                       // names have no data, data is not used
	AlwaysNull                         // 0.0.0.0 and ::
	AlwaysDeny                         // no answer
	AlwaysRefuse                       // REFUSED
	BlockA                             // A questions have no data; all else is looked up, data is not used
	BlockAAAA                          // likewise
	BlockAWithData                     // A questions have no data but local data; all else without is looked up
	BlockAAAAWithData                  // likewise
	numLocalKinds
)

var localKindNames = [...]string{
	"transparent", "typetransparent", "static", "redirect", "deny", "refuse", "always_transparent",
	"always_nxdomain", "always_nodata", "always_null", "always_deny", "always_refuse",
	"block_a", "block_aaaa", "block_a_wdata", "block_aaaa_wdata",
}

// String returns the name as it stands in configurations.
func (k LocalKind) String() string { return localKindNames[k] }

// ParseLocalKind reads the name of a kind; underscores may be dashes.
func ParseLocalKind(s string) (k LocalKind, ok bool) {
	for i, name := range localKindNames {
		if dashes(name) == dashes(s) {
			return LocalKind(i), true
		}
	}
	return Transparent, false
}

func dashes(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c == '_' {
			out[i] = '-'
		}
	}
	return string(out)
}

// LocalZone is a name and what is done with it and all below it that no nearer zone is for.
type LocalZone struct {
	Name dns.Name
	Kind LocalKind
}

// Local are local zones and local data ready for use.
type Local struct {
	zones names // values: the kind and one
	owned names // values: the set of records and firstSet, or isEmpty
	data  dataSets
}

// Values of owned.
const (
	isEmpty  = 1 // a name without records that has names with records below it (RFC 8020)
	firstSet = 2
)

// NewLocal compiles zones and records. Records of one name and type are one set. Data outside of every zone is of a transparent one.
func NewLocal(zones []LocalZone, records []dns.Record) (*Local, error) {
	b := localBuilder{out: &Local{zones: newNames(), owned: newNames()}}
	for _, z := range zones {
		if err := b.zone(z); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		if err := b.record(r); err != nil {
			return nil, err
		}
	}
	b.out.zones.compile()
	b.out.owned.compile()
	b.out.data = b.in.sets
	return b.out, nil
}

type localBuilder struct {
	out *Local
	in  interner
}

func (b *localBuilder) zone(z LocalZone) error {
	if z.Name.IsZero() || z.Kind >= numLocalKinds {
		return fmt.Errorf("local zone %q of kind %d, expected a name and a kind", z.Name, z.Kind)
	}
	values, err := b.out.zones.add([]byte(z.Name.Fold().Wire()))
	if err != nil {
		return err
	}
	kind := uint32(z.Kind) + 1
	if old := binary.LittleEndian.Uint32(values); old != 0 && old != kind {
		return fmt.Errorf("local zone %v is there twice, as %v and as %v: expected one of them", z.Name, LocalKind(old-1), z.Kind)
	}
	binary.LittleEndian.PutUint32(values, kind)
	binary.LittleEndian.PutUint32(values[4:], kind)
	return nil
}

func (b *localBuilder) record(r dns.Record) error {
	if r.Name.IsZero() || r.Class != dns.ClassIN || r.Type.IsMeta() {
		return fmt.Errorf("local data %v: expected a record of class IN", r)
	}
	set, err := b.in.intern(appendRecord(nil, r.Type, r.TTL, r.Data))
	if err != nil {
		return err
	}
	name := r.Name.Fold()
	values, err := b.out.owned.add([]byte(name.Wire()))
	if err != nil {
		return err
	}
	if old := binary.LittleEndian.Uint32(values); old >= firstSet {
		if set, err = b.in.join(old-firstSet, set); err != nil {
			return fmt.Errorf("local data of %v: %w", r.Name, err)
		}
	}
	binary.LittleEndian.PutUint32(values, set+firstSet)
	for !name.IsRoot() {
		name = name.Parent()
		if values, err = b.out.owned.add([]byte(name.Wire())); err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(values) != 0 {
			break // so have all above it
		}
		binary.LittleEndian.PutUint32(values, isEmpty)
	}
	return nil
}

// Len returns how many zones there are and names with data.
func (l *Local) Len() int {
	if l == nil {
		return 0
	}
	return l.zones.count + l.owned.count
}

// LocalMatch is what the local zones have to say about a question.
type LocalMatch struct {
	Action Action // None: it is looked up
	set    uint32 // the records for Data; 0 for a null address
	zone   uint8  // how many labels the zone has that a negative answer comes from
}

// Ask finds what is said about a name and a type. name is in wire form, in any case. It does not allocate.
// A nil Local says nothing.
func (l *Local) Ask(name []byte, t dns.Type) LocalMatch {
	if l == nil || l.zones.count == 0 && l.owned.count == 0 {
		return LocalMatch{}
	}
	var buf [256]byte
	folded := dns.AppendFolded(buf[:0], name)
	value, labels, _ := l.zones.nearest(folded)
	kind := Transparent
	if value != 0 {
		kind = LocalKind(value - 1)
	}
	m := LocalMatch{zone: uint8(labels)}
	switch kind {
	case AlwaysTransparent:
		return LocalMatch{}
	case AlwaysNXDomain:
		m.Action = NXDomain
	case AlwaysNoData:
		m.Action = NoData
	case AlwaysNull:
		m.Action = Data
	case AlwaysDeny:
		m.Action = Drop
	case AlwaysRefuse:
		m.Action = Refuse
	case BlockA, BlockAAAA:
		if kind.blocked() == t {
			m.Action = NoData
		}
	default:
		l.withData(&m, kind, folded, t)
	}
	return m
}

// blocked returns the type that a kind denies.
func (k LocalKind) blocked() dns.Type {
	switch k {
	case BlockA, BlockAWithData:
		return dns.TypeA
	case BlockAAAA, BlockAAAAWithData:
		return dns.TypeAAAA
	}
	return 0
}

// withData fills in what the kinds say that use data.
func (l *Local) withData(m *LocalMatch, kind LocalKind, name []byte, t dns.Type) {
	labels := dns.CountLabels(name)
	if kind == Redirect {
		name, labels = dropLabels(name, int(m.zone)), int(m.zone)
	}
	owned, _, _ := l.owned.at(name, labels)
	switch {
	case owned >= firstSet && l.has(owned-firstSet, t):
		m.Action, m.set = Data, owned
	case kind == BlockAWithData || kind == BlockAAAAWithData:
		if kind.blocked() == t {
			m.Action = NoData
		}
	case kind == TypeTransparent || kind == Transparent && owned < firstSet:
		m.Action = None
	case kind == LocalDeny:
		m.Action = Drop
	case kind == LocalRefuse:
		m.Action = Refuse
	case kind == Static && owned == 0:
		m.Action = NXDomain
	default:
		m.Action = NoData
	}
}

// dropLabels returns the last so many labels of name.
func dropLabels(name []byte, labels int) []byte {
	for n := dns.CountLabels(name); n > labels; n-- {
		name = name[1+int(name[0]):]
	}
	return name
}

// has says whether a set answers a type.
func (l *Local) has(set uint32, t dns.Type) bool {
	found := false
	eachRecord(l.data.set(set), func(rt dns.Type, _ uint32, _ []byte) bool {
		found = rt == t || rt == dns.TypeCNAME || t == dns.TypeANY
		return !found
	})
	return found
}

// Reply returns the answer to a question that m was found for.
func (l *Local) Reply(m LocalMatch, name dns.Name, t dns.Type) Reply {
	reply := Reply{Action: m.Action}
	switch m.Action {
	case Refuse:
		reply.RCode = dns.RCodeRefused
	case Data:
		if m.set == 0 {
			reply.Answer = nullAddress(name, t)
		} else {
			reply.Answer, reply.Follow = l.data.answer(m.set-firstSet, name, t)
		}
	case NXDomain:
		reply.RCode = dns.RCodeNXDomain
		reply.Authority = l.soa(name, int(m.zone))
	case NoData:
		reply.Authority = l.soa(name, int(m.zone))
	}
	return reply
}

// soa returns the SOA among the data of the zone's own name, which negative answers carry (RFC 2308 §3).
func (l *Local) soa(name dns.Name, labels int) []dns.Record {
	for name.NumLabels() > labels {
		name = name.Parent()
	}
	owned, _, _ := l.owned.at([]byte(name.Fold().Wire()), labels)
	if owned < firstSet {
		return nil
	}
	records, _ := l.data.answer(owned-firstSet, name, dns.TypeSOA)
	if len(records) == 1 && records[0].Type == dns.TypeSOA {
		records[0].TTL = min(records[0].TTL, dns.SOAMinimum(records[0].Data)) // RFC 2308 §5
		return records
	}
	return nil
}
