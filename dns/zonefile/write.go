package zonefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"onoma/dns"
)

// Where the columns of Write's output begin.
const (
	ttlColumn   = 24
	classColumn = 32
	typeColumn  = 35
	rdataColumn = 42
)

// Write prints records as a master file for people: $ORIGIN and $TTL first,
// names relative to origin, an owner only where it changes, columns, and the
// numbers of the SOA on lines of their own with what they mean. $TTL is the TTL
// of the first record, mostly the SOA. A zero origin leaves all names absolute.
// The text reads back to the same records in the same order, with
// Options.Class set where the class is not IN.
func Write(w io.Writer, origin dns.Name, records iter.Seq[dns.Record]) error {
	p := printer{origin: origin.Append(nil)}
	return writeEach(w, records, p.appendRecord)
}

// WriteLines prints records one on each line, with absolute names and every
// field, for diff and for programs.
func WriteLines(w io.Writer, records iter.Seq[dns.Record]) error {
	return writeEach(w, records, func(dst []byte, r *dns.Record) []byte {
		return append(r.AppendText(dst), '\n')
	})
}

func writeEach(w io.Writer, records iter.Seq[dns.Record], appendText func([]byte, *dns.Record) []byte) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	var r dns.Record
	for r = range records {
		if r.Name.IsZero() {
			return fmt.Errorf("writing zone: %s record without an owner", r.Type)
		}
		line = appendText(line[:0], &r)
		if _, err := buf.Write(line); err != nil {
			return fmt.Errorf("writing zone: %w", err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("writing zone: %w", err)
	}
	return nil
}

// printer prints records for people.
type printer struct {
	origin []byte   // empty: all names stay absolute
	last   dns.Name // the owner before; zero: none
	ttl    uint32
	name   []byte // scratch
}

func (p *printer) appendRecord(dst []byte, r *dns.Record) []byte {
	if p.last.IsZero() {
		dst = p.appendHeading(dst, r)
	}
	start := len(dst)
	if r.Name != p.last {
		p.name = r.Name.Append(p.name[:0])
		dst = p.appendName(dst, p.name)
		p.last = r.Name
	}
	if r.TTL != p.ttl {
		dst = strconv.AppendUint(pad(dst, start, ttlColumn), uint64(r.TTL), 10)
	}
	dst = append(pad(dst, start, classColumn), r.Class.String()...)
	dst = r.Type.Append(pad(dst, start, typeColumn))
	dst = p.appendRData(pad(dst, start, rdataColumn), r)
	return append(dst, '\n')
}

func (p *printer) appendHeading(dst []byte, first *dns.Record) []byte {
	if len(p.origin) > 0 {
		dst = append(dst, "$ORIGIN "...)
		dst = dns.AppendNameText(dst, p.origin)
		dst = append(dst, '\n')
	}
	p.ttl = first.TTL
	dst = append(dst, "$TTL "...)
	dst = strconv.AppendUint(dst, uint64(p.ttl), 10)
	return append(dst, '\n')
}

// pad appends blanks up to the column, at least one.
func pad(dst []byte, start, column int) []byte {
	dst = append(dst, ' ')
	for len(dst)-start < column {
		dst = append(dst, ' ')
	}
	return dst
}

// appendName appends a name relative to the origin where that loses nothing: a
// name whose ending differs in case from the origin stays absolute, and so do
// those of the root zone, for the eye.
func (p *printer) appendName(dst, name []byte) []byte {
	cut := len(name) - len(p.origin)
	if len(p.origin) <= 1 || cut < 0 || !bytes.Equal(name[cut:], p.origin) ||
		!dns.IsSubdomain(name, p.origin) { // the cut is not between labels
		return dns.AppendNameText(dst, name)
	}
	if cut == 0 {
		return append(dst, '@')
	}
	p.name = append(append(p.name[:0], name[:cut]...), 0)
	dst = dns.AppendNameText(dst, p.name)
	return dst[:len(dst)-1] // without the final dot
}

// numbersBeforeName says of the types whose rdata is a name, with so many
// numbers of 16 bits before it, how many these are.
var numbersBeforeName = map[dns.Type]int{
	dns.TypeNS: 0, dns.TypeCNAME: 0, dns.TypeDNAME: 0, dns.TypePTR: 0,
	dns.TypeMX: 1, dns.TypeAFSDB: 1, dns.TypeRT: 1, dns.TypeKX: 1, dns.TypeLP: 1,
	dns.TypeSRV: 3,
}

func (p *printer) appendRData(dst []byte, r *dns.Record) []byte {
	numbers, plain := numbersBeforeName[r.Type]
	switch {
	case dns.CheckRData(r.Type, r.Data) != nil:
	case r.Type == dns.TypeSOA:
		return p.appendSOA(dst, r.Data)
	case plain:
		data := r.Data
		for ; numbers > 0; numbers-- {
			dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(data)), 10)
			dst, data = append(dst, ' '), data[2:]
		}
		return p.appendName(dst, data)
	}
	return dns.AppendRDataText(dst, r.Type, r.Data)
}

// appendSOA appends the data of an SOA, checked, over several lines.
func (p *printer) appendSOA(dst []byte, data dns.RData) []byte {
	for range 2 { // the checked data begins with two names
		n, _ := dns.WireNameLen(data)
		dst = append(p.appendName(dst, data[:n]), ' ')
		data = data[n:]
	}
	dst = append(dst, '(')
	for i, meaning := range [...]string{"serial", "refresh", "retry", "expire", "negative answers"} {
		v := binary.BigEndian.Uint32(data[4*i:])
		dst = append(dst, '\n')
		start := len(dst)
		dst = strconv.AppendUint(pad(dst, start, rdataColumn), uint64(v), 10)
		dst = append(pad(dst, start, rdataColumn+11), "; "...)
		dst = append(dst, meaning...)
		if i > 0 {
			dst = append(dst, ": "...)
			dst = append(dst, duration(v)...)
		}
	}
	dst = append(dst, '\n')
	return append(pad(dst, len(dst), rdataColumn), ')')
}

// duration says seconds in words: "1 day 12 hours".
func duration(seconds uint32) string {
	if seconds == 0 {
		return "0 seconds"
	}
	var words []string
	for _, u := range []struct {
		name string
		size uint32
	}{{"week", 604800}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}} {
		n := seconds / u.size
		seconds %= u.size
		switch {
		case n == 1:
			words = append(words, "1 "+u.name)
		case n > 1:
			words = append(words, strconv.Itoa(int(n))+" "+u.name+"s")
		}
	}
	return strings.Join(words, " ")
}
