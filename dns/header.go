package dns

import (
	"encoding/binary"
	"strings"
)

// HeaderLen is the length of a message's header in octets (RFC 1035 §4.1.1).
const HeaderLen = 12

// MaxMessageLen is the longest message, bound by the length field on streams.
const MaxMessageLen = 65535

// Flags is the second word of the header: QR, opcode, the flag bits, and the
// lower four bits of the response code (RFC 1035 §4.1.1, RFC 4035 §3).
type Flags uint16

// The flag bits.
const (
	FlagQR Flags = 1 << 15 // a response
	FlagAA Flags = 1 << 10 // authoritative answer
	FlagTC Flags = 1 << 9  // truncated
	FlagRD Flags = 1 << 8  // recursion desired
	FlagRA Flags = 1 << 7  // recursion available
	FlagZ  Flags = 1 << 6  // reserved, must be zero
	FlagAD Flags = 1 << 5  // authentic data
	FlagCD Flags = 1 << 4  // checking disabled
)

// Has reports whether all bits of mask are set.
func (f Flags) Has(mask Flags) bool { return f&mask == mask }

// Opcode returns the opcode's four bits.
func (f Flags) Opcode() Opcode { return Opcode(f >> 11 & 0xF) }

// WithOpcode returns f with the opcode o.
func (f Flags) WithOpcode(o Opcode) Flags { return f&^(0xF<<11) | Flags(o&0xF)<<11 }

// RCode returns the lower four bits of the response code.
func (f Flags) RCode() RCode { return RCode(f & 0xF) }

// WithRCode returns f with the lower four bits of r.
func (f Flags) WithRCode(r RCode) Flags { return f&^0xF | Flags(r&0xF) }

// String returns the names of the set flags as dig shows them: "qr aa rd".
func (f Flags) String() string {
	var names []string
	for _, b := range []struct {
		bit  Flags
		name string
	}{{FlagQR, "qr"}, {FlagAA, "aa"}, {FlagTC, "tc"}, {FlagRD, "rd"}, {FlagRA, "ra"}, {FlagAD, "ad"}, {FlagCD, "cd"}} {
		if f.Has(b.bit) {
			names = append(names, b.name)
		}
	}
	return strings.Join(names, " ")
}

// Header is the fixed start of a message: the ID, the flags and how many
// entries each section is said to have. The counts are claims of the sender.
type Header struct {
	ID         uint16
	Flags      Flags
	Questions  uint16
	Answers    uint16
	Authority  uint16
	Additional uint16
}

// ParseHeader reads the header of msg; ok is false where msg is too short.
func ParseHeader(msg []byte) (h Header, ok bool) {
	if len(msg) < HeaderLen {
		return Header{}, false
	}
	be := binary.BigEndian
	return Header{
		ID: be.Uint16(msg), Flags: Flags(be.Uint16(msg[2:])),
		Questions: be.Uint16(msg[4:]), Answers: be.Uint16(msg[6:]),
		Authority: be.Uint16(msg[8:]), Additional: be.Uint16(msg[10:]),
	}, true
}

// Append appends the header's 12 octets to dst.
func (h Header) Append(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, h.ID)
	dst = be.AppendUint16(dst, uint16(h.Flags))
	dst = be.AppendUint16(dst, h.Questions)
	dst = be.AppendUint16(dst, h.Answers)
	dst = be.AppendUint16(dst, h.Authority)
	return be.AppendUint16(dst, h.Additional)
}

// Section is a part of a message that holds records.
type Section uint8

// The sections, in the order of a message.
const (
	SectionAnswer Section = iota
	SectionAuthority
	SectionAdditional
)

// String returns the section's name.
func (s Section) String() string {
	return [...]string{"answer", "authority", "additional"}[s]
}
