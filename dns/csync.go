package dns

import "encoding/binary"

// CSYNC is the rdata of CSYNC (RFC 7477 §2.1.1).
type CSYNC struct {
	Serial uint32
	Flags  uint16
	Types  TypeBitmap // shares memory with what it was read from
}

// The flags of CSYNC (RFC 7477 §2.1.1.2). Others are reserved: a parent does not
// act on a record that has them (§3).
const (
	CSYNCImmediate  = 1 // act without an operator
	CSYNCSOAMinimum = 2 // act only once the zone's serial is at least Serial
)

// ParseCSYNC reads rdata of CSYNC.
func ParseCSYNC(rdata RData) (CSYNC, error) {
	if err := CheckRData(TypeCSYNC, rdata); err != nil {
		return CSYNC{}, err
	}
	be := binary.BigEndian
	return CSYNC{be.Uint32(rdata), be.Uint16(rdata[4:]), TypeBitmap(rdata[6:])}, nil
}

// RData returns the wire form.
func (c CSYNC) RData() RData {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 6+len(c.Types)), c.Serial)
	return append(binary.BigEndian.AppendUint16(b, c.Flags), c.Types...)
}

// DSYNC is the rdata of DSYNC: where a parent wants to be told of a child's new
// records of a type (RFC 9859 §2.1).
type DSYNC struct {
	Type   Type
	Scheme uint8
	Port   uint16
	Target Name
}

// DSYNCNotify is the scheme of NOTIFY messages (RFC 9859 §2.2).
const DSYNCNotify = 1

// ParseDSYNC reads rdata of DSYNC.
func ParseDSYNC(rdata RData) (DSYNC, error) {
	if err := CheckRData(TypeDSYNC, rdata); err != nil {
		return DSYNC{}, err
	}
	be := binary.BigEndian
	return DSYNC{Type(be.Uint16(rdata)), rdata[2], be.Uint16(rdata[3:]), Name{string(rdata[5:])}}, nil
}

// RData returns the wire form.
func (d DSYNC) RData() RData {
	b := append(binary.BigEndian.AppendUint16(nil, uint16(d.Type)), d.Scheme)
	return d.Target.Append(binary.BigEndian.AppendUint16(b, d.Port))
}
