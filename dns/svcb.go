package dns

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
)

// SvcKey is the key of a parameter of SVCB and HTTPS (RFC 9460 §14.3).
type SvcKey uint16

// The registered keys.
const (
	SvcMandatory     SvcKey = 0  // RFC 9460 §8
	SvcALPN          SvcKey = 1  // RFC 9460 §7.1
	SvcNoDefaultALPN SvcKey = 2  // RFC 9460 §7.1
	SvcPort          SvcKey = 3  // RFC 9460 §7.2
	SvcIPv4Hint      SvcKey = 4  // RFC 9460 §7.3
	SvcECH           SvcKey = 5  // RFC 9848
	SvcIPv6Hint      SvcKey = 6  // RFC 9460 §7.3
	SvcDoHPath       SvcKey = 7  // RFC 9461 §5
	SvcOHTTP         SvcKey = 8  // RFC 9540 §4
	SvcTLSGroups     SvcKey = 9  // draft-ietf-tls-key-share-prediction
	SvcDocPath       SvcKey = 10 // RFC 9953 §3.2
	svcInvalid       SvcKey = 65535
)

// svcForm is how the value of a parameter looks.
type svcForm uint8

const (
	svcOctets    svcForm = iota // anything
	svcKeys                     // list of keys, ascending
	svcStrings                  // list of strings with length octets
	svcSegments                 // the same, but the list may be empty
	svcNothing                  // no value
	svcNumber                   // u16
	svcNumbers                  // list of u16
	svcIPv4s                    // list of IPv4 addresses
	svcIPv6s                    // list of IPv6 addresses
	svcBase64                   // octets, base64 in text
	svcSomething                // octets, at least one
)

var svcRegistry = [...]struct {
	name string
	form svcForm
}{
	SvcMandatory:     {"mandatory", svcKeys},
	SvcALPN:          {"alpn", svcStrings},
	SvcNoDefaultALPN: {"no-default-alpn", svcNothing},
	SvcPort:          {"port", svcNumber},
	SvcIPv4Hint:      {"ipv4hint", svcIPv4s},
	SvcECH:           {"ech", svcBase64},
	SvcIPv6Hint:      {"ipv6hint", svcIPv6s},
	SvcDoHPath:       {"dohpath", svcSomething},
	SvcOHTTP:         {"ohttp", svcNothing},
	SvcTLSGroups:     {"tls-supported-groups", svcNumbers},
	SvcDocPath:       {"docpath", svcSegments},
}

func (k SvcKey) form() svcForm {
	if int(k) < len(svcRegistry) {
		return svcRegistry[k].form
	}
	return svcOctets
}

// String returns the name of the key, or key and its number (RFC 9460 §2.1).
func (k SvcKey) String() string { return string(k.append(nil)) }

func (k SvcKey) append(dst []byte) []byte {
	if int(k) < len(svcRegistry) {
		return append(dst, svcRegistry[k].name...)
	}
	return appendUint(append(dst, "key"...), uint64(k))
}

const (
	errSvcParamCut   = rdataError("SvcParam cut short")
	errSvcParamOrder = rdataError("SvcParams not in increasing order of their keys")
	errSvcParamValue = rdataError("SvcParam with a value of another form than its key has")
)

// checkSvcParams checks parameters in wire form (RFC 9460 §2.2): "SvcParamKeys
// are not in strictly increasing numeric order" and "the SvcParamValue for a
// SvcParamKey does not have the expected format" make a record malformed.
func checkSvcParams(b []byte) error {
	last := -1
	for len(b) > 0 {
		if len(b) < 4 {
			return errSvcParamCut
		}
		key, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return errSvcParamCut
		}
		if int(key) <= last {
			return errSvcParamOrder
		}
		if !svcValueFits(SvcKey(key).form(), b[4:4+n]) {
			return errSvcParamValue
		}
		last, b = int(key), b[4+n:]
	}
	return nil
}

func svcValueFits(f svcForm, v []byte) bool {
	switch f {
	case svcKeys:
		return svcKeysFit(v)
	case svcStrings, svcSegments:
		for rest := v; len(rest) > 0; {
			n := int(rest[0])
			if n == 0 || n+1 > len(rest) {
				return false
			}
			rest = rest[n+1:]
		}
		return f == svcSegments || len(v) > 0
	case svcNothing:
		return len(v) == 0
	case svcNumber:
		return len(v) == 2
	case svcNumbers:
		return len(v) > 0 && len(v)%2 == 0
	case svcIPv4s:
		return len(v) > 0 && len(v)%4 == 0
	case svcIPv6s:
		return len(v) > 0 && len(v)%16 == 0
	case svcBase64, svcSomething:
		return len(v) > 0
	}
	return true
}

// svcKeysFit checks the value of mandatory: keys in increasing order, itself
// not among them (RFC 9460 §8).
func svcKeysFit(v []byte) bool {
	last := 0
	for rest := v; len(rest) >= 2; rest = rest[2:] {
		key := int(binary.BigEndian.Uint16(rest))
		if key <= last {
			return false
		}
		last = key
	}
	return len(v) > 0 && len(v)%2 == 0
}

// SVCB is rdata of SVCB or HTTPS (RFC 9460 §2.2). Params is the wire form of
// the parameters and shares memory with the rdata that it was read from.
type SVCB struct {
	Priority uint16 // 0: AliasMode
	Target   Name
	Params   []byte
}

// ParseSVCB reads rdata of SVCB or HTTPS.
func ParseSVCB(rdata RData) (SVCB, error) {
	if err := CheckRData(TypeSVCB, rdata); err != nil {
		return SVCB{}, err
	}
	n, err := wireNameLen(rdata[2:])
	return SVCB{
		Priority: binary.BigEndian.Uint16(rdata),
		Target:   Name{string(rdata[2 : 2+n])},
		Params:   rdata[2+n:],
	}, err
}

// All yields the parameters in the order of their keys, values in wire form.
func (s SVCB) All() iter.Seq2[SvcKey, []byte] {
	return func(yield func(SvcKey, []byte) bool) {
		for b := s.Params; len(b) >= 4; {
			n := 4 + int(binary.BigEndian.Uint16(b[2:]))
			if n > len(b) || !yield(SvcKey(binary.BigEndian.Uint16(b)), b[4:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// Value returns the wire form of the value of key; ok is false where the
// record has no such parameter.
func (s SVCB) Value(key SvcKey) (value []byte, ok bool) {
	for k, v := range s.All() {
		if k == key {
			return v, true
		}
	}
	return nil, false
}

// ALPN returns the protocols that the parameter alpn lists.
func (s SVCB) ALPN() []string {
	var out []string
	for v, _ := s.Value(SvcALPN); len(v) > 0 && len(v) > int(v[0]); v = v[1+int(v[0]):] {
		out = append(out, string(v[1:1+int(v[0])]))
	}
	return out
}

// Port returns the parameter port.
func (s SVCB) Port() (port uint16, ok bool) {
	v, ok := s.Value(SvcPort)
	if !ok || len(v) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}

// Hints returns the addresses of ipv4hint and then of ipv6hint.
func (s SVCB) Hints() []netip.Addr {
	var out []netip.Addr
	v4, _ := s.Value(SvcIPv4Hint)
	for a := range slices.Chunk(v4, 4) {
		if len(a) == 4 {
			out = append(out, netip.AddrFrom4([4]byte(a)))
		}
	}
	v6, _ := s.Value(SvcIPv6Hint)
	for a := range slices.Chunk(v6, 16) {
		if len(a) == 16 {
			out = append(out, netip.AddrFrom16([16]byte(a)))
		}
	}
	return out
}
