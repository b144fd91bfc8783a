package transport

import (
	"bytes"
	"encoding/binary"
)

// Comparison is how a message compares with what is waited for.
type Comparison int

// What Match finds.
const (
	Matches       Comparison = iota
	Malformed                // shorter than a header, or not a reply
	OtherID                  // another ID
	OtherQuestion            // the right ID, another opcode or question
)

// Match compares a message with the query that it may be the reply to: ID, QR, opcode, and the question section byte for
// byte, names without regard to case (RFC 5452 §9.1). Whether a server kept the case is for the caller to judge.
func Match(query, msg []byte) Comparison {
	switch {
	case len(msg) < headerLen || msg[2]&0x80 == 0:
		return Malformed
	case msg[0] != query[0] || msg[1] != query[1]:
		return OtherID
	case (msg[2]^query[2])&0x78 != 0:
		return OtherQuestion
	case bytes.Equal(msg[4:6], query[4:6]) && sameQuestions(query, msg), errorWithoutQuestion(msg):
		return Matches
	}
	return OtherQuestion
}

// errorWithoutQuestion accepts the bare header that some servers send when they could not or would not read the query: it
// says nothing that could be cached, and RFC 6891 §7 wants FORMERR understood from servers that know no EDNS.
func errorWithoutQuestion(msg []byte) bool {
	const formErr, servFail, notImp, refused = 1, 2, 4, 5
	if binary.BigEndian.Uint64(msg[4:]) != 0 {
		return false
	}
	switch msg[3] & 0x0f {
	case formErr, servFail, notImp, refused:
		return true
	}
	return false
}

// sameQuestions compares question sections that claim the same number of entries.
func sameQuestions(query, msg []byte) bool {
	end := questionsEnd(query)
	if end < 0 || len(msg) < end {
		return false
	}
	q, m := query[headerLen:end], msg[headerLen:end]
	for len(q) > 0 {
		n := questionEnd(q)
		name := n - 4
		if !equalFold(q[:name], m[:name]) || !bytes.Equal(q[name:n], m[name:n]) {
			return false
		}
		q, m = q[n:], m[n:]
	}
	return true
}

// equalFold compares names in wire form. Lengths of labels are below 'A', so folding leaves them alone.
func equalFold(a, b []byte) bool {
	for i, x := range a {
		if lower(x) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

// questionsEnd returns where the question section of a query ends, -1 if it does not.
func questionsEnd(query []byte) int {
	end := headerLen
	for range binary.BigEndian.Uint16(query[4:]) {
		n := questionEnd(query[end:])
		if n < 0 {
			return -1
		}
		end += n
	}
	return end
}

// questionEnd returns the length of the question at the start of b: a name without pointers, type and class; -1 if b does
// not start with one.
func questionEnd(b []byte) int {
	for i := 0; i < len(b) && b[i] < 64; i += 1 + int(b[i]) {
		if b[i] == 0 {
			if i+5 > len(b) {
				return -1
			}
			return i + 5
		}
	}
	return -1
}
