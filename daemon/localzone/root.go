package localzone

import (
	"net/netip"
	"strings"

	"onoma/authority/secondary"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/transport"
)

// Those that give the root zone to everybody (RFC 8806 §A): of the Internet's root
// servers these, and two that are there for that alone.
const rootLetters = "bcdfgk"

var rootCopies = [...]string{"192.0.32.132", "2620:0:2d0:202::132", "192.0.47.132", "2620:0:2830:202::132"}

// RootPrimaries are whom the root zone is fetched from: where hints are one's own,
// the servers that they name, at port; else those that offer it on the Internet.
func RootPrimaries(hints []resolver.Hint, port uint16) (list []secondary.Primary) {
	add := func(a netip.Addr) {
		list = append(list, secondary.Primary{Addr: netip.AddrPortFrom(a, port), Proto: transport.TCP})
	}
	if len(hints) == 0 {
		for _, a := range rootCopies {
			add(netip.MustParseAddr(a))
		}
		for _, h := range iterator.RootHints() {
			if letter := h.Name.String(); strings.Contains(rootLetters, letter[:1]) {
				hints = append(hints, h)
			}
		}
	}
	for _, h := range hints {
		for _, a := range h.Addrs {
			add(a)
		}
	}
	return list
}
