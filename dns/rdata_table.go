package dns

import "strconv"

// kind says what one field of rdata is. Everything that the package does with
// rdata is a walk over a row of kinds.
type kind uint8

const (
	_ kind = iota

	// Names. Compression is for the types of RFC 1035 alone (RFC 3597 §4);
	// lower case in the canonical form is for the types that RFC 4034 §6.2 lists,
	// without NSEC (RFC 6840 §5.1).
	nameC // compressed when sent, decompressed when received, lower-cased
	nameD // not compressed, decompressed when received (RFC 3597 §4), lower-cased
	nameL // neither compressed nor decompressed, lower-cased
	nameP // plain: never compressed, case kept
	names // any number of nameP to the end (HIP)

	u8
	u16
	u32
	u48
	u64
	ttl       // u32 seconds; text may have units: 1h30m
	sigTime   // u32, YYYYMMDDHHmmSS (RFC 4034 §3.2)
	algorithm // u8, a DNSSEC algorithm (RFC 4034 appendix A.1)
	certType  // u16, a certificate type (RFC 4398 §2.1)
	typeCode  // u16, a record type
	scheme    // u8, a DSYNC scheme (RFC 9859 §2.2)
	errorCode // u16, an extended RCODE
	protocol  // u8, an IP protocol (WKS)

	ipv4
	ipv6
	eui48  // RFC 7043 §3.2
	eui64  // RFC 7043 §4.2
	node64 // four groups of four hex digits (RFC 6742 §2.1.2)

	text    // one character-string
	textOpt // a character-string that may be missing (ISDN)
	texts   // one or more character-strings to the end
	tag     // a character-string of letters and digits (RFC 8659 §4.1)
	octetsQ // octets to the end, written as one quoted string (CAA, URI)

	hexRest   // octets to the end in hex, at least one
	b64Rest   // octets to the end in base64, at least one
	b64Opt    // octets to the end in base64, may be missing (IPSECKEY, KEY)
	b64Dash   // octets to the end in base64, "-" for none (DOA)
	hexLen8   // length octet and octets in hex, "-" for none (RFC 5155 §3.3)
	b32Len8   // length octet and octets in base32hex (RFC 5155 §3.3)
	b64Len16  // u16 length and octets: the length, and base64 unless it is 0
	nsapHex   // octets to the end: 0x and hex with dots anywhere (RFC 1706 §7)
	atmAddr   // ATM address to the end (af-dans-0152)
	bitmap    // type bitmap (RFC 4034 §4.1.2)
	bitmapNXT // the older type bitmap (RFC 2535 §5.2)
	services  // WKS port bitmap (RFC 1035 §3.4.2)
	location  // the whole LOC (RFC 1876)
	prefixes  // the whole APL (RFC 3123)
	hostID    // HIP's lengths, algorithm, HIT and key (RFC 8005 §5)
	gwType    // IPSECKEY gateway type (RFC 4025 §2.3)
	relayType // AMTRELAY D bit and relay type (RFC 8777 §4.2)
	gateway   // nothing, IPv4, IPv6 or a plain name as rdata[1] says (IPSECKEY)
	relay     // the same, as the lower bits of rdata[1] say (AMTRELAY)
	a6Suffix  // A6 prefix length and address suffix (RFC 2874 §3.1)
	a6Name    // nameL that is there unless the prefix length is 0
	svcParams // RFC 9460 §2.2
)

type row = []kind

// descriptor is one line of the table.
type descriptor struct {
	name   string // mnemonic
	fields row    // nil: opaque octets, written as \# (RFC 3597 §5)

	hasNames bool // some field is a name
	folds    bool // some name is lower-cased in the canonical form
	fixed    int  // length of rdata where that is always the same, else 0
}

var (
	rowKey  = row{u16, u8, algorithm, b64Rest}
	rowDS   = row{u16, algorithm, u8, hexRest}
	rowTLSA = row{u8, u8, u8, hexRest}
	rowSVCB = row{u16, nameP, svcParams}
)

