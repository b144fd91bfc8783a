package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
)

var (
	typeRule     = reflect.TypeFor[Rule]()
	typeSecret   = reflect.TypeFor[Secret]()
	typeName     = reflect.TypeFor[dns.Name]()
	typeAddr     = reflect.TypeFor[netip.Addr]()
	typeAddrPort = reflect.TypeFor[netip.AddrPort]()
	typePrefix   = reflect.TypeFor[netip.Prefix]()
	typeEndpoint = reflect.TypeFor[Endpoint]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeSize     = reflect.TypeFor[Size]()
	typePercent  = reflect.TypeFor[Percent]()
)

// scalars are the types beside numbers, texts and truth values that one value in
// the file makes, with what is expected of it.
var scalars = map[reflect.Type]string{
	typeRule:     "a rule such as \"grant key:ddns. subdomain dyn.example. A AAAA\"",
	typeSecret:   "Base64, as tsig-keygen or \"openssl rand -base64 32\" give it, or env:NAME",
	typeName:     "a domain name such as example.com",
	typeAddr:     "an address such as 192.0.2.1 or 2001:db8::1",
	typeAddrPort: "ADDR:PORT such as 192.0.2.1:53 or [2001:db8::1]:53",
	typePrefix:   "an address, or a prefix such as 192.0.2.0/24",
	typeUpstream: "ADDR or ADDR:PORT, tcp://ADDR, tls://ADDR#NAME, quic://ADDR#NAME, https://ADDR/PATH#NAME or h3://ADDR/PATH#NAME",
	typeEndpoint: "ADDR:PORT such as 127.0.0.1:53 or [::1]:53, tls://ADDR, quic://ADDR, https://ADDR/PATH or xdp://INTERFACE",
	typeDuration: "a time such as 90d, 12h, 1h30m or 30s",
	typeSize:     "a size such as 64MiB or 1GiB",
	typePercent:  "a share such as 20%",
}

func isScalar(t reflect.Type) bool {
	if _, ok := scalars[t]; ok {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int:
		return true
	}
	return false
}

// wanted says what is expected of a value.
func wanted(t reflect.Type, f *field) string {
	text, ok := scalars[t]
	switch {
	case f.oneof != nil:
		text = strings.Join(f.oneof, ", ")
		if at := strings.LastIndex(text, ", "); at >= 0 {
			text = text[:at] + " or" + text[at+1:]
		}
	case ok:
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		text = "a number"
	default:
		text = "a text"
	}
	if f.least != "" {
		text += fmt.Sprintf(", from %s to %s", f.least, f.most)
	}
	return text
}

var errRange = errors.New("out of range")

// parseScalar reads the text of one value of type t.
func parseScalar(s string, t reflect.Type, f *field) (reflect.Value, error) {
	switch t {
	case typeDuration:
		got, err := parseDuration(s)
		if err == nil && !inRange(f, int64(got), func(s string) (int64, error) { d, err := parseDuration(s); return int64(d), err }) {
			err = errRange
		}
		return reflect.ValueOf(got), err
	case typeSize:
		return valueOf(parseSize(s))
	case typePercent:
		return valueOf(parsePercent(s))
	case typeName:
		return valueOf(dns.ParseNameIDNA(s))
	case typeAddr:
		a, err := netip.ParseAddr(s)
		if err != nil {
			err = errAddress
		}
		return reflect.ValueOf(a), err
	case typeAddrPort:
		a, err := parseAddress(s)
		if err == nil && a.Port() == 0 && !f.anyPort {
			err = errors.New("the port is missing")
		}
		return reflect.ValueOf(a), err
	case typePrefix:
		return valueOf(parsePrefix(s))
	case typeEndpoint:
		return valueOf(parseEndpoint(s))
	case typeUpstream:
		return valueOf(ParseUpstream(s))
	case typeSecret:
		return valueOf(parseSecret(s))
	}
	return parsePlain(s, t, f)
}

func valueOf[T any](v T, err error) (reflect.Value, error) { return reflect.ValueOf(v), err }

// parsePlain reads numbers, texts and truth values.
func parsePlain(s string, t reflect.Type, f *field) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Bool:
		switch s {
		case "true", "yes", "on":
			v.SetBool(true)
		case "false", "no", "off":
		default:
			return v, errors.New("neither true nor false")
		}
	case reflect.Int:
		n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
		if err != nil {
			return v, errors.New("not a number")
		}
		if !inRange(f, n, parseInt) {
			return v, errRange
		}
		v.SetInt(n)
	default:
		if strings.ContainsRune(s, 0) {
			return v, errors.New("a NUL character is in it")
		}
		v.SetString(s)
	}
	return v, nil
}
