package dns

import "errors"

// The functions of this file work on names as octets, for callers that hold
// them inside a message or an arena. Unless one says otherwise, its arguments
// are well-formed uncompressed names; none of them allocates.

// octets is what a name's wire form may be held in.
type octets interface{ ~string | ~[]byte }

// maxPointers bounds the compression pointers followed in one name. A name has
// at most 127 labels and each pointer of a sane encoder leads to at least one.
const maxPointers = 126

// Errors of names inside messages.
var (
	ErrTruncated  = errors.New("message ends within a field")
	ErrBadPointer = errors.New("compression pointer that does not lead backwards")
	ErrBadLabel   = errors.New("label type is neither a length nor a pointer")
)

// UnpackName reads the possibly compressed name at msg[off:] and appends its
// uncompressed form to dst. next is the offset behind the name in msg.
//
// A pointer must lead to before the run of labels that it ends, so following
// pointers always ends; RFC 1035 §4.1.4 wants "a prior occurrence".
func UnpackName(dst, msg []byte, off int) (name []byte, next int, err error) {
	start, limit, pointers := len(dst), off, 0
	next = -1
	for {
		if off >= len(msg) {
			return dst[:start], 0, ErrTruncated
		}
		c := int(msg[off])
		switch c & 0xC0 {
		case 0x00:
			if off+1+c > len(msg) {
				return dst[:start], 0, ErrTruncated
			}
			if len(dst)-start+1+c > MaxNameLen {
				return dst[:start], 0, ErrNameTooLong
			}
			dst = append(dst, msg[off:off+1+c]...)
			off += 1 + c
			if c == 0 {
				if next < 0 {
					next = off
				}
				return dst, next, nil
			}
		case 0xC0:
			if off+2 > len(msg) {
				return dst[:start], 0, ErrTruncated
			}
			if next < 0 {
				next = off + 2
			}
			target := (c&0x3F)<<8 | int(msg[off+1])
			if pointers++; target >= limit || pointers > maxPointers {
				return dst[:start], 0, ErrBadPointer
			}
			off, limit = target, target
		default:
			return dst[:start], 0, ErrBadLabel
		}
	}
}

// SkipName returns the offset behind the name at msg[off:]. It does not follow
// pointers: a name that SkipName accepts may still fail to unpack.
func SkipName(msg []byte, off int) (int, error) {
	start := off
	for off < len(msg) {
		c := int(msg[off])
		switch c & 0xC0 {
		case 0x00:
			off += 1 + c
			if off-start > MaxNameLen {
				return 0, ErrNameTooLong
			}
			if c == 0 {
				return off, nil
			}
		case 0xC0:
			if off+2 > len(msg) {
				return 0, ErrTruncated
			}
			return off + 2, nil
		default:
			return 0, ErrBadLabel
		}
	}
	return 0, ErrTruncated
}

// WireNameLen returns the length of the uncompressed name at the start of b,
// which is not trusted: it fails where that is no well-formed name.
func WireNameLen(b []byte) (int, error) { return wireNameLen(b) }

func wireNameLen[T octets](b T) (int, error) {
	for i := 0; i < len(b); {
		c := int(b[i])
		if c > MaxLabelLen {
			return 0, ErrBadLabel
		}
		i += 1 + c
		if i > MaxNameLen {
			return 0, ErrNameTooLong
		}
		if c == 0 {
			return i, nil
		}
	}
	return 0, ErrTruncated
}

// CountLabels returns the number of labels of name, the root not counted.
func CountLabels(name []byte) int { return countLabels(name) }

func countLabels[T octets](name T) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		n++
	}
	return n
}

// lower maps A-Z to a-z and every other octet to itself. Only ASCII letters
// have case in the DNS (RFC 4343 §3).
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) + 'a' - 'A'
	}
	return t
}()

func foldBytes(b []byte) {
	for i, c := range b {
		b[i] = lower[c]
	}
}

// FoldName changes the letters of name to lower case in place. Length octets
// are at most 63, below any letter, so the whole name can be folded as octets.
func FoldName(name []byte) { foldBytes(name) }

// AppendFolded appends name in lower case to dst.
func AppendFolded(dst, name []byte) []byte {
	start := len(dst)
	dst = append(dst, name...)
	foldBytes(dst[start:])
	return dst
}

// EqualNames reports whether a and b are the same name, case ignored.
func EqualNames(a, b []byte) bool { return len(a) == len(b) && equalFold(a, b) }

func equalFold[A, B octets](a A, b B) bool {
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}

// IsSubdomain reports whether name is parent or below it, case ignored.
func IsSubdomain(name, parent []byte) bool { return isSubdomain(name, parent) }

func isSubdomain[A, B octets](name A, parent B) bool {
	rest := len(name) - len(parent)
	if rest < 0 || len(parent) == 0 {
		return false
	}
	// The cut must fall on a label's border, not within a label's octets.
	for i := 0; i < rest; {
		if i += int(name[i]) + 1; i > rest {
			return false
		}
	}
	return equalFold(name[rest:], parent)
}

// CompareNames orders names canonically (RFC 4034 §6.1).
func CompareNames(a, b []byte) int { return compareNames(a, b) }

func compareNames[A, B octets](a A, b B) int {
	var aoff, boff [MaxLabels + 1]uint8
	na, nb := labelOffsets(&aoff, a), labelOffsets(&boff, b)
	for na > 0 && nb > 0 {
		na, nb = na-1, nb-1
		i, j := int(aoff[na]), int(boff[nb])
		if c := compareLabels(a[i+1:i+1+int(a[i])], b[j+1:j+1+int(b[j])]); c != 0 {
			return c
		}
	}
	return na - nb
}

func compareLabels[A, B octets](a A, b B) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := lower[a[i]], lower[b[i]]; x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

// LabelOffsets fills offs with the offset of each label's length octet, the
// leftmost first and without the root, and returns how many there are.
func LabelOffsets(offs *[MaxLabels + 1]uint8, name []byte) int { return labelOffsets(offs, name) }

func labelOffsets[T octets](offs *[MaxLabels + 1]uint8, name T) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0 && n < MaxLabels; i += int(name[i]) + 1 {
		offs[n] = uint8(i)
		n++
	}
	return n
}
