package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Pos is a place in a file.
type Pos struct {
	File         string
	Line, Column int
}

// String returns FILE:LINE:COLUMN.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Size is a number of octets; 0 is no limit.
type Size int64

// Percent is a share; 0 is no limit where it is one.
type Percent float64

// Secret is a text that is never printed.
type Secret struct{ text string }

// String hides the secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides it, too.
func (s Secret) GoString() string { return s.String() }

// IsZero reports whether none is given.
func (s Secret) IsZero() bool { return s.text == "" }

// errSecret tells nothing of a secret.
var errSecret = errors.New("the secret is not Base64, expected what tsig-keygen or \"openssl rand -base64 32\" gives")

// Octets returns the secret, for which getenv is asked where it stands in an
// environment variable.
func (s Secret) Octets(getenv func(string) string) ([]byte, error) {
	text := s.text
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		if text = getenv(name); text == "" {
			return nil, fmt.Errorf("environment variable %s is empty, expected a secret in Base64", name)
		}
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, errSecret
	}
	return b, nil
}

// Endpoint is something to listen on.
type Endpoint struct {
	Scheme string         // "" for UDP and TCP, tls, quic, https, or xdp
	Addr   netip.AddrPort // not of xdp
	Path   string         // of https
	Text   string         // as it was written
}

// schemes are the transports with their ports (RFC 7858 §3.1, RFC 9250 §4.1.1, RFC 9110 §4.2.2).
var schemes = map[string]uint16{"": portDNS, "tls": portTLS, "quic": portTLS, "https": 443}

const (
	portDNS     = 53
	portTLS     = 853
	defaultPath = "/dns-query"
)

func parseEndpoint(s string) (Endpoint, error) {
	e := Endpoint{Text: s}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	e.Scheme = scheme
	if scheme == "xdp" {
		if rest == "" {
			return e, errors.New("no interface behind xdp://")
		}
		return e, nil
	}
	port, ok := schemes[scheme]
	if !ok {
		return e, fmt.Errorf("there is no transport %s", scheme)
	}
	if scheme == "https" {
		e.Path = defaultPath
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			rest, e.Path = rest[:at], rest[at:]
		}
	}
	addr, err := parseAddress(rest)
	if err != nil {
		return e, err
	}
	e.Addr = withPort(addr, port)
	return e, nil
}

var errAddress = errors.New("not an IP address")

// parseAddress reads ADDR, [ADDR], ADDR:PORT or [ADDR]:PORT; the port is 0 where it is left out.
func parseAddress(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, nil
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, errAddress
	}
	return netip.AddrPortFrom(a, 0), nil
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	if a.Port() != 0 {
		return a
	}
	return netip.AddrPortFrom(a.Addr(), port)
}

// parsePrefix reads a prefix; an address is one of its whole length.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errAddress
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("not a prefix")
	}
	if p != p.Masked() {
		return p, fmt.Errorf("bits are set behind the prefix, %s has none", p.Masked())
	}
	return p, nil
}

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// parseDuration reads numbers with units, such as 1h30m or 90d; a bare number is seconds.
func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 33); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	var sum time.Duration
	for rest := s; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, errDuration
		}
		rest = rest[digits:]
		end := strings.IndexAny(rest, "0123456789")
		if end < 0 {
			end = len(rest)
		}
		unit, ok := durationUnits[rest[:end]]
		if !ok || n > int64(math.MaxInt64)/int64(unit) || sum > math.MaxInt64-time.Duration(n)*unit {
			return 0, errDuration
		}
		sum += time.Duration(n) * unit
		rest = rest[end:]
	}
	if s == "" {
		return 0, errDuration
	}
	return sum, nil
}

var errDuration = errors.New("not a time")

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "k": 1000, "kB": 1000, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

var errSize = errors.New("not a size")

func parseSize(s string) (Size, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	unit, ok := sizeUnits[strings.TrimSpace(s[digits:])]
	if err != nil || !ok || n > math.MaxInt64/unit {
		return 0, errSize
	}
	return Size(n * unit), nil
}

func parsePercent(s string) (Percent, error) {
	digits, ok := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(f >= 0 && f <= 100) {
		return 0, errors.New("not a share")
	}
	return Percent(f), nil
}

// parseSecret keeps the text, of which nothing gets into an error.
func parseSecret(s string) (Secret, error) {
	secret := Secret{s}
	if _, err := secret.Octets(func(string) string { return "AA==" }); err != nil {
		return Secret{}, errors.New("not Base64")
	}
	return secret, nil
}
