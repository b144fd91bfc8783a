package dns

const (
	errBitmapBlock = rdataError("type bitmap with a block out of order, empty, too long or cut short")
	errNXTBitmap   = rdataError("NXT bitmap of another form than RFC 2535 has")
)

// checkBitmap checks a type bitmap (RFC 4034 §4.1.2): blocks in increasing
// order of window, each with 1 to 32 octets of which the last is not zero.
func checkBitmap(b []byte) error {
	last := -1
	for len(b) > 0 {
		if len(b) < 2 {
			return errBitmapBlock
		}
		window, n := int(b[0]), int(b[1])
		if window <= last || n < 1 || n > 32 || len(b) < 2+n || b[1+n] == 0 {
			return errBitmapBlock
		}
		last, b = window, b[2+n:]
	}
	return nil
}

// bitmapHas reports whether the bitmap b has the bit of t.
func bitmapHas(b []byte, t Type) bool {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		window, n := b[0], int(b[1])
		if window == byte(t>>8) {
			i := int(t&0xFF) / 8
			return i < n && b[2+i]&(0x80>>(t&7)) != 0
		}
		b = b[2+n:]
	}
	return false
}

// nextBitmapType returns the lowest type of the bitmap b that is at least
// from, which may be 65536; ok is false where there is none.
func nextBitmapType(b []byte, from int) (t Type, ok bool) {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		base, n := int(b[0])<<8, int(b[1])
		for v := max(from, base); v < base+n*8; v++ {
			octet := b[2+(v-base)/8]
			if octet == 0 {
				v |= 7
				continue
			}
			if octet&(0x80>>(v&7)) != 0 {
				return Type(v), true
			}
		}
		b = b[2+n:]
	}
	return 0, false
}

// bitmapBuilder collects types that come in any order and appends their
// bitmap. All types in use are in the first two windows, which are at hand; the
// others are made where they are needed.
type bitmapBuilder struct {
	low  [2][32]byte
	rest map[byte]*[32]byte
}

func (m *bitmapBuilder) add(t Type) { m.window(byte(t >> 8))[(t&0xFF)/8] |= 0x80 >> (t & 7) }

func (m *bitmapBuilder) window(i byte) *[32]byte {
	if int(i) < len(m.low) {
		return &m.low[i]
	}
	w := m.rest[i]
	if w == nil {
		w = new([32]byte)
		if m.rest == nil {
			m.rest = make(map[byte]*[32]byte)
		}
		m.rest[i] = w
	}
	return w
}

func (m *bitmapBuilder) append(dst []byte) []byte {
	for i := range m.low {
		dst = appendWindow(dst, byte(i), &m.low[i])
	}
	for i := len(m.low); i < 256 && m.rest != nil; i++ {
		if w := m.rest[byte(i)]; w != nil {
			dst = appendWindow(dst, byte(i), w)
		}
	}
	return dst
}

func appendWindow(dst []byte, number byte, w *[32]byte) []byte {
	n := trimZeroes(w[:])
	if n == 0 {
		return dst
	}
	dst = append(dst, number, byte(n))
	return append(dst, w[:n]...)
}

// trimZeroes returns the length of b without the zero octets at its end.
func trimZeroes(b []byte) int {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}

// AppendTypeBitmap appends the bitmap of the types, which may be in any order
// (RFC 4034 §4.1.2).
func AppendTypeBitmap(dst []byte, types ...Type) []byte {
	var m bitmapBuilder
	for _, t := range types {
		m.add(t)
	}
	return m.append(dst)
}

func (p *rdataParser) bitmap(dst []byte) []byte {
	var m bitmapBuilder
	for p.more() {
		m.add(p.recordType())
	}
	return m.append(dst)
}

func appendBitmapText(dst, b []byte) []byte {
	for t, ok := nextBitmapType(b, 0); ok; t, ok = nextBitmapType(b, int(t)+1) {
		dst = append(t.Append(dst), ' ')
	}
	return dst
}

// checkNXTBitmap checks the bitmap of NXT, one run of up to 16 octets whose
// first bit is clear (RFC 2535 §5.2).
func checkNXTBitmap(b []byte) error {
	if len(b) == 0 || len(b) > 16 || b[0]&0x80 != 0 || b[len(b)-1] == 0 {
		return errNXTBitmap
	}
	return nil
}

func (p *rdataParser) bitmapNXT(dst []byte) []byte {
	var w [16]byte
	for first := true; first || p.more(); first = false {
		t := p.recordType()
		if p.err == nil && (t == 0 || t > 127) {
			return p.bad(dst, "type", "one from 1 to 127, as NXT's bitmap has no others")
		}
		w[t&0x7F/8] |= 0x80 >> (t & 7)
	}
	return append(dst, w[:trimZeroes(w[:])]...)
}

func appendNXTBitmapText(dst, b []byte) []byte {
	for i := range len(b) * 8 {
		if b[i/8]&(0x80>>(i&7)) != 0 {
			dst = append(Type(i).Append(dst), ' ')
		}
	}
	return dst
}
