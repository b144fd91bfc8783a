package dns

import (
	"bytes"
	"encoding/binary"
)

const (
	errLOCLength = rdataError("LOC of another length than 16 octets")

	locLen     = 16
	locEquator = 1 << 31  // a latitude or longitude of zero (RFC 1876 §2)
	locSea     = 10000000 // an altitude of zero, in centimetres
	locDegree  = 3600000  // thousandths of a second in a degree
	locMaxAlt  = 1<<32 - 1

	// Sizes and precisions where text has none (RFC 1876 §3): 1 m, 10 km, 10 m.
	locSize, locHoriz, locVert = 0x12, 0x16, 0x13
)

// checkLOC checks the length of a location. Of a version other than 0 nothing
// may be assumed (RFC 1876 §2).
func checkLOC(b []byte) error {
	switch {
	case len(b) == 0:
		return errShortRData
	case b[0] == 0 && len(b) != locLen:
		return errLOCLength
	}
	return nil
}

// location reads degrees, minutes and seconds north or south, the same east or
// west, altitude, and optionally size and precisions (RFC 1876 §3).
func (p *rdataParser) location(dst []byte) []byte {
	lat := p.angle(90, 'N', 'S')
	long := p.angle(180, 'E', 'W')
	alt := p.altitude()
	prec := [3]byte{locSize, locHoriz, locVert}
	for i := range prec {
		if p.more() {
			prec[i] = p.precision()
		}
	}
	be := binary.BigEndian
	dst = append(dst, 0, prec[0], prec[1], prec[2])
	return be.AppendUint32(be.AppendUint32(be.AppendUint32(dst, lat), long), alt)
}

// angle reads degrees [minutes [seconds[.fraction]]] and a direction.
func (p *rdataParser) angle(limit uint64, plus, minus byte) uint32 {
	want := "degrees, minutes, seconds and " + string(rune(plus)) + " or " + string(rune(minus))
	degrees := p.uint(limit, want)
	var parts [2]uint64 // minutes, and thousandths of a second
	for i := 0; ; i++ {
		tok := p.next(want)
		if p.err != nil {
			return 0
		}
		if len(tok.Text) == 1 && (tok.Text[0]|0x20 == plus|0x20 || tok.Text[0]|0x20 == minus|0x20) {
			v := degrees*locDegree + parts[0]*60000 + parts[1]
			if v > limit*locDegree {
				p.bad(nil, "angle before", "at most "+string(appendUint(nil, limit))+" degrees")
			}
			if tok.Text[0]|0x20 == minus|0x20 {
				return uint32(locEquator - v)
			}
			return uint32(locEquator + v)
		}
		ok := i < 2
		if i == 0 {
			parts[0], ok = parseUint(tok.Text, 59)
		} else if i == 1 {
			parts[1], ok = parseFixed(tok.Text, 3, 59999)
		}
		if !ok {
			p.bad(nil, "angle", want)
			return 0
		}
	}
}

// altitude reads metres with a sign, to the centimetre.
func (p *rdataParser) altitude() uint32 {
	const want = "an altitude in metres, from -100000.00 to 42849672.95"
	s := bytes.TrimSuffix(p.next(want).Text, []byte{'m'})
	below := len(s) > 0 && s[0] == '-'
	if below || len(s) > 0 && s[0] == '+' {
		s = s[1:]
	}
	v, ok := parseFixed(s, 2, locMaxAlt)
	switch {
	case !ok, below && v > locSea, !below && v > locMaxAlt-locSea:
		p.bad(nil, "altitude", want)
		return 0
	case below:
		return uint32(locSea - v)
	}
	return uint32(locSea + v)
}

// precision reads metres to the centimetre as one digit and a power of ten.
func (p *rdataParser) precision() byte {
	const want = "a size in metres, from 0 to 90000000.00"
	s := bytes.TrimSuffix(p.next(want).Text, []byte{'m'})
	v, ok := parseFixed(s, 2, 9e9+99) // centimetres; .99 behind the last metre is cut off
	if !ok {
		p.bad(nil, "size", want)
		return 0
	}
	exp := byte(0)
	for v >= 10 {
		v, exp = v/10, exp+1
	}
	return byte(v)<<4 | exp
}

// parseFixed reads a decimal number with at most places digits behind the dot
// and returns it times ten to the power of places.
func parseFixed(s []byte, places int, limit uint64) (uint64, bool) {
	whole, frac, dot := bytes.Cut(s, []byte{'.'})
	if dot && len(frac) == 0 || len(frac) > places {
		return 0, false
	}
	v, ok := parseUint(whole, limit)
	if !ok {
		return 0, false
	}
	for i := range places {
		v *= 10
		if i < len(frac) {
			if !isDigit(frac[i]) {
				return 0, false
			}
			v += uint64(frac[i] - '0')
		}
	}
	return v, v <= limit
}

// appendLOCText fails for another version than 0 and for values that the text
// cannot say.
func appendLOCText(dst, b []byte) ([]byte, bool) {
	if b[0] != 0 {
		return dst, false
	}
	be := binary.BigEndian
	dst, ok1 := appendAngle(dst, be.Uint32(b[4:]), 90, 'N', 'S')
	dst, ok2 := appendAngle(append(dst, ' '), be.Uint32(b[8:]), 180, 'E', 'W')
	dst = append(dst, ' ')
	alt := int64(be.Uint32(b[12:])) - locSea
	if alt < 0 {
		dst, alt = append(dst, '-'), -alt
	}
	dst = appendMetres(dst, uint64(alt))
	for _, c := range b[1:4] {
		mantissa, exp := uint64(c>>4), c&15
		if mantissa > 9 || exp > 9 || mantissa == 0 && exp > 0 {
			return dst, false
		}
		for ; exp > 0; exp-- {
			mantissa *= 10
		}
		dst = appendMetres(append(dst, ' '), mantissa)
	}
	return dst, ok1 && ok2
}

func appendAngle(dst []byte, v uint32, limit int64, plus, minus byte) ([]byte, bool) {
	direction, a := plus, int64(v)-locEquator
	if a < 0 {
		direction, a = minus, -a
	}
	dst = append(appendUint(dst, uint64(a/locDegree)), ' ')
	dst = append(appendUint(dst, uint64(a/60000%60)), ' ')
	dst = appendFixed(dst, uint64(a%60000), 1000)
	return append(dst, ' ', direction), a <= limit*locDegree
}

func appendMetres(dst []byte, cm uint64) []byte { return append(appendFixed(dst, cm, 100), 'm') }

// appendFixed writes v divided by unit, a power of ten, with all its places.
func appendFixed(dst []byte, v, unit uint64) []byte {
	dst = append(appendUint(dst, v/unit), '.')
	for unit /= 10; unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(v/unit%10))
	}
	return dst
}
