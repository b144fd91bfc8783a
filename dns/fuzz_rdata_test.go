package dns

import (
	"bytes"
	"testing"

	oracle "github.com/miekg/dns"
)

func seedTypes(f *testing.F) []Type {
	var types []Type
	for v := range 1 << 16 {
		if d := descriptorOf(Type(v)); d != nil {
			types = append(types, Type(v))
		}
	}
	return append(types, 65280)
}

// FuzzRDataText reads any text as rdata of any type. What is read must be
// well-formed, and must read back from what is written.
func FuzzRDataText(f *testing.F) {
	for typ, texts := range rdataExamples {
		f.Add(uint16(typ), texts[0])
		f.Add(uint16(typ), texts[len(texts)-1])
	}
	for _, e := range wireExamples {
		f.Add(uint16(e.typ), e.text)
	}
	f.Fuzz(func(t *testing.T, v uint16, text string) {
		typ := Type(v)
		d, err := ParseRDataString(typ, text, exampleOrigin)
		if err != nil {
			if err.Error() == "" {
				t.Fatalf("%s %q: an error without a text", typ, text)
			}
			return
		}
		if err := CheckRData(typ, d); err != nil {
			t.Fatalf("%s %q: read as %x: %v", typ, text, d, err)
		}
		checkAnyRData(t, typ, d)
	})
}

// FuzzRDataWire takes any octets as rdata of any type, alone and within a
// message.
func FuzzRDataWire(f *testing.F) {
	everyExample(f, func(typ Type, d RData) { f.Add(uint16(typ), []byte(d), uint16(0)) })
	for _, typ := range seedTypes(f) {
		f.Add(uint16(typ), []byte("\x00\x0a\xc0\x00\x01a\x00\xc0\x04\x00\x00\x00\x01"), uint16(4))
	}
	f.Fuzz(func(t *testing.T, v uint16, msg []byte, off uint16) {
		typ := Type(v)
		checkAnyRData(t, typ, msg)
		if int(off) > len(msg) {
			return
		}
		n := len(msg) - int(off)
		d, err := UnpackRData(nil, msg, int(off), n, typ)
		if err != nil {
			return
		}
		// Each pointer of two octets makes at most 255, and there are at most as
		// many as the row has names.
		if len(d) > n+2*MaxNameLen {
			t.Fatalf("%s %x at %d: %d octets from %d", typ, msg, off, len(d), n)
		}
		if err := CheckRData(typ, d); err != nil {
			t.Fatalf("%s %x at %d: unpacked to %x: %v", typ, msg, off, d, err)
		}
		if u := upperOctets(d); CheckRData(typ, u) == nil {
			checkCompare(t, typ, d, u)
		}
	})
}

func upperOctets(d []byte) []byte {
	u := bytes.Clone(d)
	for i, c := range u {
		if 'a' <= c && c <= 'z' {
			u[i] = c - 32
		}
	}
	return u
}

// knownDifference says why the oracle's view of rdata of type typ may differ
// from ours, "" where it must not.
func knownDifference(typ Type, d []byte) string {
	switch typ {
	case TypeNXT:
		return "the oracle gives NXT the bitmap of NSEC"
	case TypeISDN:
		return "the oracle writes a second string where there is none"
	case TypeOPT, TypeTSIG, TypeTKEY, TypeNULL:
		return "the oracle's own forms for messages' machinery"
	case TypeAMTRELAY:
		return "the oracle takes the D bit for part of the relay type, and drops names behind it"
	case TypeIPSECKEY:
		return "the oracle accepts gateways of any form and drops what it does not know"
	case TypeLOC:
		if d[0] != 0 {
			return "the oracle takes a LOC of any version for one of version 0"
		}
	case TypeURI, TypeCAA:
		if bytes.IndexByte(d, '\\') >= 0 {
			return "the oracle unescapes the octets of the last field but does not escape them"
		}
	case TypeSVCB, TypeHTTPS:
		if s, err := ParseSVCB(d); err == nil && hasSvcKey(s.Params, svcInvalid) {
			return "RFC 9460 §14.3.2 reserves key 65535, but nothing makes a record with it malformed"
		}
	case TypeNSEC3:
		if n, err := ParseNSEC3(d); err == nil && len(n.NextHashed) != 20 {
			return "the oracle takes every hash for one of 20 octets"
		}
	case TypeAPL:
		return "the oracle drops host bits of the prefix and refuses families that it does not know"
	}
	if !typ.IsKnown() {
		return "the oracle may know a type that has no RFC"
	}
	return ""
}

// stricter says why we refuse with err what the oracle accepts; "" where there
// is no reason. What the oracle refuses, we refuse too.
func stricter(err error) string {
	switch err {
	case ErrTruncated, errShortRData, errLOCLength:
		return "the oracle lets rdata end behind any field"
	case errBadRDataName:
		return "RFC 3597 §4: names of other types are not compressed"
	case errBitmapBlock:
		return "RFC 4034 §4.1.2: trailing zero octets MUST be omitted, blocks are in order"
	case errEmptyTag:
		return "RFC 8659 §4.1: a tag has at least one character"
	case errSvcParamValue:
		return "RFC 9460 §2.2: a value without the expected format makes the record malformed"
	}
	return ""
}

// FuzzOracle unpacks any octets as rdata, here and with the oracle. Both must
// accept the same, and make the same of it, but for the differences above.
func FuzzOracle(f *testing.F) {
	everyExample(f, func(typ Type, d RData) { f.Add(uint16(typ), []byte(d)) })
	f.Fuzz(func(t *testing.T, v uint16, d []byte) {
		typ := Type(v)
		if len(d) == 0 || len(d) > 1000 || knownDifference(typ, d) != "" || descriptorOf(typ).fields == nil {
			return
		}
		head := append([]byte("\x01x\x00"), byte(typ>>8), byte(typ), 0, 1, 0, 0, 0, 60, byte(len(d)>>8), byte(len(d)))
		msg := append(head, d...)
		ours, err := UnpackRData(nil, msg, len(head), len(d), typ)
		rr, _, oerr := oracle.UnpackRR(msg, 0)
		if _, unknown := rr.(*oracle.RFC3597); unknown {
			return
		}
		if (err == nil) != (oerr == nil) && (err == nil || stricter(err) == "") {
			t.Fatalf("%s %x: %v, to the oracle %v", typ, d, err, oerr)
		}
		if err != nil || oerr != nil {
			return
		}
		buf := make([]byte, 3000)
		n, perr := oracle.PackRR(rr, buf, 0, nil, false)
		if perr != nil {
			return // the oracle cannot write what it has read
		}
		theirs := buf[len(head):n]
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("%s %x: %x, to the oracle %x", typ, d, ours, theirs)
		}
		if typ == TypeLOC {
			return // the oracle reads seconds as floating point and rounds them
		}
		text := RData(ours).Text(typ)
		if back, err := oracleWire(typ, text); err == nil && !bytes.Equal(back, ours) {
			t.Fatalf("%s %x: the oracle reads our text %s as %x", typ, d, text, back)
		}
	})
}
