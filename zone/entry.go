package zone

import (
	"encoding/binary"

	"onoma/dns"
)

// An entry is what a leaf of a trie refers to: one name and its RRsets.
//
//	octet    length of the name
//	octets   the name in wire form, relative to the origin, in its own case
//	u16      number of slots
//	slots    one for each RRset, the SOA's first and then by type
//
// A slot is an RRset and the RRSIG records that cover it.
//
//	u16      type
//	octet    form: what follows
//	body     the records; with formShared the u32 reference of a shared block;
//	         nothing with formSigsOnly
//	body     the signatures, with formSigned
//
// A body is TTL, number of records and octets of rdata, the latter two as u16 or
// (wide) u32, and the rdata: each a length in two octets, big-endian, and its
// octets, as in a message. All other numbers are little-endian.
//
// A shared block has the RRset of all names with equal ones: NS sets.
//
//	octet    form: formWide, formHosts
//	body
//	u32 ...  for each record the number of its host, with formHosts ([hostTable])
const (
	formShared   = 1 << iota // the body is in a shared block
	formWide                 // the body is wide
	formSigned               // there is a body of signatures
	formWideSigs             // and it is wide
	formSigsOnly             // there are signatures but nothing that they cover
	formHosts                // of a shared block: targets in the zone have host numbers
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

const (
	narrowHead = 8
	wideHead   = 12
)

// body is records as they lie in an entry or a shared block.
type body struct {
	ttl    uint32
	count  uint32
	packed []byte
}

// readBody reads the body at the start of b and returns its length.
func readBody(b []byte, wide bool) (body, int) {
	if wide {
		n := wideHead + int(le.Uint32(b[8:]))
		return body{le.Uint32(b), le.Uint32(b[4:]), b[wideHead:n:n]}, n
	}
	n := narrowHead + int(le.Uint16(b[6:]))
	return body{le.Uint32(b), uint32(le.Uint16(b[4:])), b[narrowHead:n:n]}, n
}

func bodyLen(b []byte, wide bool) int {
	if wide {
		return wideHead + int(le.Uint32(b[8:]))
	}
	return narrowHead + int(le.Uint16(b[6:]))
}

// isWide reports whether the body needs 32-bit numbers.
func (b *body) isWide() bool { return b.count > 0xFFFF || len(b.packed) > 0xFFFF }

func (b *body) size() int {
	if b.isWide() {
		return wideHead + len(b.packed)
	}
	return narrowHead + len(b.packed)
}

// write puts the body at the start of dst and returns its length.
func (b *body) write(dst []byte) int {
	le.PutUint32(dst, b.ttl)
	if b.isWide() {
		le.PutUint32(dst[4:], b.count)
		le.PutUint32(dst[8:], uint32(len(b.packed)))
		return wideHead + copy(dst[wideHead:], b.packed)
	}
	le.PutUint16(dst[4:], uint16(b.count))
	le.PutUint16(dst[6:], uint16(len(b.packed)))
	return narrowHead + copy(dst[narrowHead:], b.packed)
}

const slotHead = 3

func slotType(b []byte) dns.Type { return dns.Type(le.Uint16(b)) }

// sigsAt returns where in the slot at the start of b its signatures are, or
// would be: behind the body.
func sigsAt(b []byte) int {
	switch form := b[2]; {
	case form&formSigsOnly != 0:
		return slotHead
	case form&formShared != 0:
		return slotHead + 4
	default:
		return slotHead + bodyLen(b[slotHead:], form&formWide != 0)
	}
}

// slotLen returns the length of the slot at the start of b.
func slotLen(b []byte) int {
	n := sigsAt(b)
	if form := b[2]; form&formSigned != 0 {
		n += bodyLen(b[n:], form&formWideSigs != 0)
	}
	return n
}

// slots returns the number of slots of the entry b and the octets from the
// first one on.
func slots(b []byte) (int, []byte) {
	b = b[1+int(b[0]):]
	return int(le.Uint16(b)), b[2:]
}

// entryLen returns the length of the entry at the start of b.
func entryLen(b []byte) int {
	n, rest := slots(b)
	size := len(b) - len(rest)
	for ; n > 0; n-- {
		size += slotLen(b[size:])
	}
	return size
}

// readShared reads a shared block; hosts is nil where it has no host numbers.
func readShared(b []byte) (s body, hosts []byte, size int) {
	form := b[0]
	s, size = readBody(b[1:], form&formWide != 0)
	size++
	if form&formHosts != 0 {
		hosts = b[size : size+4*int(s.count)]
		size += len(hosts)
	}
	return s, hosts, size
}

// Flags of leaves. The first group follows from the RRsets of the node.
const (
	flagCut   = 1 << iota // NS below the apex
	flagDNAME             // owns a DNAME
	flagCNAME             // owns a CNAME
	flagDS                // owns a DS
	flagNSEC              // owns an NSEC
	flagENT               // has no RRset
	flagApex              // is the apex

	flagWild // the name's child "*" exists
	flagHost // is a target of an NS set; Aux is its host number, not its hash

	// flagsKept are those that do not follow from the RRsets.
	flagsKept = flagWild | flagHost
	// flagsStop are those of names below which a look-up finds nothing else.
	flagsStop = flagCut | flagDNAME
)

// typeFlags returns the flags of a node that come from a type.
func typeFlags(t dns.Type, apex bool) uint32 {
	switch t {
	case dns.TypeNS:
		if !apex {
			return flagCut
		}
	case dns.TypeDNAME:
		return flagDNAME
	case dns.TypeCNAME:
		return flagCNAME
	case dns.TypeDS:
		return flagDS
	case dns.TypeNSEC:
		return flagNSEC
	}
	return 0
}