// table has a line for every type of the IANA registry with a known form. The
// types without a row are those of questions and of messages' own machinery.
var table = describe([]descriptor{
	TypeA:          {name: "A", fields: row{ipv4}},
	TypeNS:         {name: "NS", fields: row{nameC}},
	TypeMD:         {name: "MD", fields: row{nameC}},
	TypeMF:         {name: "MF", fields: row{nameC}},
	TypeCNAME:      {name: "CNAME", fields: row{nameC}},
	TypeSOA:        {name: "SOA", fields: row{nameC, nameC, u32, ttl, ttl, ttl, ttl}},
	TypeMB:         {name: "MB", fields: row{nameC}},
	TypeMG:         {name: "MG", fields: row{nameC}},
	TypeMR:         {name: "MR", fields: row{nameC}},
	TypeNULL:       {name: "NULL"},
	TypeWKS:        {name: "WKS", fields: row{ipv4, protocol, services}},
	TypePTR:        {name: "PTR", fields: row{nameC}},
	TypeHINFO:      {name: "HINFO", fields: row{text, text}},
	TypeMINFO:      {name: "MINFO", fields: row{nameC, nameC}},
	TypeMX:         {name: "MX", fields: row{u16, nameC}},
	TypeTXT:        {name: "TXT", fields: row{texts}},
	TypeRP:         {name: "RP", fields: row{nameD, nameD}},
	TypeAFSDB:      {name: "AFSDB", fields: row{u16, nameD}},
	TypeX25:        {name: "X25", fields: row{text}},
	TypeISDN:       {name: "ISDN", fields: row{text, textOpt}},
	TypeRT:         {name: "RT", fields: row{u16, nameD}},
	TypeNSAP:       {name: "NSAP", fields: row{nsapHex}},
	TypeNSAPPTR:    {name: "NSAP-PTR", fields: row{nameP}},
	TypeSIG:        {name: "SIG", fields: row{typeCode, algorithm, u8, ttl, sigTime, sigTime, u16, nameD, b64Rest}},
	TypeKEY:        {name: "KEY", fields: row{u16, u8, algorithm, b64Opt}},
	TypePX:         {name: "PX", fields: row{u16, nameD, nameD}},
	TypeGPOS:       {name: "GPOS", fields: row{text, text, text}},
	TypeAAAA:       {name: "AAAA", fields: row{ipv6}},
	TypeLOC:        {name: "LOC", fields: row{location}},
	TypeNXT:        {name: "NXT", fields: row{nameD, bitmapNXT}},
	TypeEID:        {name: "EID", fields: row{hexRest}},
	TypeNIMLOC:     {name: "NIMLOC", fields: row{hexRest}},
	TypeSRV:        {name: "SRV", fields: row{u16, u16, u16, nameD}},
	TypeATMA:       {name: "ATMA", fields: row{atmAddr}},
	TypeNAPTR:      {name: "NAPTR", fields: row{u16, u16, text, text, text, nameD}},
	TypeKX:         {name: "KX", fields: row{u16, nameL}},
	TypeCERT:       {name: "CERT", fields: row{certType, u16, algorithm, b64Rest}},
	TypeA6:         {name: "A6", fields: row{a6Suffix, a6Name}},
	TypeDNAME:      {name: "DNAME", fields: row{nameL}},
	TypeSINK:       {name: "SINK", fields: row{u8, u8, u8, b64Opt}},
	TypeOPT:        {name: "OPT"},
	TypeAPL:        {name: "APL", fields: row{prefixes}},
	TypeDS:         {name: "DS", fields: rowDS},
	TypeSSHFP:      {name: "SSHFP", fields: row{u8, u8, hexRest}},
	TypeIPSECKEY:   {name: "IPSECKEY", fields: row{u8, gwType, u8, gateway, b64Opt}},
	TypeRRSIG:      {name: "RRSIG", fields: row{typeCode, algorithm, u8, ttl, sigTime, sigTime, u16, nameL, b64Rest}},
	TypeNSEC:       {name: "NSEC", fields: row{nameP, bitmap}},
	TypeDNSKEY:     {name: "DNSKEY", fields: rowKey},
	TypeDHCID:      {name: "DHCID", fields: row{b64Rest}},
	TypeNSEC3:      {name: "NSEC3", fields: row{u8, u8, u16, hexLen8, b32Len8, bitmap}},
	TypeNSEC3PARAM: {name: "NSEC3PARAM", fields: row{u8, u8, u16, hexLen8}},
	TypeTLSA:       {name: "TLSA", fields: rowTLSA},
	TypeSMIMEA:     {name: "SMIMEA", fields: rowTLSA},
	TypeHIP:        {name: "HIP", fields: row{hostID, names}},
	TypeNINFO:      {name: "NINFO", fields: row{texts}},
	TypeRKEY:       {name: "RKEY", fields: rowKey},
	TypeTALINK:     {name: "TALINK", fields: row{nameP, nameP}},
	TypeCDS:        {name: "CDS", fields: rowDS},
	TypeCDNSKEY:    {name: "CDNSKEY", fields: rowKey},
	TypeOPENPGPKEY: {name: "OPENPGPKEY", fields: row{b64Rest}},
	TypeCSYNC:      {name: "CSYNC", fields: row{u32, u16, bitmap}},
	TypeZONEMD:     {name: "ZONEMD", fields: row{u32, u8, u8, hexRest}},
	TypeSVCB:       {name: "SVCB", fields: rowSVCB},
	TypeHTTPS:      {name: "HTTPS", fields: rowSVCB},
	TypeDSYNC:      {name: "DSYNC", fields: row{typeCode, scheme, u16, nameP}},
	TypeHHIT:       {name: "HHIT", fields: row{b64Rest}},
	TypeBRID:       {name: "BRID", fields: row{b64Rest}},
	TypeSPF:        {name: "SPF", fields: row{texts}},
	TypeUINFO:      {name: "UINFO", fields: row{text}},
	TypeUID:        {name: "UID", fields: row{u32}},
	TypeGID:        {name: "GID", fields: row{u32}},
	TypeUNSPEC:     {name: "UNSPEC"},
	TypeNID:        {name: "NID", fields: row{u16, node64}},
	TypeL32:        {name: "L32", fields: row{u16, ipv4}},
	TypeL64:        {name: "L64", fields: row{u16, node64}},
	TypeLP:         {name: "LP", fields: row{u16, nameP}},
	TypeEUI48:      {name: "EUI48", fields: row{eui48}},
	TypeEUI64:      {name: "EUI64", fields: row{eui64}},
	TypeNXNAME:     {name: "NXNAME"},
	TypeTKEY:       {name: "TKEY", fields: row{nameP, sigTime, sigTime, u16, errorCode, b64Len16, b64Len16}},
	TypeTSIG:       {name: "TSIG", fields: row{nameP, u48, u16, b64Len16, u16, errorCode, b64Len16}},
	TypeIXFR:       {name: "IXFR"},
	TypeAXFR:       {name: "AXFR"},
	TypeMAILB:      {name: "MAILB"},
	TypeMAILA:      {name: "MAILA"},
	TypeANY:        {name: "ANY"},
	TypeURI:        {name: "URI", fields: row{u16, u16, octetsQ}},
	TypeCAA:        {name: "CAA", fields: row{u8, tag, octetsQ}},
	TypeAVC:        {name: "AVC", fields: row{texts}},
	TypeDOA:        {name: "DOA", fields: row{u32, u32, u8, text, b64Dash}},
	TypeAMTRELAY:   {name: "AMTRELAY", fields: row{u8, relayType, relay}},
	TypeRESINFO:    {name: "RESINFO", fields: row{texts}},
	TypeWALLET:     {name: "WALLET", fields: row{texts}},
	TypeCLA:        {name: "CLA", fields: row{texts}},
	TypeIPN:        {name: "IPN", fields: row{u64}},
})

