package dns

import (
	"encoding/binary"
	"errors"
)

// Errors of whole messages: each is a FORMERR to the sender, unless the message
// is too short to have a header and gets no answer.
var (
	ErrQuestionCount = errors.New("a query has exactly one question")
	ErrTrailing      = errors.New("octets behind the last record")
	ErrManyOPT       = errors.New("more than one OPT record")
	ErrBadOPT        = errors.New("malformed OPT record")
	ErrOPTPlace      = errors.New("OPT record outside the additional section")
	ErrTSIGPlace     = errors.New("TSIG record that is not the last one")
)

// Query is a request read in place: its slices alias the message. The zero
// value is ready; Parse may be called again and again on one Query.
type Query struct {
	Header
	Name   []byte // the name asked for, uncompressed, as the client wrote it
	Type   Type
	Class  Class
	End    int  // offset behind the question
	EDNS   bool // an OPT record was there; the fields below are its
	DO     bool // DNSSEC records wanted (RFC 3225)
	CO     bool // compact denial of existence understood (RFC 9824 §5.1)
	Vers   uint8
	Size   uint16 // UDP payload size that the client can take, as it said
	Opts   []byte // the options, checked: NextOption walks them without failing
	TSIGAt int    // offset of the TSIG record, 0 where there is none
	SIG0At int    // offset of a SIG record that is the last one, 0 where there is none
}

// Parse reads msg. On an error the header is valid unless the error is
// ErrTruncated on fewer than 12 octets; Name is nil unless the question was read.
// Without a question, what follows is read all the same (RFC 7873 §5.4), and the
// error is ErrQuestionCount.
// The work is linear in the length of msg, whatever its counts claim.
func (q *Query) Parse(msg []byte) error {
	*q = Query{}
	var ok bool
	if q.Header, ok = ParseHeader(msg); !ok {
		return ErrTruncated
	}
	if q.Questions != 1 {
		return q.parseWithoutQuestion(msg)
	}
	off, err := q.parseQuestion(msg)
	if err != nil {
		return err
	}
	if q.Answers|q.Authority|q.Additional == 0 {
		if off != len(msg) {
			return ErrTrailing
		}
		return nil
	}
	return q.parseRecords(msg, off)
}

func (q *Query) parseWithoutQuestion(msg []byte) error {
	if q.Questions == 0 && q.Additional > 0 {
		if err := q.parseRecords(msg, HeaderLen); err != nil {
			return err
		}
	}
	return ErrQuestionCount
}

// QuestionName returns the name in the question of msg, in place; ok is false
// where there is none that can be read.
func QuestionName(msg []byte) (name []byte, ok bool) {
	if len(msg) <= HeaderLen || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return nil, false
	}
	n, err := wireNameLen(msg[HeaderLen:])
	if err != nil {
		return nil, false
	}
	return msg[HeaderLen : HeaderLen+n], true
}

// parseQuestion reads the question. Its name is the first of the message, so
// there is nothing that a compression pointer in it could properly point to.
func (q *Query) parseQuestion(msg []byte) (int, error) {
	n, err := wireNameLen(msg[HeaderLen:])
	if err != nil {
		return 0, err
	}
	end := HeaderLen + n + 4
	if end > len(msg) {
		return 0, ErrTruncated
	}
	q.Name = msg[HeaderLen : HeaderLen+n : HeaderLen+n]
	q.Type = Type(binary.BigEndian.Uint16(msg[end-4:]))
	q.Class = Class(binary.BigEndian.Uint16(msg[end-2:]))
	q.End = end
	return end, nil
}

func (q *Query) parseRecords(msg []byte, off int) error {
	before := int(q.Answers) + int(q.Authority)
	total := before + int(q.Additional)
	for i := range total {
		r, err := parseRecordHead(msg, off)
		if err != nil {
			return err
		}
		switch {
		case r.typ == TypeOPT && i < before:
			return ErrOPTPlace
		case r.typ == TypeOPT:
			if err := q.parseOPT(msg, off, r); err != nil {
				return err
			}
		case r.typ == TypeTSIG:
			// RFC 8945 §5.1: last record of the additional section, or FORMERR.
			if i != total-1 || i < before {
				return ErrTSIGPlace
			}
			q.TSIGAt = off
		case r.typ == TypeSIG && i == total-1 && i >= before:
			q.SIG0At = off // RFC 2931 §3.1
		}
		off = r.end
	}
	if off != len(msg) {
		return ErrTrailing
	}
	return nil
}

func (q *Query) parseOPT(msg []byte, off int, r recordHead) error {
	switch {
	case q.EDNS:
		return ErrManyOPT // RFC 6891 §6.1.1
	case msg[off] != 0:
		return ErrBadOPT // RFC 6891 §6.1.2: the owner is the root
	case !validOptions(msg[r.data:r.end]):
		return ErrBadOPT
	}
	q.EDNS = true
	q.Size = uint16(r.class)
	q.Vers = uint8(r.ttl >> 16)
	q.DO, q.CO = r.ttl&ednsDO != 0, r.ttl&ednsCO != 0
	q.Opts = msg[r.data:r.end:r.end]
	return nil
}

// recordHead is where the parts of a record stand in a message.
type recordHead struct {
	typ   Type
	class Class
	ttl   uint32
	data  int // offset of the rdata
	end   int // offset behind the record
}

// parseRecordHead reads the record at msg[off:] up to its rdata. The owner name
// is skipped, not followed.
func parseRecordHead(msg []byte, off int) (recordHead, error) {
	off, err := SkipName(msg, off)
	if err != nil {
		return recordHead{}, err
	}
	if off+10 > len(msg) {
		return recordHead{}, ErrTruncated
	}
	be := binary.BigEndian
	r := recordHead{
		typ:   Type(be.Uint16(msg[off:])),
		class: Class(be.Uint16(msg[off+2:])),
		ttl:   be.Uint32(msg[off+4:]),
		data:  off + 10,
	}
	r.end = r.data + int(be.Uint16(msg[off+8:]))
	if r.end > len(msg) {
		return recordHead{}, ErrTruncated
	}
	return r, nil
}
