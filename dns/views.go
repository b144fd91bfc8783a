package dns

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// SOA is the rdata of a start of authority (RFC 1035 §3.3.13).
type SOA struct {
	MName   Name // the primary name server
	RName   Name // the mailbox of who is responsible
	Serial  uint32
	Refresh uint32
	Retry   uint32
	Expire  uint32
	Minimum uint32 // greatest TTL of negative answers (RFC 2308 §4)
}

// ParseSOA reads rdata of SOA.
func ParseSOA(rdata RData) (SOA, error) {
	if err := CheckRData(TypeSOA, rdata); err != nil {
		return SOA{}, err
	}
	names := namesIn(TypeSOA, rdata)
	m, _ := names.next()
	r, _ := names.next()
	n := rdata[r.end:]
	be := binary.BigEndian
	return SOA{
		MName: Name{string(rdata[:m.end])}, RName: Name{string(rdata[r.start:r.end])},
		Serial: be.Uint32(n), Refresh: be.Uint32(n[4:]), Retry: be.Uint32(n[8:]),
		Expire: be.Uint32(n[12:]), Minimum: be.Uint32(n[16:]),
	}, nil
}

// RData returns the wire form.
func (s SOA) RData() RData {
	b := s.RName.Append(s.MName.Append(make([]byte, 0, s.MName.Len()+s.RName.Len()+20)))
	for _, v := range [...]uint32{s.Serial, s.Refresh, s.Retry, s.Expire, s.Minimum} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// SOASerial and SOAMinimum return fields of well-formed rdata of SOA; they do
// not allocate.
func SOASerial(rdata []byte) uint32 { return binary.BigEndian.Uint32(rdata[len(rdata)-20:]) }

// SOAMinimum returns the field that bounds the TTL of negative answers.
func SOAMinimum(rdata []byte) uint32 { return binary.BigEndian.Uint32(rdata[len(rdata)-4:]) }

// SetSOASerial writes the serial into well-formed rdata of SOA.
func SetSOASerial(rdata []byte, serial uint32) {
	binary.BigEndian.PutUint32(rdata[len(rdata)-20:], serial)
}

// TargetWire returns the name that rdata of type t leads to, as it stands in
// rdata: of NS, CNAME, DNAME, PTR, MX, SRV, SVCB and others that name one host
// or owner. It returns nil for other types and for malformed rdata, and does
// not allocate.
func TargetWire(t Type, rdata []byte) []byte {
	switch t {
	case TypeNS, TypeMD, TypeMF, TypeCNAME, TypeMB, TypeMG, TypeMR, TypePTR, TypeMX, TypeAFSDB,
		TypeRT, TypeNSAPPTR, TypeSRV, TypeNAPTR, TypeKX, TypeDNAME, TypeSVCB, TypeHTTPS, TypeLP, TypeDSYNC:
		names := namesIn(t, rdata)
		if s, ok := names.next(); ok {
			return rdata[s.start:s.end]
		}
	}
	return nil
}

// Target is TargetWire as a Name; the zero Name where there is none.
func (d RData) Target(t Type) Name { return Name{string(TargetWire(t, d))} }

// Addr returns the address of rdata of A or AAAA; ok is false for anything else.
func (d RData) Addr(t Type) (addr netip.Addr, ok bool) {
	switch {
	case t == TypeA && len(d) == 4:
		return netip.AddrFrom4([4]byte(d)), true
	case t == TypeAAAA && len(d) == 16:
		return netip.AddrFrom16([16]byte(d)), true
	}
	return netip.Addr{}, false
}

// Text returns the presentation form.
func (d RData) Text(t Type) string { return string(AppendRDataText(nil, t, d)) }

// NewAddr returns the record type and the rdata for an address.
func NewAddr(addr netip.Addr) (Type, RData) {
	if addr.Is4() || addr.Is4In6() {
		a := addr.As4()
		return TypeA, a[:]
	}
	a := addr.As16()
	return TypeAAAA, a[:]
}

// NewTarget returns the rdata of the types that are one name: NS, CNAME, PTR, DNAME.
func NewTarget(target Name) RData { return RData(target.wire) }

// MX is the rdata of MX (RFC 1035 §3.3.9).
type MX struct {
	Preference uint16
	Exchange   Name
}

// ParseMX reads rdata of MX.
func ParseMX(rdata RData) (MX, error) {
	if err := CheckRData(TypeMX, rdata); err != nil {
		return MX{}, err
	}
	return MX{binary.BigEndian.Uint16(rdata), Name{string(rdata[2:])}}, nil
}

// RData returns the wire form.
func (m MX) RData() RData { return m.Exchange.Append(binary.BigEndian.AppendUint16(nil, m.Preference)) }

// SRV is the rdata of SRV (RFC 2782).
type SRV struct {
	Priority, Weight, Port uint16
	Target                 Name
}

// ParseSRV reads rdata of SRV.
func ParseSRV(rdata RData) (SRV, error) {
	if err := CheckRData(TypeSRV, rdata); err != nil {
		return SRV{}, err
	}
	be := binary.BigEndian
	return SRV{be.Uint16(rdata), be.Uint16(rdata[2:]), be.Uint16(rdata[4:]), Name{string(rdata[6:])}}, nil
}

// RData returns the wire form.
func (s SRV) RData() RData {
	be := binary.BigEndian
	return s.Target.Append(be.AppendUint16(be.AppendUint16(be.AppendUint16(nil, s.Priority), s.Weight), s.Port))
}

// Strings yields the character-strings of rdata of TXT, SPF and the like.
func (d RData) Strings() iter.Seq[string] {
	return func(yield func(string) bool) {
		for b := d; len(b) > 0; {
			n := 1 + int(b[0])
			if n > len(b) || !yield(string(b[1:n])) {
				return
			}
			b = b[n:]
		}
	}
}

// NewTXT returns rdata of TXT for a text of any length, in character-strings of
// up to 255 octets; readers put them together again (RFC 7208 §3.3).
func NewTXT(text string) RData {
	var b RData
	for first := true; first || text != ""; first = false {
		n := min(len(text), 255)
		b = append(append(b, byte(n)), text[:n]...)
		text = text[n:]
	}
	return b
}

// CAA is the rdata of CAA (RFC 8659 §4.1).
type CAA struct {
	Flags      uint8
	Tag, Value string
}

// ParseCAA reads rdata of CAA.
func ParseCAA(rdata RData) (CAA, error) {
	if err := CheckRData(TypeCAA, rdata); err != nil {
		return CAA{}, err
	}
	n := 2 + int(rdata[1])
	return CAA{rdata[0], string(rdata[2:n]), string(rdata[n:])}, nil
}
