package dns

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
)

// svcParams reads parameters in any order (RFC 9460 §2.1) and writes them in
// the order of their keys.
func (p *rdataParser) svcParams(dst []byte) []byte {
	start := len(dst)
	sorted, last := true, -1
	var seen [1 << 16 / 64]uint64
	for p.more() {
		at := len(dst)
		if dst = p.svcParam(dst); p.err != nil {
			return dst
		}
		key := int(binary.BigEndian.Uint16(dst[at:]))
		if seen[key/64]>>(key%64)&1 != 0 {
			return p.bad(dst, "parameter", "each key once, and "+SvcKey(key).String()+" stands before")
		}
		seen[key/64] |= 1 << (key % 64)
		sorted, last = sorted && key > last, max(key, last)
	}
	if p.err != nil {
		return dst
	}
	if !sorted {
		sortSvcParams(dst[start:])
	}
	return p.svcConsistent(dst, dst[start:])
}

// svcParam reads one parameter: key, or key=value with quotes around the value
// where it needs them.
func (p *rdataParser) svcParam(dst []byte) []byte {
	tok := p.take()
	name, value, hasValue := bytes.Cut(tok.Text, []byte{'='})
	key, numeric, ok := parseSvcKey(name)
	if !ok || tok.Quoted {
		return p.bad(dst, "parameter", "a key such as alpn or key65280, with = and a value where it has one")
	}
	if n := len(value); n > 0 && value[0] == '"' {
		if n < 2 || value[n-1] != '"' || hasBareQuote(value[1:n-1]) {
			return p.bad(dst, "parameter", "quotes around the whole value")
		}
		value = value[1 : n-1]
	} else if hasBareQuote(value) {
		return p.bad(dst, "parameter", "quotes around the whole value")
	}
	at := len(dst)
	dst = append(dst, byte(key>>8), byte(key), 0, 0)
	dst = p.svcValue(dst, key.form(), numeric, value, hasValue)
	n := len(dst) - at - 4
	if n > maxRData {
		return p.bad(dst, "parameter", "a value of at most 65535 octets")
	}
	binary.BigEndian.PutUint16(dst[at+2:], uint16(n))
	return dst
}

// svcValue reads a value. Behind keyNNNNN it is the wire form as a
// character-string, whatever the key (RFC 9460 §2.1).
func (p *rdataParser) svcValue(dst []byte, f svcForm, numeric bool, value []byte, has bool) []byte {
	raw, ok := value, true
	if bytes.IndexByte(value, '\\') >= 0 {
		raw, ok = appendUnescaped(nil, value)
	}
	if !ok {
		return p.bad(dst, "escape in", `\ and a character, or \ and three digits up to 255`)
	}
	at := len(dst)
	if numeric {
		dst = append(dst, raw...)
	} else {
		dst, ok = appendSvcValue(dst, f, raw)
	}
	if !ok || !svcValueFits(f, dst[at:]) || f == svcNothing && has && len(raw) > 0 {
		return p.bad(dst, "parameter", svcWant(f))
	}
	return dst
}

// appendSvcValue turns the text of a value, its escapes resolved, into octets.
func appendSvcValue(dst []byte, f svcForm, raw []byte) ([]byte, bool) {
	switch f {
	case svcOctets, svcSomething, svcNothing:
		return append(dst, raw...), true
	case svcBase64:
		var r bitReader
		dst, ok := r.base64(dst, raw)
		return dst, ok && r.base64Done()
	case svcStrings, svcSegments:
		if len(raw) == 0 {
			return dst, true
		}
		return appendSvcStrings(dst, raw)
	case svcNumber:
		v, ok := parseUint(raw, 1<<16-1)
		return binary.BigEndian.AppendUint16(dst, uint16(v)), ok
	}
	at := len(dst)
	for item := range bytes.SplitSeq(raw, []byte{','}) {
		var ok bool
		if dst, ok = appendSvcItem(dst, f, item); !ok {
			return dst, false
		}
	}
	if f == svcKeys {
		return dst, sortSvcKeys(dst[at:])
	}
	return dst, true
}

func appendSvcItem(dst []byte, f svcForm, item []byte) ([]byte, bool) {
	switch f {
	case svcIPv4s:
		return appendIPv4(dst, item)
	case svcIPv6s:
		return appendIPv6(dst, item)
	case svcKeys:
		key, _, ok := parseSvcKey(item)
		return binary.BigEndian.AppendUint16(dst, uint16(key)), ok
	}
	v, ok := parseUint(item, 1<<16-1)
	return binary.BigEndian.AppendUint16(dst, uint16(v)), ok
}

// appendSvcStrings splits raw at its commas. A second layer of escapes protects
// commas and backslashes within items, and nothing else (RFC 9460 appendix A.1).
func appendSvcStrings(dst, raw []byte) ([]byte, bool) {
	at := len(dst)
	dst = append(dst, 0)
	for i := 0; i <= len(raw); i++ {
		if i == len(raw) || raw[i] == ',' {
			n := len(dst) - at - 1
			if n == 0 || n > 255 {
				return dst, false
			}
			if dst[at] = byte(n); i == len(raw) {
				return dst, true
			}
			at = len(dst)
			dst = append(dst, 0)
			continue
		}
		c := raw[i]
		if c == '\\' {
			if i++; i == len(raw) || raw[i] != ',' && raw[i] != '\\' {
				return dst, false
			}
			c = raw[i]
		}
		dst = append(dst, c)
	}
	return dst, true
}

