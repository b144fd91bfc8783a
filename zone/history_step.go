package zone

import (
	"iter"

	"onoma/dns"
)

// Difference is what turns the version with one serial number into another. In
// both lists the SOA record comes first. It is immutable, shares no memory with
// any version, and is copied freely.
type Difference struct {
	From, To       uint32
	class          dns.Class
	removed, added string // packed records
	count          int
}

// A packed record is
//
//	octet    length of the name
//	octets   name in wire form
//	u16      type
//	u32      TTL
//	u16      length of the rdata
//	octets   rdata
//
// with little-endian numbers. Two are equal where their octets are: the case of
// letters and the TTL count, as they do in a [Delta].
const packedHead = 1 + 2 + 4 + 2

func packedLen(r dns.Record) int { return packedHead + r.Name.Len() + len(r.Data) }

func appendPacked(dst []byte, r dns.Record) []byte {
	dst = append(dst, byte(r.Name.Len()))
	dst = r.Name.Append(dst)
	dst = le.AppendUint16(dst, uint16(r.Type))
	dst = le.AppendUint32(dst, r.TTL)
	dst = le.AppendUint16(dst, uint16(len(r.Data)))
	return append(dst, r.Data...)
}

// cutPacked returns the first packed record of s, in its octets and their parts.
func cutPacked(s string) (whole, name string, typ dns.Type, ttl uint32, data, rest string) {
	n := 1 + int(s[0])
	name, b := s[1:n], s[n:]
	typ = dns.Type(uint16(b[0]) | uint16(b[1])<<8)
	ttl = uint32(b[2]) | uint32(b[3])<<8 | uint32(b[4])<<16 | uint32(b[5])<<24
	end := 8 + (int(b[6]) | int(b[7])<<8)
	return s[:n+end], name, typ, ttl, b[8:end], b[end:]
}

// pack makes a Difference of what Diff says.
func pack(last, next *Version, d *Delta) Difference {
	out := Difference{From: last.serial, To: next.serial, class: next.class, count: len(d.Removed) + len(d.Added)}
	out.removed, out.added = packRecords(d.Removed), packRecords(d.Added)
	return out
}

func packRecords(records []dns.Record) string {
	n := 0
	for _, r := range records {
		n += packedLen(r)
	}
	b := make([]byte, 0, n)
	for _, r := range records {
		b = appendPacked(b, r)
	}
	return string(b)
}

// Count returns how many records the difference has.
func (d Difference) Count() int { return d.count }

// Octets returns what the difference takes in memory, about.
func (d Difference) Octets() int { return len(d.removed) + len(d.added) }

// Removed yields what is in the old version and not in the new one. The rdata is
// good until the next record is asked for.
func (d Difference) Removed() iter.Seq[dns.Record] { return d.records(d.removed) }

// Added is Removed for what is in the new version alone.
func (d Difference) Added() iter.Seq[dns.Record] { return d.records(d.added) }

func (d Difference) records(packed string) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		var buf []byte
		var name dns.Name
		for rest := packed; len(rest) > 0; {
			var r dns.Record
			var wire, data string
			_, wire, r.Type, r.TTL, data, rest = cutPacked(rest)
			buf = append(buf[:0], data...)
			if wire != name.Wire() {
				name, _ = dns.NameFromWire([]byte(wire)) // it was a Name
			}
			r.Name, r.Class, r.Data = name, d.class, buf
			if !yield(r) {
				return
			}
		}
	}
}

// condense merges steps that follow one another: what one adds and a later one
// removes is in neither list, and the other way round.
func condense(steps []Difference) Difference {
	first, last := steps[0], steps[len(steps)-1]
	var removed, added net
	for _, s := range steps {
		// Within a step, no record is in both lists.
		removed.cancel(&added, s.removed)
		added.cancel(&removed, s.added)
	}
	d := Difference{From: first.From, To: last.To, class: last.class}
	d.removed, d.added = removed.pack(), added.pack()
	d.count = len(removed.at) + len(added.at)
	return d
}

// net is the records that have been removed, or added, on the whole.
type net struct {
	list []string       // packed records in the order in which they came; "" for one that is undone
	at   map[string]int // where they are in list
}

// cancel takes those of packed out of undone that are there, and notes the others.
func (n *net) cancel(undone *net, packed string) {
	if n.at == nil {
		n.at = make(map[string]int)
	}
	for len(packed) > 0 {
		whole, _, _, _, _, rest := cutPacked(packed)
		packed = rest
		if i, ok := undone.at[whole]; ok {
			undone.list[i] = ""
			delete(undone.at, whole)
			continue
		}
		n.at[whole] = len(n.list)
		n.list = append(n.list, whole)
	}
}

// pack puts the records together, the SOA first.
func (n *net) pack() string {
	size := 0
	for _, whole := range n.list {
		size += len(whole)
	}
	b := make([]byte, 0, size)
	for _, soa := range []bool{true, false} {
		for _, whole := range n.list {
			if whole == "" {
				continue
			}
			if _, _, typ, _, _, _ := cutPacked(whole); (typ == dns.TypeSOA) == soa {
				b = append(b, whole...)
			}
		}
	}
	return string(b)
}