// highTable has the two types that live far from all others.
var highTable = describe([]descriptor{
	{name: "TA", fields: rowDS},
	{name: "DLV", fields: rowDS},
})

// describe works out what the walks want to know of a row at a glance.
func describe(lines []descriptor) []descriptor {
	for i := range lines {
		d, fixed := &lines[i], 0
		for _, k := range d.fields {
			d.hasNames = d.hasNames || k.isName()
			d.folds = d.folds || k.folds()
			if n := k.width(); n > 0 && fixed >= 0 {
				fixed += n
			} else {
				fixed = -1
			}
		}
		d.fixed = max(fixed, 0)
	}
	return lines
}

// isName reports whether a field of kind k is, or may be, a name.
func (k kind) isName() bool {
	return k >= nameC && k <= names || k == a6Name || k == gateway || k == relay
}

// folds reports whether the canonical form has a name of kind k in lower case.
func (k kind) folds() bool { return k >= nameC && k <= nameL || k == a6Name }

// width returns the length of a field whose length is always the same, else 0.
func (k kind) width() int {
	switch k {
	case u8, algorithm, scheme, protocol, gwType, relayType:
		return 1
	case u16, certType, typeCode, errorCode:
		return 2
	case u32, ttl, sigTime, ipv4:
		return 4
	case u48, eui48:
		return 6
	case u64, eui64, node64:
		return 8
	case ipv6:
		return 16
	}
	return 0
}

// descriptorOf returns t's line of the table, nil for a type that has none.
func descriptorOf(t Type) *descriptor {
	switch {
	case int(t) < len(table):
		if d := &table[t]; d.name != "" {
			return d
		}
	case t == TypeTA || t == TypeDLV:
		return &highTable[t-TypeTA]
	}
	return nil
}

// fieldsOf returns t's row; nil means that rdata of type t is opaque.
func fieldsOf(t Type) row {
	if d := descriptorOf(t); d != nil {
		return d.fields
	}
	return nil
}

// HasNames reports whether rdata of type t can have domain names within it.
func HasNames(t Type) bool {
	d := descriptorOf(t)
	return d != nil && d.hasNames
}

// IsKnown reports whether t has a line in the table.
func (t Type) IsKnown() bool { return descriptorOf(t) != nil }

// typeByName maps mnemonics in upper case to types.
var typeByName = func() map[string]Type {
	m := make(map[string]Type, 128)
	for t := range table {
		if name := table[t].name; name != "" {
			m[name] = Type(t)
		}
	}
	for i := range highTable {
		m[highTable[i].name] = TypeTA + Type(i)
	}
	return m
}()

// lookupType is ParseType for octets; it does not allocate.
func lookupType(s []byte) (Type, bool) {
	var buf [16]byte // longer than any mnemonic and than TYPE65535
	if len(s) > len(buf) {
		return 0, false
	}
	for i, c := range s {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf[i] = c
	}
	u := buf[:len(s)]
	if t, ok := typeByName[string(u)]; ok {
		return t, true
	}
	if len(u) > 4 && string(u[:4]) == "TYPE" {
		v, ok := parseUint(u[4:], 1<<16-1)
		return Type(v), ok
	}
	return 0, false
}

func appendUint(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }
