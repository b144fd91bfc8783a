package nodes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/test/peers"
)

const notifying = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], notify: [NOTIFY]}
zones:
  p.example: {file: DIR/zone, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"]}
`

const following = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
zones:
  p.example: {primaries: ["PRIMARY"], allow-notify: [127.0.0.0/8], retry-min: 1s}
`

// follower is a secondary that can be started when the primary's address is known.
type follower struct {
	addr  netip.AddrPort
	start func(t *testing.T, from netip.AddrPort)
}

func ourFollower(t *testing.T) follower {
	n := newNode(t, following)
	return follower{n.Addr, func(t *testing.T, from netip.AddrPort) {
		n.Configure(t, strings.ReplaceAll(following, "PRIMARY", from.String()))
		n.Run(t)
	}}
}

func peerFollower(t *testing.T, p *peers.Peer) follower {
	addr := p.Addr(t)
	return follower{addr, func(t *testing.T, from netip.AddrPort) {
		p.StartSecondary(t, []string{"p.example."}, addr, peers.Primary{Addr: from})
	}}
}

// TestPropagation takes the time between the answer to an UPDATE and the moment when
// the primary knows that all four secondaries serve the change. The mark is 50 ms at
// the 99th percentile, on a machine that does nothing else.
func TestPropagation(t *testing.T) {
	peers.Binary(t)
	t.Run("onoma", func(t *testing.T) {
		propagates(t, 0.99, ourFollower(t), ourFollower(t), ourFollower(t), ourFollower(t))
	})
	t.Run("onoma, Knot, NSD", func(t *testing.T) {
		for _, p := range []*peers.Peer{peers.Knot, peers.NSD} {
			if !p.Available() {
				t.Skipf("%s is not installed", p.Name)
			}
		}
		propagates(t, 0.9, ourFollower(t), ourFollower(t), peerFollower(t, peers.Knot), peerFollower(t, peers.NSD))
	})
}

// propagates makes changes, one after the other, of which that share must be quick:
// NSD takes a second for one of a hundred, or for some more on a busy machine.
func propagates(t *testing.T, share float64, secondaries ...follower) {
	t.Helper()
	var to []string
	for _, s := range secondaries {
		to = append(to, fmt.Sprintf("%q", s.addr))
	}
	n := newNode(t, strings.ReplaceAll(notifying, "NOTIFY", strings.Join(to, ", ")))
	n.Write(t, "zone", zoneText)
	n.start(t, "p.example.")
	for _, s := range secondaries {
		s.start(t, n.Addr)
	}
	changes := 200
	if testing.Short() {
		changes = 50
	}
	if r, err := n.Ctl.Zone("p.example.", "").Wait(t.Context(), nil, 30*time.Second); err != nil || !r.InSync {
		t.Fatalf("the first version: %v, %v", r, err)
	}
	var took []time.Duration
	for i := range changes {
		if err := n.update(5*time.Second, "p.example.", fmt.Sprintf("a%d.p.example. 60 IN A 192.0.2.1", i)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r, err := n.Ctl.Zone("p.example.", "").Wait(t.Context(), nil, 10*time.Second)
		if err != nil || !r.InSync {
			t.Fatalf("change %d: %+v, %v", i, r, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("%d changes: median %v, p90 %v, p99 %v, slowest %v", changes, at(0.5), at(0.9), at(0.99), took[len(took)-1].Round(10*time.Microsecond))
	if slow := at(share); slow > 500*time.Millisecond {
		t.Errorf("the %g share took up to %v", share, slow)
	}
}
