package dns

import "bytes"

// AppendCanonicalRData appends the canonical form of rdata to dst: names in
// lower case for the types that RFC 4034 §6.2 lists, corrected by RFC 6840
// §5.1 (not the next name of NSEC). Rdata is uncompressed already.
func AppendCanonicalRData(dst []byte, t Type, rdata []byte) []byte {
	start := len(dst)
	dst = append(dst, rdata...)
	if d := descriptorOf(t); d == nil || !d.folds {
		return dst
	}
	names := namesIn(t, rdata)
	for s, ok := names.next(); ok; s, ok = names.next() {
		if s.kind.folds() {
			foldBytes(dst[start+s.start : start+s.end])
		}
	}
	return dst
}

// CompareCanonicalRData orders rdata of type t as RFC 4034 §6.3 does: their
// canonical forms as octets, an absent octet before any other.
func CompareCanonicalRData(t Type, a, b []byte) int {
	if d := descriptorOf(t); d == nil || !d.folds {
		return bytes.Compare(a, b)
	}
	return compareNamed(t, a, b, kind.folds)
}

// EqualRData reports whether a and b are the same rdata of type t, the case of
// names ignored where the type is known (RFC 2136 §1.1, RFC 3597 §6).
func EqualRData(t Type, a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	return bytes.Equal(a, b) || HasNames(t) && compareNamed(t, a, b, kind.isName) == 0
}

// compareNamed compares octets, those of names for which fold holds in lower
// case. Where the octets before a name are equal, the name starts at the same
// place in both: octets that differ earlier decide before that matters.
func compareNamed(t Type, a, b []byte, fold func(kind) bool) int {
	as, bs := namesIn(t, a), namesIn(t, b)
	done := 0
	for {
		x, ok1 := as.next()
		y, ok2 := bs.next()
		if !ok1 || !ok2 || x.start != y.start {
			break
		}
		if c := bytes.Compare(a[done:x.start], b[done:y.start]); c != 0 {
			return c
		}
		if !fold(x.kind) {
			done = x.start
			continue
		}
		// A name ends with the first zero length octet: where these are equal as
		// far as the shorter one goes, they are equally long.
		n := min(x.end, y.end)
		if c := compareLabels(a[x.start:n], b[y.start:n]); c != 0 {
			return c
		}
		done = n
	}
	return bytes.Compare(a[done:], b[done:])
}
