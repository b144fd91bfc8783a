package dns

import (
	"strconv"
	"strings"
)

// Type is a record type, or a type that only a question can have (RFC 6895 §3.1).
type Type uint16

// The types that code here and elsewhere refers to by name. The table in
// rdata_table.go has them all.
const (
	TypeNone       Type = 0
	TypeA          Type = 1
	TypeNS         Type = 2
	TypeMD         Type = 3
	TypeMF         Type = 4
	TypeCNAME      Type = 5
	TypeSOA        Type = 6
	TypeMB         Type = 7
	TypeMG         Type = 8
	TypeMR         Type = 9
	TypeNULL       Type = 10
	TypeWKS        Type = 11
	TypePTR        Type = 12
	TypeHINFO      Type = 13
	TypeMINFO      Type = 14
	TypeMX         Type = 15
	TypeTXT        Type = 16
	TypeRP         Type = 17
	TypeAFSDB      Type = 18
	TypeX25        Type = 19
	TypeISDN       Type = 20
	TypeRT         Type = 21
	TypeNSAP       Type = 22
	TypeNSAPPTR    Type = 23
	TypeSIG        Type = 24
	TypeKEY        Type = 25
	TypePX         Type = 26
	TypeGPOS       Type = 27
	TypeAAAA       Type = 28
	TypeLOC        Type = 29
	TypeNXT        Type = 30
	TypeEID        Type = 31
	TypeNIMLOC     Type = 32
	TypeSRV        Type = 33
	TypeATMA       Type = 34
	TypeNAPTR      Type = 35
	TypeKX         Type = 36
	TypeCERT       Type = 37
	TypeA6         Type = 38
	TypeDNAME      Type = 39
	TypeSINK       Type = 40
	TypeOPT        Type = 41
	TypeAPL        Type = 42
	TypeDS         Type = 43
	TypeSSHFP      Type = 44
	TypeIPSECKEY   Type = 45
	TypeRRSIG      Type = 46
	TypeNSEC       Type = 47
	TypeDNSKEY     Type = 48
	TypeDHCID      Type = 49
	TypeNSEC3      Type = 50
	TypeNSEC3PARAM Type = 51
	TypeTLSA       Type = 52
	TypeSMIMEA     Type = 53
	TypeHIP        Type = 55
	TypeNINFO      Type = 56
	TypeRKEY       Type = 57
	TypeTALINK     Type = 58
	TypeCDS        Type = 59
	TypeCDNSKEY    Type = 60
	TypeOPENPGPKEY Type = 61
	TypeCSYNC      Type = 62
	TypeZONEMD     Type = 63
	TypeSVCB       Type = 64
	TypeHTTPS      Type = 65
	TypeDSYNC      Type = 66
	TypeHHIT       Type = 67
	TypeBRID       Type = 68
	TypeSPF        Type = 99
	TypeUINFO      Type = 100
	TypeUID        Type = 101
	TypeGID        Type = 102
	TypeUNSPEC     Type = 103
	TypeNID        Type = 104
	TypeL32        Type = 105
	TypeL64        Type = 106
	TypeLP         Type = 107
	TypeEUI48      Type = 108
	TypeEUI64      Type = 109
	TypeNXNAME     Type = 128
	TypeTKEY       Type = 249
	TypeTSIG       Type = 250
	TypeIXFR       Type = 251
	TypeAXFR       Type = 252
	TypeMAILB      Type = 253
	TypeMAILA      Type = 254
	TypeANY        Type = 255
	TypeURI        Type = 256
	TypeCAA        Type = 257
	TypeAVC        Type = 258
	TypeDOA        Type = 259
	TypeAMTRELAY   Type = 260
	TypeRESINFO    Type = 261
	TypeWALLET     Type = 262
	TypeCLA        Type = 263
	TypeIPN        Type = 264
	TypeTA         Type = 32768
	TypeDLV        Type = 32769
)

// IsMeta reports whether t can stand only in a question or in a message's own
// machinery, never in a zone (RFC 6895 §3.1): 128 to 255 and OPT.
func (t Type) IsMeta() bool { return t == TypeOPT || t >= 128 && t <= 255 || t == TypeNone }

// String returns the mnemonic, or TYPE and the number (RFC 3597 §5).
func (t Type) String() string { return string(t.Append(nil)) }

// Append appends the mnemonic of t to dst.
func (t Type) Append(dst []byte) []byte {
	if d := descriptorOf(t); d != nil {
		return append(dst, d.name...)
	}
	return strconv.AppendUint(append(dst, "TYPE"...), uint64(t), 10)
}

