package xdp

import (
	"encoding/binary"

	"onoma/dns"
)

const (
	dnsHeader = 12
	tcBit     = 0x02 // in the third byte of the header
	typeOPT   = 41
)

// truncate cuts an answer that would need fragments (RFC 9715 §3.1) down to its header, question and OPT record, which must
// stay (RFC 6891 §7), and sets TC. It works in place and returns nothing where msg is no message.
func truncate(msg []byte, limit int) []byte {
	if len(msg) < dnsHeader {
		return nil
	}
	question, opt := outline(msg)
	out := msg[:question]
	n := uint16(0)
	if opt != nil && len(out)+len(opt) <= limit {
		out = append(out, opt...) // both lie in msg, and opt behind the end of out
		n = 1
	}
	if question == dnsHeader {
		binary.BigEndian.PutUint16(out[4:], 0)
	}
	out[2] |= tcBit
	binary.BigEndian.PutUint32(out[6:], 0) // answers and authority
	binary.BigEndian.PutUint16(out[10:], n)
	if len(out) > limit {
		return nil
	}
	return out
}

// outline finds where the question section ends, and the OPT record.
func outline(msg []byte) (question int, opt []byte) {
	off := dnsHeader
	for range binary.BigEndian.Uint16(msg[4:]) {
		end, err := dns.SkipName(msg, off)
		if err != nil || end+4 > len(msg) {
			return dnsHeader, nil
		}
		off = end + 4
	}
	question = off
	records := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:]))
	for range records {
		end, err := dns.SkipName(msg, off)
		if err != nil || end+10 > len(msg) {
			return question, nil
		}
		next := end + 10 + int(binary.BigEndian.Uint16(msg[end+8:]))
		if next > len(msg) {
			return question, nil
		}
		if end == off+1 && binary.BigEndian.Uint16(msg[end:]) == typeOPT {
			return question, msg[off:next]
		}
		off = next
	}
	return question, nil
}
