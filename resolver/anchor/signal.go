package anchor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"onoma/dns"
)

// SignalName is the name that tells a zone's servers which of its keys are
// trusted here (RFC 8145 §5.1): it is asked for, and no answer is expected.
func SignalName(zone dns.Name, tags []uint16) (dns.Name, error) {
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	label := "_ta"
	for _, tag := range tags[:min(len(tags), 12)] { // what a label holds
		label += fmt.Sprintf("-%04x", tag)
	}
	name, err := dns.ParseName(label + "." + strings.TrimPrefix(zone.String(), "."))
	if err != nil {
		return dns.Name{}, fmt.Errorf("naming the keys of %s: %w", zone, err)
	}
	return name, nil
}

// Sentinel reads a name by which a user asks whether a key of the root is trusted
// here (RFC 8509 §2): is says which of the two questions it is.
func Sentinel(name dns.Name) (tag uint16, is, ok bool) {
	label, _, _ := strings.Cut(name.Fold().String(), ".")
	digits, is := strings.CutPrefix(label, "root-key-sentinel-is-ta-")
	if !is {
		if digits, ok = strings.CutPrefix(label, "root-key-sentinel-not-ta-"); !ok {
			return 0, false, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), is, err == nil && len(digits) == 5
}
