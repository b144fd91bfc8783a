package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"

	"onoma/dns"
	"onoma/inspect"
)

// Chain draws the chain of trust to the zone that a name is in, from the lab's own anchor, by asking all servers on the way.
func (l *Lab) Chain(ctx context.Context, name string) ([]byte, error) {
	n, err := dns.ParseNameIDNA(strings.TrimSpace(name))
	if err != nil {
		return nil, fmt.Errorf("%q is not a domain name: %w", name, err)
	}
	h, err := inspect.CheckZone(ctx, l.zoneOf(n), inspect.CheckOptions{
		Env:   &inspect.Network{Source: l.quiet(), Only: []netip.Prefix{loopback}},
		Hints: l.hints(), Port: l.port, Loopback: true, NoIPv6: true, Anchors: l.anchors(),
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = h.WriteSVG(&b)
	return b.Bytes(), err
}

// zoneOf returns the deepest zone of the lab that has a name in it; the root has all.
func (l *Lab) zoneOf(n dns.Name) dns.Name {
	for at := n; !at.IsZero(); at = at.Parent() {
		for _, op := range l.operators {
			if op.hosts(at) {
				return at
			}
		}
	}
	return dns.Root
}
