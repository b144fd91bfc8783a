package zone

import (
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone/qp"
)

// Version is one immutable state of a zone. Its size matters to who has a million
// small zones: fields are in an order that leaves no gaps.
type Version struct {
	id     uint64 // unlike that of any other version in this process
	origin dns.Name
	sp     qp.Space
	names  qp.Trie // owners and empty non-terminals, NSEC3 owners not
	nsec3  qp.Trie // owners of the NSEC3 chain that proofs come from
	spare  qp.Trie // owners of other NSEC3 records: chains being built or removed
	absent qp.Trie // targets of NS sets that are in the zone but do not exist; Aux is the host number
	hosts  hostTable
	chain  chain

	apex    qp.Leaf
	serial  uint32
	class   dns.Class
	number  uint32 // within the lineage
	records int
	live    int // octets in use when the Space was last without garbage
	line    *lineage
	source  *Source // nil: not read from files
}

// lineage is what the versions made by one Editor after the other share: the
// right to fill up the chunks of the last one.
type lineage struct {
	mu      sync.Mutex
	last    uint32    // number of the version that may be extended
	taken   bool      // an Editor is at it
	tidying bool      // a compaction is at work
	share   *interner // nil until the first Editor needs it
	full    *interner // that share will be, once it is made
	blocks  []uint32  // what share is to know at first
}

var versions atomic.Uint64

// newVersionID returns a number for a version that is being made.
func newVersionID() uint64 { return versions.Add(1) }

// ID tells the version from all others that this process has had, of this zone
// and of others. It is not 0.
func (v *Version) ID() uint64 { return v.id }

// Origin returns the zone's name.
func (v *Version) Origin() dns.Name { return v.origin }

// Class returns the zone's class.
func (v *Version) Class() dns.Class { return v.class }

// Serial returns the serial number of the SOA record.
func (v *Version) Serial() uint32 { return v.serial }

// Source returns the files that the version was read from, nil where it came
// from elsewhere or has been edited since.
func (v *Version) Source() *Source { return v.source }

// Apex returns the node of the origin.
func (v *Version) Apex() Node { return Node{v, v.apex} }

// SOA returns the apex's SOA RRset.
func (v *Version) SOA() RRset {
	soa, _ := v.Apex().RRset(dns.TypeSOA)
	return soa
}

// Stats counts what a version holds.
type Stats struct {
	Names   int // nodes, empty non-terminals included, NSEC3 owners not
	Records int // all records, RRSIG and NSEC3 included
	Bytes   int // memory that is held for it, what it shares with other versions included
}

// Stats returns the counts.
func (v *Version) Stats() Stats {
	held, _ := v.sp.Size()
	return Stats{v.names.Len(), v.records, held + v.hosts.size()}
}

// relative returns the octets of name in front of the origin. The name is at or
// below the origin.
func (v *Version) relative(name []byte) []byte {
	return name[:max(0, len(name)-v.origin.Len())]
}

// has reports whether name is at or below the origin.
func (v *Version) has(name []byte) bool {
	n := len(name) - v.origin.Len()
	if n < 0 {
		return false
	}
	for i := 0; i < n; {
		if i += int(name[i]) + 1; i > n {
			return false
		}
	}
	return equalFold(name[n:], v.origin.Wire())
}

func equalFold(name []byte, wire string) bool {
	if string(name) == wire {
		return true
	}
	var a, b [dns.MaxNameLen]byte
	return string(dns.AppendFolded(a[:0], name)) == string(dns.AppendFolded(b[:0], []byte(wire)))
}

// Find returns the node of exactly name, wherever it lies: below a cut too.
// A name outside the zone gives the zero Node.
func (v *Version) Find(name []byte) Node {
	if !v.has(name) {
		return Node{}
	}
	var k qp.Key
	l, ok := v.sp.Find(&v.names, &k, v.relative(name))
	return v.node(l, ok)
}

func (v *Version) node(l qp.Leaf, ok bool) Node {
	if !ok {
		return Node{}
	}
	return Node{v, l}
}
