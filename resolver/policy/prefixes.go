package policy

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// prefixes finds the longest prefix that an address lies in. The families are apart: ::/0 says nothing about IPv4.
type prefixes struct{ four, six []prefix }

// prefix is an entry; the entries stand in the order of their addresses, a shorter one first, so that all that holds an address
// is the entry before it and that one's ancestors. IPv4 stands in the uppermost 32 bits.
type prefix struct {
	hi, lo uint64
	value  uint32
	parent int32 // the next shorter prefix that holds this one, or -1
	bits   uint8
}

// halves are an address's bits, those of IPv4 uppermost.
func halves(a netip.Addr) (hi, lo uint64) {
	if a.Is4() {
		four := a.As4()
		return uint64(binary.BigEndian.Uint32(four[:])) << 32, 0
	}
	six := a.As16()
	return binary.BigEndian.Uint64(six[:8]), binary.BigEndian.Uint64(six[8:])
}

func (p *prefix) holds(hi, lo uint64) bool {
	if p.bits < 64 {
		return (hi^p.hi)>>(64-p.bits) == 0
	}
	return hi == p.hi && (lo^p.lo)>>(128-p.bits) == 0
}

// family returns the entries that an address is to be sought in.
func (t *prefixes) family(a netip.Addr) *[]prefix {
	if a.Is4() {
		return &t.four
	}
	return &t.six
}

// add takes a prefix; compile must follow before the next look-up.
func (t *prefixes) add(p netip.Prefix, value uint32) {
	p = p.Masked()
	hi, lo := halves(p.Addr())
	in := t.family(p.Addr())
	*in = append(*in, prefix{hi: hi, lo: lo, bits: uint8(p.Bits()), value: value})
}

// compile sorts the entries. Of a prefix that was added more than once, join says which value stays.
func (t *prefixes) compile(join func(first, next uint32) uint32) {
	t.four, t.six = arrange(t.four, join), arrange(t.six, join)
}

func arrange(list []prefix, join func(first, next uint32) uint32) []prefix {
	slices.SortStableFunc(list, func(a, b prefix) int {
		return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo), cmp.Compare(a.bits, b.bits))
	})
	out := list[:0]
	last := int32(-1) // the entry before and its ancestors are those that can hold the next
	for _, p := range list {
		if n := len(out); n > 0 && out[n-1].hi == p.hi && out[n-1].lo == p.lo && out[n-1].bits == p.bits {
			out[n-1].value = join(out[n-1].value, p.value)
			continue
		}
		for last >= 0 && !out[last].holds(p.hi, p.lo) {
			last = out[last].parent
		}
		p.parent = last
		last = int32(len(out))
		out = append(out, p)
	}
	return slices.Clip(slices.Clone(out))
}

// find returns the longest prefix that holds a, nil where none does. a is unmapped and without a zone.
func (t *prefixes) find(a netip.Addr) *prefix {
	list := *t.family(a)
	if len(list) == 0 {
		return nil
	}
	hi, lo := halves(a)
	low, high := 0, len(list) // the first entry whose address is above a
	for low < high {
		if mid := int(uint(low+high) >> 1); list[mid].hi < hi || list[mid].hi == hi && list[mid].lo <= lo {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for i := int32(low - 1); i >= 0; i = list[i].parent {
		if list[i].holds(hi, lo) {
			return &list[i]
		}
	}
	return nil
}

func (t *prefixes) len() int { return len(t.four) + len(t.six) }

// size is the memory that the table takes, in octets.
func (t *prefixes) size() int { return 32 * (cap(t.four) + cap(t.six)) }
