package mixed

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// key signs what goes to some of the secondaries.
var key = peers.Key{Name: "mixed.key.", Secret: "c2l4dGVlbiBvY3RldHMgYW5kIHNpeHRlZW4gbW9yZQ=="}

// node is an `onoma serve`.
type node struct{ *peers.Node }

// newNode makes a node that is not started. In its configuration DIR is its directory and ADDR its address; where it has data and
// control it, has been seen to.
func newNode(t *testing.T, configuration string) *node {
	t.Helper()
	return &node{peers.NewNode(t, whole(configuration))}
}

// startNode starts a node.
func startNode(t *testing.T, configuration string) *node {
	t.Helper()
	n := newNode(t, configuration)
	n.start(t)
	return n
}

// configure writes the configuration anew.
func (n *node) configure(t testing.TB, text string) {
	t.Helper()
	n.Configure(t, whole(text))
}

// whole adds to a configuration what all nodes have.
func whole(text string) string {
	text = "data: DIR/data\ncontrol: DIR/ctl\n" + text
	if !strings.Contains(text, "listen:") {
		text = "listen: [\"ADDR\"]\n" + text
	}
	return text
}

// start starts the node and returns when it obeys its operator.
func (n *node) start(t testing.TB) {
	t.Helper()
	n.Start(t, "obey", func() bool {
		_, err := n.Ctl.ZoneLines(t.Context())
		return err == nil
	})
}

// reload has the node read its configuration again.
func (n *node) reload(t testing.TB) {
	t.Helper()
	done, err := n.Ctl.Reload(t.Context(), "")
	if err != nil {
		t.Fatalf("reloading: %v", err)
	}
	for _, d := range done {
		if d.Error != "" {
			t.Fatalf("reloading %s: %s", d.Zone, d.Error)
		}
	}
}

// transfers counts the zones that the node has given away, by kind.
func (n *node) transfers() (incremental, whole, instead int) {
	log := n.Log()
	return strings.Count(log, "kind=ixfr "), strings.Count(log, "kind=axfr "), strings.Count(log, `kind="ixfr answered in full"`)
}

// propagated waits until all secondaries of a zone serve what the node serves.
func (n *node) propagated(t *testing.T, zone string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+5*time.Second)
	defer cancel()
	r, err := n.Ctl.Zone(zone, "").Wait(ctx, nil, patience)
	if err != nil {
		t.Fatalf("waiting for the secondaries of %s: %v", zone, err)
	}
	if !r.InSync {
		t.Errorf("zone %s: after %v not all secondaries have serial number %d: %s", zone, patience, r.Serial, r.Reason)
	}
}

// patience is how long servers get for what should take them a moment: the machine may be busy.
const patience = 30 * time.Second

func await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// ask asks a server one question.
func ask(addr netip.AddrPort, name string, typ uint16, signer *peers.Key) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, typ)
	c := dns.Client{Timeout: 500 * time.Millisecond}
	if signer != nil {
		c.TsigSecret = map[string]string{signer.Name: signer.Secret}
		q.SetTsig(signer.Name, dns.HmacSHA256, 300, time.Now().Unix())
	}
	r, _, err := c.Exchange(q, addr.String())
	return r, err
}

// serial is the serial number that a server answers with, and whether it answers for the zone.
func serial(addr netip.AddrPort, zone string) (uint32, bool) {
	r, err := ask(addr, zone, dns.TypeSOA, nil)
	if err != nil || !r.Authoritative || len(r.Answer) != 1 {
		return 0, false
	}
	soa, ok := r.Answer[0].(*dns.SOA)
	if !ok {
		return 0, false
	}
	return soa.Serial, true
}

func serves(addr netip.AddrPort, zone string) bool {
	_, ok := serial(addr, zone)
	return ok
}
