package telemetry

import (
	"encoding/binary"

	"onoma/dns"
)

// glance is what instruments want to know of a query, read without checking the rest of it.
type glance struct {
	name  []byte // with the final 0, aliases the message; nil where there is not one readable question
	typ   dns.Type
	class dns.Class
	end   int // behind the question
	edns  edns
}

// edns says whether a query has an OPT record, and DO in it.
type edns uint8

const (
	ednsNone edns = iota
	ednsPlain
	ednsDO
	ednsStates
)

var ednsNames = [ednsStates]string{"none", "edns", "do"}

const optFixed = 11 // octets of an OPT record without options

func (g *glance) read(msg []byte) {
	*g = glance{}
	be := binary.BigEndian
	if len(msg) < dns.HeaderLen || be.Uint16(msg[4:]) != 1 {
		return
	}
	i := dns.HeaderLen
	for i < len(msg) && msg[i] != 0 {
		if msg[i] > 63 {
			return // a pointer: nothing is before the first name (RFC 1035 §4.1.4)
		}
		i += int(msg[i]) + 1
	}
	i++
	if i+4 > len(msg) || i-dns.HeaderLen > dns.MaxNameLen {
		return
	}
	g.name = msg[dns.HeaderLen:i:i]
	g.typ, g.class = dns.Type(be.Uint16(msg[i:])), dns.Class(be.Uint16(msg[i+2:]))
	g.end = i + 4
	g.edns = readEDNS(msg, g.end)
}

// readEDNS looks for OPT where queries have it: right behind the question. One elsewhere, which RFC 6891 §6.1.1 allows, is
// counted as none.
func readEDNS(msg []byte, end int) edns {
	opt := msg[end:]
	if len(opt) < optFixed || string(msg[6:10]) != "\x00\x00\x00\x00" || opt[0] != 0 || binary.BigEndian.Uint16(opt[1:]) != uint16(dns.TypeOPT) {
		return ednsNone
	}
	if opt[7]&0x80 != 0 {
		return ednsDO
	}
	return ednsPlain
}

// readRCode returns a response's code and whether TC is set. The upper bits of the code are in OPT (RFC 6891 §6.1.3); they
// are only used in responses without records, in which OPT lies where a query has it.
func readRCode(msg []byte, end int) (rcode dns.RCode, tc bool) {
	rcode, tc = dns.RCode(msg[3]&15), msg[2]&2 != 0
	if end > 0 && len(msg) >= end+optFixed && readEDNS(msg, end) != ednsNone {
		rcode |= dns.RCode(msg[end+5]) << 4
	}
	return rcode, tc
}

// suffix returns the name that an NXDOMAIN is charged to: the zone that denies, with one label more of the question's name
// if there are more. The zone is the owner of the first record of the authority section, an SOA (RFC 2308 §3); where that
// cannot be read it is the name without its first label.
func suffix(name, answer []byte, end int) []byte {
	if len(name) < 2 {
		return name
	}
	parent := name[int(name[0])+1:]
	apex := apexLabels(answer, end)
	if apex < 0 {
		return parent
	}
	for labels(parent) > apex+1 {
		parent = parent[int(parent[0])+1:]
	}
	return parent
}

func labels(name []byte) (n int) {
	for len(name) > 0 && name[0] != 0 {
		name = name[int(name[0])+1:]
		n++
	}
	return n
}

// apexLabels counts the labels of the SOA's owner in a response without answers, or returns -1.
func apexLabels(msg []byte, end int) int {
	be := binary.BigEndian
	if end == 0 || len(msg) <= end || be.Uint16(msg[6:]) != 0 || be.Uint16(msg[8:]) == 0 {
		return -1
	}
	n, jumps := 0, 0
	for at := end; at < len(msg); {
		switch c := int(msg[at]); {
		case c == 0:
			return n
		case c < 64:
			at += c + 1
			n++
		case at+1 < len(msg) && jumps < 8:
			at = (c&63)<<8 | int(msg[at+1])
			jumps++
		default:
			return -1
		}
		if n > dns.MaxNameLen/2 {
			return -1
		}
	}
	return -1
}
