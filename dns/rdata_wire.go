package dns

import (
	"encoding/binary"
	"errors"
	"slices"
)

// ErrBadRData is what every complaint about the wire form of rdata is: they
// all match it with errors.Is.
var ErrBadRData = errors.New("malformed rdata")

// rdataError is a complaint about the wire form of rdata. They are constants:
// a hostile message must not cost an allocation for each of its faults.
type rdataError string

func (e rdataError) Error() string        { return "malformed rdata: " + string(e) }
func (e rdataError) Is(target error) bool { return target == ErrBadRData }

const (
	errShortRData    = rdataError("it ends within a field")
	errTrailingRData = rdataError("octets behind its last field")
	errLongRData     = rdataError("longer than 65535 octets")
	errNoString      = rdataError("no character-string")
	errEmptyTag      = rdataError("empty tag")
	errBadRDataName  = rdataError("bad or compressed name")
)

// maxRData is the most octets of rdata (RFC 1035 §3.2.1).
const maxRData = 1<<16 - 1

// CheckRData reports whether rdata, with its names uncompressed, is a
// well-formed rdata of type t. Rdata of an unknown type always is.
//
// The empty rdata that RFC 2136 has in updates is for the caller to recognise.
func CheckRData(t Type, rdata []byte) error {
	if len(rdata) > maxRData {
		return errLongRData
	}
	d := descriptorOf(t)
	switch {
	case d == nil || d.fields == nil:
		return nil
	case d.fixed > 0 && len(rdata) == d.fixed:
		return nil
	}
	pos := 0
	for _, k := range d.fields {
		n, err := fieldLen(k, rdata, pos)
		if err != nil {
			return err
		}
		pos += n
	}
	if pos != len(rdata) {
		return errTrailingRData
	}
	return nil
}

// UnpackRData reads the rdata of type t that is the n octets at msg[off:],
// checks it and appends it to dst with its names uncompressed. Names are
// decompressed for the types of RFC 1035 and those that RFC 3597 §4 lists;
// elsewhere a compressed name is an error.
func UnpackRData(dst, msg []byte, off, n int, t Type) ([]byte, error) {
	if off < 0 || n < 0 || off > len(msg) || n > len(msg)-off {
		return dst, ErrTruncated
	}
	rdata := msg[off : off+n]
	if !HasNames(t) {
		if err := CheckRData(t, rdata); err != nil {
			return dst, err
		}
		return append(dst, rdata...), nil
	}
	start, pos := len(dst), 0
	for _, k := range fieldsOf(t) {
		if k == nameC || k == nameD {
			// The name may lead out of the rdata by a pointer but not run past its end.
			name, next, err := UnpackName(dst, msg[:off+n], off+pos)
			if err != nil {
				return dst[:start], err
			}
			dst, pos = name, next-off
			continue
		}
		w, err := fieldLen(k, rdata, pos)
		if err != nil {
			return dst[:start], err
		}
		dst = append(dst, rdata[pos:pos+w]...)
		pos += w
	}
	switch {
	case pos != n:
		return dst[:start], errTrailingRData
	case len(dst)-start > maxRData:
		return dst[:start], errLongRData
	}
	return dst, nil
}

// fieldLen returns the length of the field of kind k at rdata[pos:], having
// checked it. It never reads behind rdata and its work is linear in the field.
func fieldLen(k kind, rdata []byte, pos int) (int, error) {
	b := rdata[pos:]
	if n := k.width(); n > 0 {
		if n > len(b) {
			return 0, errShortRData
		}
		return n, nil
	}
	switch k {
	case nameC, nameD, nameL, nameP:
		return nameFieldLen(b)
	case names:
		return namesFieldLen(b)
	case a6Name:
		if rdata[0] == 0 {
			return 0, nil
		}
		return nameFieldLen(b)
	case gateway, relay:
		return gatewayLen(gatewayForm(k, rdata), b)
	case text:
		return stringLen(b)
	case textOpt:
		if len(b) == 0 {
			return 0, nil
		}
		return stringLen(b)
	case texts:
		return stringsLen(b)
	case tag:
		if len(b) > 0 && b[0] == 0 {
			return 0, errEmptyTag
		}
		return stringLen(b)
	case hexLen8, b32Len8:
		return stringLen(b)
	case b64Len16:
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return 0, errShortRData
		}
		return 2 + int(binary.BigEndian.Uint16(b)), nil
	}
	return specialLen(k, b)
}

