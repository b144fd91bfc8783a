package upstream

import "encoding/binary"

const (
	paddedTo  = 128 // RFC 8467 §4.1
	typeOPT   = 41
	padding   = 12 // RFC 7830 §3
	fixedPart = 11 // of an OPT record: owner, type, class, TTL, length
)

// padded returns query with a length that tells little, for a connection that
// others cannot read. A query whose last record is not OPT stays as it is.
func padded(query []byte) []byte {
	opt := questionEnd(query)
	if opt < 0 || len(query) < opt+fixedPart || query[opt] != 0 || binary.BigEndian.Uint16(query[opt+1:]) != typeOPT {
		return query
	}
	length := int(binary.BigEndian.Uint16(query[opt+9:]))
	if opt+fixedPart+length != len(query) {
		return query
	}
	n := -(len(query) + 4) & (paddedTo - 1)
	out := append(make([]byte, 0, len(query)+4+n), query...)
	out = binary.BigEndian.AppendUint16(out, padding)
	out = binary.BigEndian.AppendUint16(out, uint16(n))
	out = append(out, make([]byte, n)...)
	binary.BigEndian.PutUint16(out[opt+9:], uint16(length+4+n))
	return out
}

// questionEnd returns where a query's one question ends, which is all that stands
// before its OPT record; -1 where it is another kind of query.
func questionEnd(query []byte) int {
	const one = 1<<48 | 1 // one question, one additional record
	if binary.BigEndian.Uint64(query[4:]) != one {
		return -1
	}
	i := headerLen
	for i < len(query) && query[i] != 0 {
		i += 1 + int(query[i])
	}
	return i + 5
}
