package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"onoma/dns"
)

// Trigger is the kind of a policy zone's rule; of those in one zone, a lower one goes first (RPZ draft §5.4).
type Trigger uint8

const (
	NoTrigger       Trigger = iota
	ByClient                // rpz-client-ip: the address of the one who asks
	ByName                  // QNAME
	ByAddress               // rpz-ip: an address in the answer
	ByServer                // rpz-nsdname: the name of a server of the zone or one above it
	ByServerAddress         // rpz-nsip: the address of such a server
)

var triggerNames = [...]string{"none", "client-ip", "qname", "ip", "nsdname", "nsip"}

// String returns the trigger's name as operators know it.
func (t Trigger) String() string { return triggerNames[t] }

var (
	errTrigger = errors.New("this is no trigger")
	errPrefix  = errors.New("this is no prefix")
)

// A rule's owner, taken apart.
type trigger struct {
	kind     Trigger
	prefix   netip.Prefix // of those by address
	name     []byte       // of those by name: folded wire form, without the asterisk
	wildcard bool         // the rule is for the names below name
}

// parseTrigger takes an owner apart that has the origin of its policy zone cut off; rel is folded and without the root's octet.
// buf is the memory for name.
func parseTrigger(buf, rel []byte) (trigger, error) {
	var offs [dns.MaxLabels + 1]uint8
	name := append(append(buf[:0], rel...), 0)
	n := dns.LabelOffsets(&offs, name)
	if n == 0 {
		return trigger{}, fmt.Errorf("%w: the apex", errTrigger)
	}
	last := "" // mostly no marker: no string is made for those
	if label := name[offs[n-1]+1 : len(name)-1]; len(label) > 4 && string(label[:4]) == "rpz-" {
		last = string(label)
	}
	kind := kindOf(last)
	switch {
	case kind == ByName && last != "":
		return trigger{}, fmt.Errorf("%w: %q, expected rpz-client-ip, rpz-ip, rpz-nsdname or rpz-nsip", errTrigger, last)
	case kind == ByName:
		return nameTrigger(ByName, name), nil
	case n == 1:
		return trigger{}, fmt.Errorf("%w: %q with nothing before it", errTrigger, last)
	case kind == ByServer:
		return nameTrigger(kind, append(name[:offs[n-1]], 0)), nil
	}
	var labels [9]string // a length and eight words at most
	if n-1 > len(labels) {
		return trigger{}, fmt.Errorf("%w: %d labels, expected at most 9", errPrefix, n-1)
	}
	for i := range n - 1 {
		labels[i] = string(name[offs[i]+1 : offs[i+1]])
	}
	prefix, err := parsePrefix(labels[:n-1])
	return trigger{kind: kind, prefix: prefix}, err
}

// markers are the last labels of the owners of rules that are not about the question's name.
var markers = [...]string{ByClient: "rpz-client-ip", ByAddress: "rpz-ip", ByServer: "rpz-nsdname", ByServerAddress: "rpz-nsip"}

// kindOf reads the last label of an owner.
func kindOf(label string) Trigger {
	for kind, marker := range markers {
		if label == marker && marker != "" {
			return Trigger(kind)
		}
	}
	return ByName
}

// ownerOf writes a prefix as parsePrefix reads it, without leaving zeros out.
func ownerOf(p netip.Prefix) string {
	text := strconv.Itoa(p.Bits())
	octets := p.Addr().AsSlice()
	for len(octets) > 0 {
		n := len(octets)
		if p.Addr().Is4() {
			text += "." + strconv.Itoa(int(octets[n-1]))
			octets = octets[:n-1]
			continue
		}
		text += "." + strconv.FormatUint(uint64(octets[n-2])<<8|uint64(octets[n-1]), 16)
		octets = octets[:n-2]
	}
	return text
}

func nameTrigger(kind Trigger, name []byte) trigger {
	if name[0] == 1 && name[1] == '*' {
		return trigger{kind: kind, name: name[2:], wildcard: true}
	}
	return trigger{kind: kind, name: name}
}

// parsePrefix reads the labels of a prefix: its length, then the address from its end to its beginning (RPZ draft §4.1.1).
func parsePrefix(labels []string) (netip.Prefix, error) {
	words := make([]string, 0, 8)
	gap := false
	for i := len(labels) - 1; i > 0; i-- {
		gap = gap || labels[i] == "zz"
		words = append(words, labels[i])
	}
	addr, err := netip.Addr{}, error(nil)
	switch {
	case len(words) == 4 && !gap:
		addr, err = netip.ParseAddr(strings.Join(words, "."))
	default:
		addr, err = parseWords(words)
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: %.80q is no address", errPrefix, strings.Join(labels, "."))
	}
	length, err := strconv.ParseUint(labels[0], 10, 8)
	if err != nil || labels[0][0] == '0' && length > 0 || labels[0][0] == '+' || int(length) > addr.BitLen() {
		return netip.Prefix{}, fmt.Errorf("%w: length %.20q, expected 0 to %d", errPrefix, labels[0], addr.BitLen())
	}
	prefix := netip.PrefixFrom(addr, int(length))
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%w: bits of %s are set behind the first %d, expected %s", errPrefix, addr, length, prefix.Masked())
	}
	return prefix, nil
}

// parseWords reads the words of an IPv6 address, with zz for the words of zeros that are left out.
func parseWords(words []string) (netip.Addr, error) {
	var out [16]byte
	gap := -1
	for i, w := range words {
		if w == "zz" && gap < 0 {
			gap = i
			continue
		}
		n, err := strconv.ParseUint(w, 16, 16)
		if err != nil || len(w) > 4 {
			return netip.Addr{}, errPrefix
		}
		at := i
		if gap >= 0 {
			at = 8 - len(words) + i
		}
		out[2*at], out[2*at+1] = byte(n>>8), byte(n)
	}
	if gap < 0 && len(words) != 8 {
		return netip.Addr{}, errPrefix
	}
	return netip.AddrFrom16(out), nil
}