// specialLen is fieldLen for the kinds that have a file of their own, and for
// those that take whatever is left.
func specialLen(k kind, b []byte) (int, error) {
	var err error
	switch k {
	case hostID:
		return hostIDLen(b)
	case a6Suffix:
		return a6SuffixLen(b)
	case bitmap:
		err = checkBitmap(b)
	case bitmapNXT:
		err = checkNXTBitmap(b)
	case location:
		err = checkLOC(b)
	case prefixes:
		err = checkAPL(b)
	case svcParams:
		err = checkSvcParams(b)
	case services:
		err = checkServices(b)
	}
	return len(b), err
}

func nameFieldLen(b []byte) (int, error) {
	n, err := wireNameLen(b)
	if err != nil {
		return 0, errBadRDataName
	}
	return n, nil
}

func namesFieldLen(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		w, err := nameFieldLen(b[n:])
		if err != nil {
			return 0, err
		}
		n += w
	}
	return n, nil
}

// stringLen measures a character-string with its length octet (RFC 1035 §3.3).
func stringLen(b []byte) (int, error) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return 0, errShortRData
	}
	return 1 + int(b[0]), nil
}

func stringsLen(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, errNoString
	}
	n := 0
	for n < len(b) {
		w, err := stringLen(b[n:])
		if err != nil {
			return 0, err
		}
		n += w
	}
	return n, nil
}

// nameCursor finds the names within rdata, in order. The octets between them
// are copied as they are by whoever compresses or folds the names.
type nameCursor struct {
	fields row
	rdata  []byte
	pos    int
}

// nameSpan is where a name lies in rdata, and what may be done to it.
type nameSpan struct {
	start, end int
	kind       kind
}

// compress reports whether the name may be compressed when sent: only those of
// the types of RFC 1035 (RFC 3597 §4).
func (s nameSpan) compress() bool { return s.kind == nameC }

// compressed are the types whose rdata has such names: all of RFC 1035's, so that
// their numbers are small.
var compressed = func() (t [64]bool) {
	for n := range t {
		t[n] = slices.Contains(fieldsOf(Type(n)), nameC)
	}
	return t
}()

// compresses reports whether rdata of type t may have compressed names.
func compresses(t Type) bool { return int(t) < len(compressed) && compressed[t] }

// namesIn returns a cursor over the names of rdata, which must be well-formed
// rdata of type t; on other rdata the cursor ends early.
func namesIn(t Type, rdata []byte) nameCursor {
	if !HasNames(t) {
		return nameCursor{}
	}
	return nameCursor{fieldsOf(t), rdata, 0}
}

// next returns the next name; ok is false behind the last one.
func (c *nameCursor) next() (s nameSpan, ok bool) {
	for len(c.fields) > 0 {
		k, start := c.fields[0], c.pos
		if k == names { // each name of the list is a step of its own
			if start >= len(c.rdata) {
				break
			}
			n, err := nameFieldLen(c.rdata[start:])
			c.pos += n
			return nameSpan{start, c.pos, k}, err == nil
		}
		n, err := fieldLen(k, c.rdata, start)
		if err != nil {
			break
		}
		c.fields, c.pos = c.fields[1:], start+n
		if k.isName() && n > 0 && (k != gateway && k != relay || gatewayForm(k, c.rdata) == gatewayName) {
			return nameSpan{start, c.pos, k}, true
		}
	}
	c.fields = nil
	return nameSpan{}, false
}
