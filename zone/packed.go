package zone

import (
	"bytes"
	"slices"

	"onoma/dns"
)

// packed is rdata of one RRset being gathered: each a length in two octets,
// big-endian, and its octets.
type packed struct {
	buf []byte
	n   int
}

func (p *packed) reset() { p.buf, p.n = p.buf[:0], 0 }

func (p *packed) add(rdata []byte) {
	p.buf = be.AppendUint16(p.buf, uint16(len(rdata)))
	p.buf = append(p.buf, rdata...)
	p.n++
}

// rdataAt returns the rdata whose length stands at off in packed rdata, and the
// offset behind it.
func rdataAt(packed []byte, off int) ([]byte, int) {
	end := off + 2 + int(be.Uint16(packed[off:]))
	return packed[off+2 : end : end], end
}

// find returns the offset of rdata in p, its length included, or -1.
func (p *packed) find(t dns.Type, rdata []byte) int {
	for off := 0; off < len(p.buf); {
		rd, next := rdataAt(p.buf, off)
		if dns.EqualRData(t, rd, rdata) {
			return off
		}
		off = next
	}
	return -1
}

// remove takes out the rdata at off.
func (p *packed) remove(off int) {
	_, end := rdataAt(p.buf, off)
	p.buf = slices.Delete(p.buf, off, end)
	p.n--
}

// sorter is the scratch of packed.sort.
type sorter struct {
	offs []int
	buf  []byte
}

// sort puts the rdata in canonical order and drops repetitions (RFC 4034 §6.3,
// RFC 2181 §5).
func (p *packed) sort(t dns.Type, s *sorter) {
	if p.n < 2 || p.isSorted(t) {
		return
	}
	s.offs = s.offs[:0]
	for off := 0; off < len(p.buf); {
		s.offs = append(s.offs, off)
		_, off = rdataAt(p.buf, off)
	}
	slices.SortStableFunc(s.offs, func(x, y int) int {
		a, _ := rdataAt(p.buf, x)
		b, _ := rdataAt(p.buf, y)
		return dns.CompareCanonicalRData(t, a, b)
	})
	s.buf, p.n = s.buf[:0], 0
	var last []byte
	for _, off := range s.offs {
		rd, end := rdataAt(p.buf, off)
		if p.n > 0 && dns.EqualRData(t, last, rd) {
			continue
		}
		last = rd
		s.buf = append(s.buf, p.buf[off:end]...)
		p.n++
	}
	p.buf, s.buf = s.buf, p.buf
}

// isSorted reports whether the rdata ascend already, without repetitions.
func (p *packed) isSorted(t dns.Type) bool {
	last, off := rdataAt(p.buf, 0)
	for off < len(p.buf) {
		rd, next := rdataAt(p.buf, off)
		if t == dns.TypeNS && isPlain(last) && isPlain(rd) {
			if bytes.Compare(last, rd) >= 0 {
				return false
			}
		} else if dns.CompareCanonicalRData(t, last, rd) >= 0 || dns.EqualRData(t, last, rd) {
			return false
		}
		last, off = rd, next
	}
	return true
}

// isPlain reports whether a name has no upper-case letters: then its octets are
// its canonical form. Length octets are below those of letters.
func isPlain(name []byte) bool {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
