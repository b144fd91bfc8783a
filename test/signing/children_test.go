package signing

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// scans is a parent that looks at its child once a second, and gives it the first DS at once.
const scans = "{ds: true, bootstrap: own, own: [ns1.child.test.], scan: 1s, interval: 0s}"

func childZone(t *testing.T, at netip.AddrPort) peers.Zones {
	t.Helper()
	return peers.Zones{writeZone(t, childName, fmt.Sprintf(childText, at.Addr()))}
}

// signedBy are the tags of keys that the parent's DS records are of.
func signedBy(parent netip.AddrPort) (tags []uint16) {
	for _, rr := range lookup(parent, childName, dns.TypeDS) {
		if ds, ok := rr.(*dns.DS); ok && !slices.Contains(tags, ds.KeyTag) {
			tags = append(tags, ds.KeyTag)
		}
	}
	return tags
}

// sepKeys are the tags of keys with SEP that a server has.
func sepKeys(at netip.AddrPort) (tags []uint16) {
	for _, rr := range lookup(at, childName, dns.TypeDNSKEY) {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Flags == 257 {
			tags = append(tags, k.KeyTag())
		}
	}
	return tags
}

// TestKnotsParent: Knot rolls its KSK. Either its parent scans it, or it brings the DS itself.
func TestKnotsParent(t *testing.T) {
	slow(t)
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	for _, way := range []string{"scan", "push"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			addr := peers.Knot.Addr(t)
			var parent *peers.Node
			var knot *peers.Server
			if way == "scan" {
				parent = newParent(t, addr, scans)
				knot = peers.SigningKnot(t, childZone(t, addr), addr, parent.Addr)
			} else {
				parent = newParent(t, addr, "{}")
				knot = peers.PushingKnot(t, childZone(t, addr), addr, parent.Addr, dsKey)
			}
			o := look(t, parent.Addr, addr)
			t.Logf("secure after %v", o.secure(knot.Log))
			await(t, "Knot sees its DS", func() bool { return strings.Contains(knot.Log(), "KSK submission, confirmed") }, knot.Log)
			first := signedBy(parent.Addr)
			peers.RollKSK(t, knot, childName)
			await(t, "the next KSK alone", func() bool {
				now, ds := sepKeys(addr), signedBy(parent.Addr)
				return len(now) == 1 && slices.Equal(now, ds) && !slices.Equal(ds, first)
			}, knot.Log, parent.Log)
			o.delv()
		})
	}
}

var bindKey = regexp.MustCompile(`key: (\d+) `)

// TestBINDsParent: BIND rolls its key; the parent scans. BIND, which cannot look at a parent on a port of its own choice here, is
// told by an operator's word what the parent has.
func TestBINDsParent(t *testing.T) {
	slow(t)
	t.Parallel()
	peers.Need(t, peers.BIND.Binary)
	peers.Need(t, "rndc")
	addr := peers.BIND.Addr(t)
	parent := newParent(t, addr, scans)
	bind := peers.SigningBIND(t, childZone(t, addr), addr)
	o := look(t, parent.Addr, addr)
	t.Logf("secure after %v", o.secure(parent.Log))
	first := signedBy(parent.Addr)
	tag := bindKey.FindStringSubmatch(peers.RNDC(t, bind, "dnssec", "-status", childName))[1]
	peers.RNDC(t, bind, "dnssec", "-checkds", "-key", tag, "published", childName)
	await(t, "a rollover", func() bool {
		return strings.Contains(peers.RNDC(t, bind, "dnssec", "-rollover", "-key", tag, childName), "scheduled")
	})
	await(t, "the next DS", func() bool {
		now := signedBy(parent.Addr)
		return len(now) == 1 && !slices.Equal(now, first)
	}, parent.Log, func() string { return peers.RNDC(t, bind, "dnssec", "-status", childName) })
	next := fmt.Sprint(signedBy(parent.Addr)[0])
	peers.RNDC(t, bind, "dnssec", "-checkds", "-key", next, "published", childName)
	peers.RNDC(t, bind, "dnssec", "-checkds", "-key", tag, "withdrawn", childName)
	status := func() string { return peers.RNDC(t, bind, "dnssec", "-status", childName) }
	// Its DNSKEY record stays for as long as BIND has signatures by it.
	await(t, "the old key to sign no keys", func() bool {
		_, old, _ := strings.Cut(status(), "key: "+tag+" ")
		old, _, _ = strings.Cut(old, "\n\n  Key is")
		return strings.Contains(old, "key signing:    no")
	}, status)
	o.delv()
}
