package dns

import (
	"encoding/binary"
	"iter"
)

// The views of this file share memory with the rdata that they were read from,
// their names apart.

// DS is the rdata of DS, CDS, DLV and TA (RFC 4034 §5.1).
type DS struct {
	KeyTag     uint16
	Algorithm  uint8
	DigestType uint8
	Digest     []byte
}

// ParseDS reads rdata of DS or CDS.
func ParseDS(rdata RData) (DS, error) {
	if err := CheckRData(TypeDS, rdata); err != nil {
		return DS{}, err
	}
	return DS{binary.BigEndian.Uint16(rdata), rdata[2], rdata[3], rdata[4:]}, nil
}

// RData returns the wire form.
func (d DS) RData() RData {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(d.Digest)), d.KeyTag)
	return append(append(b, d.Algorithm, d.DigestType), d.Digest...)
}

// DNSKEY is the rdata of DNSKEY, CDNSKEY and KEY (RFC 4034 §2.1).
type DNSKEY struct {
	Flags     uint16
	Protocol  uint8
	Algorithm uint8
	PublicKey []byte
}

// The flags of DNSKEY.
const (
	DNSKEYZone   = 1 << 8 // RFC 4034 §2.1.1
	DNSKEYRevoke = 1 << 7 // RFC 5011 §3
	DNSKEYSEP    = 1      // RFC 4034 §2.1.1
)

// ParseDNSKEY reads rdata of DNSKEY or CDNSKEY.
func ParseDNSKEY(rdata RData) (DNSKEY, error) {
	if err := CheckRData(TypeDNSKEY, rdata); err != nil {
		return DNSKEY{}, err
	}
	return DNSKEY{binary.BigEndian.Uint16(rdata), rdata[2], rdata[3], rdata[4:]}, nil
}

// RData returns the wire form.
func (k DNSKEY) RData() RData {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(k.PublicKey)), k.Flags)
	return append(append(b, k.Protocol, k.Algorithm), k.PublicKey...)
}

// KeyTag returns the key's tag (RFC 4034 appendix B).
func (k DNSKEY) KeyTag() uint16 { return KeyTag(k.RData()) }

// IsZoneKey reports whether the key may sign zone data, and IsSEP whether it
// is meant as an entry point.
func (k DNSKEY) IsZoneKey() bool { return k.Flags&DNSKEYZone != 0 }

// IsSEP reports whether the key is meant as a secure entry point.
func (k DNSKEY) IsSEP() bool { return k.Flags&DNSKEYSEP != 0 }

// IsRevoked reports whether the key says that it must no longer be trusted.
func (k DNSKEY) IsRevoked() bool { return k.Flags&DNSKEYRevoke != 0 }

// KeyTag returns the tag of a key from its well-formed rdata (RFC 4034
// appendix B).
func KeyTag(rdata []byte) uint16 {
	if len(rdata) >= 7 && rdata[3] == 1 { // RSA/MD5, appendix B.1
		return binary.BigEndian.Uint16(rdata[len(rdata)-3:])
	}
	var sum uint32 // of at most 65535 octets shifted by 8: below 2^32
	for i, c := range rdata {
		if i&1 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	return uint16(sum + sum>>16)
}

// RRSIG is the rdata of RRSIG (RFC 4034 §3.1). Times are serial numbers of
// seconds (§3.1.5).
type RRSIG struct {
	TypeCovered Type
	Algorithm   uint8
	Labels      uint8
	OriginalTTL uint32
	Expiration  uint32
	Inception   uint32
	KeyTag      uint16
	Signer      Name
	Signature   []byte
}

// ParseRRSIG reads rdata of RRSIG or SIG.
func ParseRRSIG(rdata RData) (RRSIG, error) {
	if err := CheckRData(TypeRRSIG, rdata); err != nil {
		return RRSIG{}, err
	}
	n, err := wireNameLen(rdata[18:])
	be := binary.BigEndian
	return RRSIG{
		TypeCovered: Type(be.Uint16(rdata)), Algorithm: rdata[2], Labels: rdata[3],
		OriginalTTL: be.Uint32(rdata[4:]), Expiration: be.Uint32(rdata[8:]), Inception: be.Uint32(rdata[12:]),
		KeyTag: be.Uint16(rdata[16:]), Signer: Name{string(rdata[18 : 18+n])}, Signature: rdata[18+n:],
	}, err
}

// AppendSigned appends the rdata without the signature and with the signer in
// lower case: what a signature covers first (RFC 4034 §3.1.8.1).
func (s RRSIG) AppendSigned(dst []byte) []byte {
	be := binary.BigEndian
	dst = append(be.AppendUint16(dst, uint16(s.TypeCovered)), s.Algorithm, s.Labels)
	dst = be.AppendUint32(be.AppendUint32(be.AppendUint32(dst, s.OriginalTTL), s.Expiration), s.Inception)
	dst = be.AppendUint16(dst, s.KeyTag)
	start := len(dst)
	dst = s.Signer.Append(dst)
	foldBytes(dst[start:])
	return dst
}

// RData returns the wire form, with the signer in lower case.
func (s RRSIG) RData() RData {
	return append(s.AppendSigned(make([]byte, 0, 18+s.Signer.Len()+len(s.Signature))), s.Signature...)
}

// SigCovers returns the type that well-formed rdata of RRSIG covers.
func SigCovers(rdata []byte) Type { return Type(binary.BigEndian.Uint16(rdata)) }

// TypeBitmap is a set of types in the wire form of NSEC, NSEC3 and CSYNC (RFC
// 4034 §4.1.2).
type TypeBitmap []byte

// Has reports whether the set has t.
func (b TypeBitmap) Has(t Type) bool { return bitmapHas(b, t) }

// All yields the types in ascending order.
func (b TypeBitmap) All() iter.Seq[Type] {
	return func(yield func(Type) bool) {
		for t, ok := nextBitmapType(b, 0); ok && yield(t); {
			t, ok = nextBitmapType(b, int(t)+1)
		}
	}
}

// NSEC is the rdata of NSEC (RFC 4034 §4.1).
type NSEC struct {
	Next  Name
	Types TypeBitmap
}

// ParseNSEC reads rdata of NSEC.
func ParseNSEC(rdata RData) (NSEC, error) {
	if err := CheckRData(TypeNSEC, rdata); err != nil {
		return NSEC{}, err
	}
	n, err := wireNameLen(rdata)
	return NSEC{Name{string(rdata[:n])}, TypeBitmap(rdata[n:])}, err
}

// RData returns the wire form.
func (n NSEC) RData() RData { return append(n.Next.Append(nil), n.Types...) }

// NSEC3 is the rdata of NSEC3 (RFC 5155 §3.2).
type NSEC3 struct {
	NSEC3PARAM
	NextHashed []byte
	Types      TypeBitmap
}

// NSEC3PARAM is the rdata of NSEC3PARAM (RFC 5155 §4.2).
type NSEC3PARAM struct {
	Hash       uint8 // 1: SHA-1
	Flags      uint8
	Iterations uint16
	Salt       []byte
}

// NSEC3OptOut is the flag of NSEC3 that lets unsigned delegations be left out
// (RFC 5155 §3.1.2.1).
const NSEC3OptOut = 1

// ParseNSEC3 reads rdata of NSEC3.
func ParseNSEC3(rdata RData) (NSEC3, error) {
	if err := CheckRData(TypeNSEC3, rdata); err != nil {
		return NSEC3{}, err
	}
	p, rest := splitNSEC3(rdata)
	n := 1 + int(rest[0])
	return NSEC3{p, rest[1:n], TypeBitmap(rest[n:])}, nil
}

// ParseNSEC3PARAM reads rdata of NSEC3PARAM.
func ParseNSEC3PARAM(rdata RData) (NSEC3PARAM, error) {
	if err := CheckRData(TypeNSEC3PARAM, rdata); err != nil {
		return NSEC3PARAM{}, err
	}
	p, _ := splitNSEC3(rdata)
	return p, nil
}

// splitNSEC3 reads the fields that both types begin with.
func splitNSEC3(rdata []byte) (p NSEC3PARAM, rest []byte) {
	n := 5 + int(rdata[4])
	return NSEC3PARAM{rdata[0], rdata[1], binary.BigEndian.Uint16(rdata[2:]), rdata[5:n]}, rdata[n:]
}

// RData returns the wire form.
func (p NSEC3PARAM) RData() RData {
	b := binary.BigEndian.AppendUint16([]byte{p.Hash, p.Flags}, p.Iterations)
	return append(append(b, byte(len(p.Salt))), p.Salt...)
}

// RData returns the wire form.
func (n NSEC3) RData() RData {
	b := append(n.NSEC3PARAM.RData(), byte(len(n.NextHashed)))
	return append(append(b, n.NextHashed...), n.Types...)
}

// AppendBase32Hex appends a hash as NSEC3 owner names have it (RFC 5155 §3.3).
func AppendBase32Hex(dst, hash []byte) []byte { return base32Hex.AppendEncode(dst, hash) }

// DecodeBase32Hex is the reverse of AppendBase32Hex, either case accepted.
func DecodeBase32Hex(dst, label []byte) ([]byte, bool) { return appendBase32(dst, label) }
