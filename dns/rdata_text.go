package dns

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// AppendRDataText appends the presentation form of rdata to dst. It reads back
// to the same octets with ParseRData whatever rdata is: where it does not fit
// the type or the type's text cannot say it, it is written as \# (RFC 3597 §5).
func AppendRDataText(dst []byte, t Type, rdata []byte) []byte {
	fields := fieldsOf(t)
	if fields == nil || len(rdata) == 0 || CheckRData(t, rdata) != nil {
		return appendGeneric(dst, rdata)
	}
	start, pos := len(dst), 0
	for i, k := range fields {
		n, err := fieldLen(k, rdata, pos)
		if err != nil {
			return appendGeneric(dst[:start], rdata)
		}
		before := len(dst)
		if i > 0 {
			dst = append(dst, ' ')
			before++
		}
		var ok bool
		if dst, ok = appendFieldText(dst, k, rdata, rdata[pos:pos+n]); !ok {
			return appendGeneric(dst[:start], rdata)
		}
		if len(dst) == before && i > 0 {
			dst = dst[:before-1] // the field may be missing and is
		}
		pos += n
	}
	return dst
}

// appendGeneric writes the form that any type may have (RFC 3597 §5).
func appendGeneric(dst, rdata []byte) []byte {
	dst = append(dst, `\# `...)
	dst = appendUint(dst, uint64(len(rdata)))
	if len(rdata) == 0 {
		return dst
	}
	return appendHex(append(dst, ' '), rdata)
}

// appendFieldText writes the field b of kind k, which has been measured. It
// fails where the text would not read back to the same octets.
func appendFieldText(dst []byte, k kind, rdata, b []byte) ([]byte, bool) {
	be := binary.BigEndian
	switch k {
	case nameC, nameD, nameL, nameP:
		return appendNameText(dst, b), true
	case u8, algorithm, gwType:
		return appendUint(dst, uint64(b[0])), true
	case scheme, protocol:
		return appendMnemonic(dst, k, uint16(b[0])), true
	case u16:
		return appendUint(dst, uint64(be.Uint16(b))), true
	case certType, errorCode:
		return appendMnemonic(dst, k, be.Uint16(b)), true
	case typeCode:
		return Type(be.Uint16(b)).Append(dst), true
	case u32, ttl:
		return appendUint(dst, uint64(be.Uint32(b))), true
	case u48:
		return appendUint(dst, uint64(be.Uint16(b))<<32|uint64(be.Uint32(b[2:]))), true
	case u64:
		return appendUint(dst, be.Uint64(b)), true
	case sigTime:
		return appendSigTime(dst, be.Uint32(b)), true
	case ipv4:
		return appendIPv4Text(dst, b), true
	case ipv6:
		return appendIPv6Text(dst, b), true
	case text:
		return appendQuoted(dst, b[1:]), true
	case texts:
		return appendStringsText(dst, b), true
	case bitmap:
		return trimBlank(appendBitmapText(dst, b), len(dst)), true
	}
	return appendDataText(dst, k, rdata, b)
}

// appendDataText writes the kinds that are octets in hex, base64 or quotes.
func appendDataText(dst []byte, k kind, rdata, b []byte) ([]byte, bool) {
	switch k {
	case hexRest:
		return appendHex(dst, b), len(b) > 0
	case b64Rest:
		return base64.StdEncoding.AppendEncode(dst, b), len(b) > 0
	case b64Opt:
		return base64.StdEncoding.AppendEncode(dst, b), true
	case b64Dash:
		if len(b) == 0 {
			return append(dst, '-'), true
		}
		return base64.StdEncoding.AppendEncode(dst, b), true
	case hexLen8:
		if b[0] == 0 {
			return append(dst, '-'), true
		}
		return appendHex(dst, b[1:]), true
	case b32Len8:
		return base32Hex.AppendEncode(dst, b[1:]), b[0] > 0
	case b64Len16:
		dst = appendUint(dst, uint64(len(b)-2))
		if len(b) == 2 {
			return dst, true
		}
		return base64.StdEncoding.AppendEncode(append(dst, ' '), b[2:]), true
	case octetsQ:
		return appendQuoted(dst, b), true
	case tag:
		return append(dst, b[1:]...), isTag(b[1:])
	case textOpt:
		if len(b) == 0 {
			return dst, true
		}
		return appendQuoted(dst, b[1:]), true
	}
	return appendSpecialText(dst, k, rdata, b)
}