// ParseType reads a mnemonic in any case, or TYPE and a number (RFC 3597 §5).
func ParseType(s string) (Type, bool) {
	if t, ok := typeByName[s]; ok {
		return t, true
	}
	u := strings.ToUpper(s)
	if t, ok := typeByName[u]; ok {
		return t, true
	}
	v, ok := parseGeneric(u, "TYPE")
	return Type(v), ok
}

// parseGeneric reads the number behind prefix: TYPE65280, CLASS32.
func parseGeneric(s, prefix string) (uint16, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || digits == "" || !isDigit(digits[0]) {
		return 0, false
	}
	v, err := strconv.ParseUint(digits, 10, 16)
	return uint16(v), err == nil
}

// Class is a record class (RFC 6895 §3.2).
type Class uint16

// The classes in use.
const (
	ClassIN   Class = 1
	ClassCH   Class = 3
	ClassHS   Class = 4
	ClassNONE Class = 254
	ClassANY  Class = 255
)

var classNames = map[Class]string{
	ClassIN: "IN", ClassCH: "CH", ClassHS: "HS", ClassNONE: "NONE", ClassANY: "ANY",
}

// String returns the mnemonic, or CLASS and the number (RFC 3597 §5).
func (c Class) String() string {
	if s, ok := classNames[c]; ok {
		return s
	}
	return "CLASS" + strconv.Itoa(int(c))
}

// ParseClass reads a mnemonic in any case, or CLASS and a number (RFC 3597 §5).
func ParseClass(s string) (Class, bool) {
	switch strings.ToUpper(s) {
	case "IN":
		return ClassIN, true
	case "CH", "CHAOS":
		return ClassCH, true
	case "HS", "HESIOD":
		return ClassHS, true
	case "NONE":
		return ClassNONE, true
	case "ANY":
		return ClassANY, true
	}
	v, ok := parseGeneric(strings.ToUpper(s), "CLASS")
	return Class(v), ok
}

// Opcode says what kind of message this is (RFC 6895 §2.2); 4 bits.
type Opcode uint8

// The opcodes in use.
const (
	OpcodeQuery  Opcode = 0
	OpcodeIQuery Opcode = 1
	OpcodeStatus Opcode = 2
	OpcodeNotify Opcode = 4
	OpcodeUpdate Opcode = 5
	OpcodeDSO    Opcode = 6
)

var opcodeNames = map[Opcode]string{
	OpcodeQuery: "QUERY", OpcodeIQuery: "IQUERY", OpcodeStatus: "STATUS",
	OpcodeNotify: "NOTIFY", OpcodeUpdate: "UPDATE", OpcodeDSO: "DSO",
}

// String returns the mnemonic, or OPCODE and the number.
func (o Opcode) String() string {
	if s, ok := opcodeNames[o]; ok {
		return s
	}
	return "OPCODE" + strconv.Itoa(int(o))
}

// RCode is a response code: 4 bits of the header, 12 with EDNS (RFC 6891
// §6.1.3), 16 in TSIG.
type RCode uint16

// The response codes in use (RFC 6895 §2.3).
const (
	RCodeNoError   RCode = 0
	RCodeFormErr   RCode = 1
	RCodeServFail  RCode = 2
	RCodeNXDomain  RCode = 3
	RCodeNotImp    RCode = 4
	RCodeRefused   RCode = 5
	RCodeYXDomain  RCode = 6
	RCodeYXRRSet   RCode = 7
	RCodeNXRRSet   RCode = 8
	RCodeNotAuth   RCode = 9
	RCodeNotZone   RCode = 10
	RCodeDSOTypeNI RCode = 11
	RCodeBadVers   RCode = 16
	RCodeBadSig    RCode = 16 // the same number as BADVERS, in a TSIG's error field
	RCodeBadKey    RCode = 17
	RCodeBadTime   RCode = 18
	RCodeBadMode   RCode = 19
	RCodeBadName   RCode = 20
	RCodeBadAlg    RCode = 21
	RCodeBadTrunc  RCode = 22
	RCodeBadCookie RCode = 23
)

var rcodeNames = [...]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
	6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
	16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG",
	22: "BADTRUNC", 23: "BADCOOKIE",
}

// String returns the mnemonic, or RCODE and the number.
func (r RCode) String() string {
	if int(r) < len(rcodeNames) && rcodeNames[r] != "" {
		return rcodeNames[r]
	}
	return "RCODE" + strconv.Itoa(int(r))
}