func svcWant(f svcForm) string {
	switch f {
	case svcKeys:
		return "names of keys with commas between, each once and not mandatory itself"
	case svcStrings:
		return "one or more values of 1 to 255 octets with commas between"
	case svcSegments:
		return "path segments of 1 to 255 octets with commas between"
	case svcNothing:
		return "no value behind the key"
	case svcNumber:
		return "a number from 0 to 65535 behind the key"
	case svcNumbers:
		return "numbers from 0 to 65535 with commas between"
	case svcIPv4s:
		return "IPv4 addresses with commas between"
	case svcIPv6s:
		return "IPv6 addresses with commas between"
	case svcBase64:
		return "base64 behind the key"
	}
	return "a value behind the key"
}

// parseSvcKey reads a registered name in lower case, or key and a number
// without leading zeroes (RFC 9460 §2.1). Key 65535 is reserved as invalid.
func parseSvcKey(s []byte) (key SvcKey, numeric, ok bool) {
	for k := range svcRegistry {
		if svcRegistry[k].name == string(s) {
			return SvcKey(k), false, true
		}
	}
	digits, found := bytes.CutPrefix(s, []byte("key"))
	if !found || len(digits) > 1 && digits[0] == '0' {
		return 0, false, false
	}
	v, ok := parseUint(digits, uint64(svcInvalid)-1)
	return SvcKey(v), true, ok
}

// hasSvcKey reports whether the wire form of parameters has key.
func hasSvcKey(params []byte, key SvcKey) bool {
	_, ok := SVCB{Params: params}.Value(key)
	return ok
}

// sortSvcParams sorts distinct parameters by key.
func sortSvcParams(params []byte) {
	type param struct {
		key   SvcKey
		start int
		end   int
	}
	var list []param
	for i := 0; i < len(params); {
		n := 4 + int(binary.BigEndian.Uint16(params[i+2:]))
		list = append(list, param{SvcKey(binary.BigEndian.Uint16(params[i:])), i, i + n})
		i += n
	}
	slices.SortFunc(list, func(a, b param) int { return int(a.key) - int(b.key) })
	old := bytes.Clone(params)
	out := params[:0]
	for _, q := range list {
		out = append(out, old[q.start:q.end]...)
	}
}

// sortSvcKeys sorts a list of keys in wire form; it fails where one stands twice.
func sortSvcKeys(b []byte) bool {
	keys := make([]uint16, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		keys = append(keys, binary.BigEndian.Uint16(b[i:]))
	}
	slices.Sort(keys)
	for i, k := range keys {
		binary.BigEndian.PutUint16(b[2*i:], k)
	}
	return len(slices.Compact(keys))*2 == len(b)
}

// svcInconsistency returns the key that a parameter needs and that is missing:
// those that mandatory lists (RFC 9460 §8), alpn for no-default-alpn (§7.1.1).
// Both lists are in order, so one pass over the parameters is enough.
func svcInconsistency(params []byte) (missing SvcKey, bad bool) {
	var needed []byte
	alpn := false
	for key, v := range (SVCB{Params: params}).All() {
		switch key {
		case SvcMandatory:
			needed = v
			continue
		case SvcALPN:
			alpn = true
		case SvcNoDefaultALPN:
			if !alpn {
				return SvcALPN, true
			}
		}
		if len(needed) < 2 {
			continue
		}
		switch want := SvcKey(binary.BigEndian.Uint16(needed)); {
		case key == want:
			needed = needed[2:]
		case key > want:
			return want, true
		}
	}
	if len(needed) >= 2 {
		return SvcKey(binary.BigEndian.Uint16(needed)), true
	}
	return 0, false
}

func (p *rdataParser) svcConsistent(dst, params []byte) []byte {
	if key, bad := svcInconsistency(params); bad {
		return p.fail(dst, "no parameter "+strconv.Quote(key.String()), "it, as another parameter needs it")
	}
	return dst
}

// appendSvcParamsText fails for parameters that text must not have: those that
// miss one another, and the invalid key.
func appendSvcParamsText(dst, b []byte) ([]byte, bool) {
	if _, bad := svcInconsistency(b); bad || hasSvcKey(b, svcInvalid) {
		return dst, false
	}
	start := len(dst)
	for key, v := range (SVCB{Params: b}).All() {
		dst = key.append(dst)
		if len(v) > 0 {
			dst = appendSvcValueText(append(dst, '='), key.form(), v)
		}
		dst = append(dst, ' ')
	}
	return trimBlank(dst, start), true
}

func appendSvcValueText(dst []byte, f svcForm, v []byte) []byte {
	switch f {
	case svcBase64:
		return base64.StdEncoding.AppendEncode(dst, v)
	case svcStrings, svcSegments:
		return appendSvcStringsText(dst, v)
	case svcOctets, svcSomething, svcNothing:
		return appendQuoted(dst, v)
	}
	width := 2
	if f == svcIPv4s {
		width = 4
	} else if f == svcIPv6s {
		width = 16
	}
	for i := 0; i+width <= len(v); i += width {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch item := v[i : i+width]; f {
		case svcIPv4s:
			dst = appendIPv4Text(dst, item)
		case svcIPv6s:
			dst = appendIPv6Text(dst, item)
		case svcKeys:
			dst = SvcKey(binary.BigEndian.Uint16(item)).append(dst)
		default:
			dst = appendUint(dst, uint64(binary.BigEndian.Uint16(item)))
		}
	}
	return dst
}

// appendSvcStringsText writes items with commas between, both layers of
// escapes applied: an item's comma is \\, in the end.
func appendSvcStringsText(dst, v []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(v); {
		n := int(v[i])
		if i > 0 {
			dst = append(dst, ',')
		}
		for _, c := range v[i+1 : i+1+n] {
			switch c {
			case ',', '\\':
				dst = append(dst, '\\', '\\')
			}
			dst = appendQuotedOctet(dst, c)
		}
		i += 1 + n
	}
	return append(dst, '"')
}