// appendSpecialText writes the kinds that only one or two types have.
func appendSpecialText(dst []byte, k kind, rdata, b []byte) ([]byte, bool) {
	switch k {
	case names:
		return appendNamesText(dst, b), true
	case relayType:
		dst = append(dst, '0'+b[0]>>7, ' ')
		return appendUint(dst, uint64(b[0]&0x7F)), true
	case gateway, relay:
		return appendGatewayText(dst, gatewayForm(k, rdata), b)
	case hostID:
		return appendHostIDText(dst, b)
	case a6Suffix:
		return appendA6SuffixText(dst, b)
	case a6Name:
		if len(b) == 0 {
			return dst, true
		}
		return appendNameText(dst, b), true
	case bitmapNXT:
		return trimBlank(appendNXTBitmapText(dst, b), len(dst)), true
	case location:
		return appendLOCText(dst, b)
	case prefixes:
		return appendAPLText(dst, b)
	case svcParams:
		return appendSvcParamsText(dst, b)
	case services:
		return appendServicesText(dst, b)
	case nsapHex:
		return appendHex(append(dst, "0x"...), b), len(b) > 0
	case atmAddr:
		return appendATMText(dst, b)
	case eui48, eui64:
		return appendGroups(dst, b, 1, '-'), true
	case node64:
		return appendGroups(dst, b, 2, ':'), true
	}
	return dst, false
}

var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

func appendIPv4Text(dst, b []byte) []byte {
	return netip.AddrFrom4([4]byte(b)).AppendTo(dst)
}

func appendIPv6Text(dst, b []byte) []byte { // as RFC 5952 wants it
	return netip.AddrFrom16([16]byte(b)).AppendTo(dst)
}

func appendNamesText(dst, b []byte) []byte {
	start := len(dst)
	for len(b) > 0 {
		n, err := wireNameLen(b)
		if err != nil {
			break
		}
		dst = append(appendNameText(dst, b[:n]), ' ')
		b = b[n:]
	}
	return trimBlank(dst, start)
}

func appendStringsText(dst, b []byte) []byte {
	start := len(dst)
	for len(b) > 0 {
		n := 1 + int(b[0])
		dst = append(appendQuoted(dst, b[1:n]), ' ')
		b = b[n:]
	}
	return trimBlank(dst, start)
}

// trimBlank removes the blank at the end of a list that began at start.
func trimBlank(dst []byte, start int) []byte {
	if len(dst) > start {
		return dst[:len(dst)-1]
	}
	return dst
}

// appendQuoted writes s within quotes (RFC 1035 §5.1).
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		dst = appendQuotedOctet(dst, c)
	}
	return append(dst, '"')
}

func appendQuotedOctet(dst []byte, c byte) []byte {
	switch {
	case c < ' ' || c >= 0x7F:
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	}
	return append(dst, c)
}

// appendGroups writes b in groups of width octets, in lower-case hex.
func appendGroups(dst, b []byte, width int, sep byte) []byte {
	for i, c := range b {
		if i > 0 && i%width == 0 {
			dst = append(dst, sep)
		}
		dst = append(dst, lower[hexDigits[c>>4]], lower[hexDigits[c&15]])
	}
	return dst
}

func appendATMText(dst, b []byte) ([]byte, bool) {
	switch {
	case len(b) < 2:
	case b[0] == atmAESA:
		return appendHex(dst, b[1:]), true
	case b[0] == atmE164:
		dst = append(dst, '+')
		for _, c := range b[1:] {
			if !isDigit(c) {
				return dst, false
			}
		}
		return append(dst, b[1:]...), true
	}
	return dst, false
}
