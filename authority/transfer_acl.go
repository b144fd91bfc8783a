package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
)

// Who describes clients by their address, by the key that they sign with, by the
// name in the certificate that they show over TLS or QUIC (RFC 9103 §9.3.3), or by
// several of these: then all must match.
type Who struct {
	Prefix netip.Prefix // the zero Prefix: any address
	Key    dns.Name     // the zero Name: signed or not
	TLS    string       // in lower case; "": with or without a certificate
}

// ACL is a list of who may do something: whoever any of them describes.
type ACL []Who

// ParseWho reads PREFIX, key:NAME or tls:NAME, or several of these, joined by +. An
// address is a prefix of its whole length.
func ParseWho(s string) (who Who, err error) {
	var seen [3]bool
	for rest, more := s, true; more; {
		var part string
		part, rest, more = cutWho(rest)
		kind, err := who.parse(part)
		switch {
		case err != nil:
			return who, fmt.Errorf("%q: %w", s, err)
		case seen[kind]:
			return who, fmt.Errorf("%q: expected an address, a prefix, key:NAME, tls:NAME, or PREFIX+key:NAME, each part once", s)
		}
		seen[kind] = true
	}
	return who, nil
}

// cutWho returns the first part of s. A plus sign may be in the name of a key, too.
func cutWho(s string) (part, rest string, more bool) {
	end := len(s)
	for _, next := range []string{"+key:", "+tls:"} {
		if i := strings.Index(s, next); i >= 0 {
			end = min(end, i)
		}
	}
	if end == len(s) {
		return s, "", false
	}
	return s[:end], s[end+1:], true
}

// parse reads one part, and returns which it is.
func (w *Who) parse(part string) (kind int, err error) {
	if name, ok := strings.CutPrefix(part, "key:"); ok {
		if w.Key, err = dns.ParseName(name); err != nil {
			return 0, fmt.Errorf("name of a key: %w", err)
		}
		return 0, nil
	}
	if name, ok := strings.CutPrefix(part, "tls:"); ok {
		if w.TLS = strings.ToLower(strings.TrimSuffix(name, ".")); w.TLS == "" {
			return 1, errors.New("tls: is to be followed by a name")
		}
		return 1, nil
	}
	if part == "" {
		return 2, errors.New("expected an address, a prefix, key:NAME, tls:NAME, or PREFIX+key:NAME")
	}
	w.Prefix, err = parsePrefix(part)
	return 2, err
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q: expected an address such as 192.0.2.1, or a prefix such as 2001:db8::/32", s)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q: expected a prefix such as 192.0.2.0/24", s)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits set behind the prefix, expected %s", s, p.Masked())
	}
	return p, nil
}

// UnmarshalText is [ParseWho].
func (w *Who) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWho(string(text))
	return err
}

// String returns w as ParseWho reads it.
func (w Who) String() string {
	var parts []string
	if w.Prefix.IsValid() {
		parts = append(parts, w.Prefix.String())
	}
	if !w.Key.IsZero() {
		parts = append(parts, "key:"+w.Key.String())
	}
	if w.TLS != "" {
		parts = append(parts, "tls:"+w.TLS)
	}
	return strings.Join(parts, "+")
}

// Allows reports whether the list has a client with that address, which signed
// with the key of that name; the zero Name says that it did not sign.
func (a ACL) Allows(client netip.Addr, key dns.Name) bool { return a.AllowsPeer(client, key, nil) }

// AllowsPeer is Allows for a client that has shown a certificate with these names.
func (a ACL) AllowsPeer(client netip.Addr, key dns.Name, peer []string) bool {
	client = client.Unmap().WithZone("")
	for _, w := range a {
		switch {
		case w.Prefix.IsValid() && !w.Prefix.Contains(client):
		case !w.Key.IsZero() && (key.IsZero() || !w.Key.Equal(key)):
		case w.TLS != "" && !slices.ContainsFunc(peer, func(s string) bool { return strings.EqualFold(s, w.TLS) }):
		default:
			return true
		}
	}
	return false
}
