package authority

import (
	"fmt"
	"net/netip"
	"strings"

	"onoma/dns"
)

// Who describes clients by their address, by the key that they sign with, or by
// both: then both must match.
type Who struct {
	Prefix netip.Prefix // the zero Prefix: any address
	Key    dns.Name     // the zero Name: signed or not
}

// ACL is a list of who may do something: whoever any of them describes.
type ACL []Who

// ParseWho reads PREFIX, key:NAME or PREFIX+key:NAME. An address is a prefix of
// its whole length.
func ParseWho(s string) (who Who, err error) {
	address, key, both := strings.Cut(s, "+")
	if strings.HasPrefix(s, "key:") {
		address, key, both = "", s, false
	}
	if address == "" && key == "" || both && (address == "" || key == "") {
		return who, fmt.Errorf("%q: expected an address, a prefix, key:NAME, or PREFIX+key:NAME", s)
	}
	if address != "" {
		if who.Prefix, err = parsePrefix(address); err != nil {
			return who, err
		}
	}
	if key != "" {
		name, ok := strings.CutPrefix(key, "key:")
		if !ok {
			return who, fmt.Errorf("%q: expected key:NAME behind the +", s)
		}
		if who.Key, err = dns.ParseName(name); err != nil {
			return who, fmt.Errorf("%q: name of a key: %w", s, err)
		}
	}
	return who, nil
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
	switch {
	case w.Key.IsZero():
		return w.Prefix.String()
	case !w.Prefix.IsValid():
		return "key:" + w.Key.String()
	}
	return w.Prefix.String() + "+key:" + w.Key.String()
}

// Allows reports whether the list has a client with that address, which signed
// with the key of that name; the zero Name says that it did not sign.
func (a ACL) Allows(client netip.Addr, key dns.Name) bool {
	client = client.Unmap().WithZone("")
	for _, w := range a {
		if w.Prefix.IsValid() && !w.Prefix.Contains(client) {
			continue
		}
		if w.Key.IsZero() || !key.IsZero() && w.Key.Equal(key) {
			return true
		}
	}
	return false
}
