package secondary

import (
	"encoding/binary"
	"errors"
	"fmt"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

// sink takes the records of a transfer in their order. A record's name and rdata
// are good until the call returns, rdata of the next one may be in the same place.
type sink interface {
	add(r dns.Record) error    // of the whole zone, the SOA record first
	remove(r dns.Record) error // of a difference
	insert(r dns.Record) error // of a difference
}

// incoming reads the messages of one transfer, one at a time, and checks them as
// RFC 5936 §2.2 and RFC 1995 §4 have it. It does no I/O, and keeps no more than
// one SOA record.
type incoming struct {
	question dns.Question
	id       uint16
	ours     uint32 // serial number of our version, for IXFR
	limits   Limits
	sink     sink

	state     state
	kind      authority.TransferKind
	soa       []byte // rdata of the first record
	serial    uint32 // its serial number
	at        uint32 // serial number that the difference has come to
	messages  int
	records   int
	octets    int64
	expire    uint32 // of the EXPIRE option
	hasExpire bool

	rec   dns.Record // scratch
	name  [dns.MaxNameLen]byte
	rdata []byte
}

// state says what the next record is.
type state uint8

const (
	stateFirst    state = iota // the SOA record that begins all
	stateSecond                // what says which form the answer has
	stateWhole                 // a record of the zone, or the last SOA
	stateRemoving              // a record that goes, or the SOA of the next version
	stateAdding                // a record that comes, or a SOA: of a further difference, or the last
	stateDone
)

// rcodeError is an answer that is an error.
type rcodeError dns.RCode

func (e rcodeError) Error() string { return "it answers " + dns.RCode(e).String() }

// Errors of a transfer that say more than that it is bad.
var (
	errLater = errors.New("a record behind the end of the transfer")
	errEmpty = errors.New("nothing but a SOA record")
	errOnly  = errors.New("the SOA record alone, of a version that is newer") // RFC 1995 §2: the difference is not to be had
)

// message takes the next message, without its TSIG.
func (in *incoming) message(msg []byte) error {
	in.messages++
	in.octets += int64(len(msg))
	if in.octets > in.limits.Octets {
		return fmt.Errorf("more than %d octets", in.limits.Octets)
	}
	if in.state == stateDone {
		return errLater
	}
	h, ok := dns.ParseHeader(msg)
	if !ok {
		return fmt.Errorf("message of %d octets: %w", len(msg), dns.ErrTruncated)
	}
	if err := in.header(h); err != nil {
		return err
	}
	off, err := in.questions(msg, int(h.Questions))
	if err != nil {
		return err
	}
	if h.Answers == 0 {
		return errors.New("a message without records")
	}
	end, err := skipRecords(msg, off, int(h.Answers))
	if err != nil {
		return err
	}
	// The options come first: the answer's form may depend on them.
	if err := in.options(msg, end, int(h.Authority), int(h.Additional)); err != nil {
		return err
	}
	for range h.Answers {
		if off, err = in.record(msg, off); err != nil {
			return fmt.Errorf("record %d: %w", in.records, err)
		}
	}
	return in.single()
}

// single ends the answer that has the SOA record alone: there is nothing new.
func (in *incoming) single() error {
	if in.state == stateSecond && in.question.Type == dns.TypeIXFR && !zone.IsNewer(in.serial, in.ours) {
		in.state, in.kind = stateDone, authority.UpToDate
	}
	return nil
}

// header: RFC 5936 §2.2.1. That section wants AA set, too, which Knot 3.2 does not
// do; what comes is no less the zone.
func (in *incoming) header(h dns.Header) error {
	switch {
	case h.ID != in.id:
		return fmt.Errorf("message %d has ID %d, expected %d", in.messages, h.ID, in.id)
	case !h.Flags.Has(dns.FlagQR) || h.Flags.Opcode() != dns.OpcodeQuery:
		return fmt.Errorf("message %d is no answer to a query", in.messages)
	case h.Flags.RCode() != dns.RCodeNoError:
		return rcodeError(h.Flags.RCode())
	case h.Flags.Has(dns.FlagTC):
		return fmt.Errorf("message %d is truncated", in.messages)
	}
	return nil
}

// questions: RFC 5936 §2.2.1 has the question in the first message, and may have
// it in others.
func (in *incoming) questions(msg []byte, n int) (off int, err error) {
	off = dns.HeaderLen
	if n > 1 || n == 0 && in.messages == 1 {
		return off, fmt.Errorf("message %d has %d questions, expected one", in.messages, n)
	}
	if n == 0 {
		return off, nil
	}
	name, off, err := dns.UnpackName(in.name[:0], msg, off)
	if err != nil || len(msg)-off < 4 {
		return off, fmt.Errorf("question: %w", errors.Join(err, dns.ErrTruncated))
	}
	be, q := binary.BigEndian, in.question
	if !dns.EqualNames(name, []byte(q.Name.Wire())) || dns.Type(be.Uint16(msg[off:])) != q.Type || dns.Class(be.Uint16(msg[off+2:])) != q.Class {
		return off, fmt.Errorf("message %d answers another question than %s", in.messages, q)
	}
	return off + 4, nil
}

const recordHead = 10 // type, class, TTL and length of the rdata

func skipRecords(msg []byte, off, n int) (int, error) {
	var err error
	for range n {
		if off, err = dns.SkipName(msg, off); err != nil {
			return off, err
		}
		if len(msg)-off < recordHead {
			return off, dns.ErrTruncated
		}
		off += recordHead + int(binary.BigEndian.Uint16(msg[off+8:]))
		if off > len(msg) {
			return off, dns.ErrTruncated
		}
	}
	return off, nil
}

// options reads the OPT record, if there is one behind the answer. Everything else
// there is ignored (RFC 5936 §2.2.4 and §2.2.5).
func (in *incoming) options(msg []byte, off, authority, additional int) (err error) {
	if off, err = skipRecords(msg, off, authority); err != nil {
		return err
	}
	for range additional {
		next, err := skipRecords(msg, off, 1)
		if err != nil {
			return err
		}
		if at, err := dns.SkipName(msg, off); err == nil && dns.Type(binary.BigEndian.Uint16(msg[at:])) == dns.TypeOPT {
			if high := msg[at+4]; high != 0 {
				return rcodeError(uint16(high) << 4)
			}
			in.opt(msg[at+recordHead : next])
		}
		off = next
	}
	if off != len(msg) {
		return dns.ErrTrailing
	}
	return nil
}

// opt looks for EXPIRE (RFC 7314 §3).
func (in *incoming) opt(opts []byte) {
	for len(opts) >= 4 {
		n := int(binary.BigEndian.Uint16(opts[2:]))
		if len(opts) < 4+n {
			return
		}
		if dns.OptionCode(binary.BigEndian.Uint16(opts)) == dns.OptionExpire && n == 4 {
			in.expire, in.hasExpire = binary.BigEndian.Uint32(opts[4:]), true
		}
		opts = opts[4+n:]
	}
}

// record reads the record at off, and returns where the next one begins.
func (in *incoming) record(msg []byte, off int) (next int, err error) {
	if in.records++; in.records > in.limits.Records {
		return off, fmt.Errorf("more than %d records", in.limits.Records)
	}
	owner, off, err := dns.UnpackName(in.name[:0], msg, off)
	if err != nil {
		return off, fmt.Errorf("name: %w", err)
	}
	be, r := binary.BigEndian, &in.rec
	if string(owner) != r.Name.Wire() || r.Name.IsZero() {
		if r.Name, err = dns.NameFromWire(owner); err != nil {
			return off, fmt.Errorf("name: %w", err)
		}
	}
	r.Type, r.Class, r.TTL = dns.Type(be.Uint16(msg[off:])), dns.Class(be.Uint16(msg[off+2:])), be.Uint32(msg[off+4:])
	if r.TTL > dns.MaxTTL {
		r.TTL = 0 // RFC 2181 §8
	}
	n := int(be.Uint16(msg[off+8:]))
	off += recordHead
	if in.rdata, err = dns.UnpackRData(in.rdata[:0], msg, off, n, r.Type); err == nil {
		err = dns.CheckRData(r.Type, in.rdata)
	}
	if err != nil {
		return off, fmt.Errorf("%s %s: %w", r.Name, r.Type, err)
	}
	r.Data = in.rdata
	if err := in.check(r); err != nil {
		return off, fmt.Errorf("%s %s: %w", r.Name, r.Type, err)
	}
	return off + n, in.take(r)
}

// check refuses what cannot be in the zone.
func (in *incoming) check(r *dns.Record) error {
	switch {
	case r.Class != in.question.Class:
		return fmt.Errorf("class %s, expected %s", r.Class, in.question.Class)
	case r.Type.IsMeta():
		return zone.ErrMetaType
	case !r.Name.IsSubdomainOf(in.question.Name):
		return zone.ErrOutOfZone
	case r.Type == dns.TypeSOA && !r.Name.Equal(in.question.Name):
		return errors.New("a SOA record below the apex")
	}
	return nil
}

// take puts a record where it belongs.
func (in *incoming) take(r *dns.Record) error {
	isSOA := r.Type == dns.TypeSOA
	switch in.state {
	case stateFirst:
		if !isSOA {
			return fmt.Errorf("the first record is %s %s, expected the SOA record", r.Name, r.Type)
		}
		in.soa, in.serial, in.state = append([]byte(nil), r.Data...), dns.SOASerial(r.Data), stateSecond
		if in.question.Type == dns.TypeAXFR {
			in.state = stateWhole
			return in.sink.add(*r)
		}
	case stateSecond:
		return in.second(r, isSOA)
	case stateWhole:
		if isSOA {
			return in.last(r)
		}
		return in.sink.add(*r)
	case stateRemoving:
		if isSOA {
			return in.version(r)
		}
		return in.sink.remove(*r)
	case stateAdding:
		if isSOA {
			return in.further(r)
		}
		return in.sink.insert(*r)
	case stateDone:
		return errLater
	}
	return nil
}

// second: RFC 1995 §4: a difference begins with the SOA record of our version,
// the whole zone goes on with anything else.
func (in *incoming) second(r *dns.Record, isSOA bool) error {
	if isSOA && dns.SOASerial(r.Data) != in.serial {
		in.kind, in.at = authority.Incremental, in.ours
		return in.old(r)
	}
	in.kind, in.state = authority.WholeInstead, stateWhole
	soa := dns.Record{Name: in.question.Name, Type: dns.TypeSOA, Class: r.Class, TTL: r.TTL, Data: in.soa}
	if err := in.sink.add(soa); err != nil {
		return err
	}
	if isSOA {
		return in.last(r)
	}
	return in.sink.add(*r)
}

// last is the SOA record that ends the whole zone: the same as the first (RFC
// 5936 §2.2).
func (in *incoming) last(r *dns.Record) error {
	switch {
	case !dns.EqualRData(dns.TypeSOA, in.soa, r.Data):
		return fmt.Errorf("the last SOA record, of version %d, is not the first one, of %d", dns.SOASerial(r.Data), in.serial)
	case in.records == 2:
		return errEmpty
	}
	in.state = stateDone
	return nil
}

// old is the SOA record of the version that a difference begins at.
func (in *incoming) old(r *dns.Record) error {
	if serial := dns.SOASerial(r.Data); serial != in.at {
		return fmt.Errorf("a difference from version %d, expected one from %d", serial, in.at)
	}
	in.state = stateRemoving
	return in.sink.remove(*r)
}

// version is the SOA record of the version that a difference leads to.
func (in *incoming) version(r *dns.Record) error {
	serial := dns.SOASerial(r.Data)
	if !zone.IsNewer(serial, in.at) {
		return fmt.Errorf("a difference from version %d to %d, which is not newer", in.at, serial)
	}
	in.at, in.state = serial, stateAdding
	return in.sink.insert(*r)
}

// further is the SOA record behind a difference.
func (in *incoming) further(r *dns.Record) error {
	if in.at != in.serial {
		return in.old(r)
	}
	if !dns.EqualRData(dns.TypeSOA, in.soa, r.Data) {
		return fmt.Errorf("the last SOA record, of version %d, is not the first one, of %d", dns.SOASerial(r.Data), in.serial)
	}
	in.state = stateDone
	return nil
}
