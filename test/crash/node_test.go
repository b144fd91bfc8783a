package crash

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// node is the server that is killed.
type node struct {
	*peers.Node
	primary netip.AddrPort // of t.example
}

const configuration = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
templates:
  default: {transfer-to: [127.0.0.0/8], history: {keep: 1h}}
zones:
  u.example: {file: DIR/u, file-mode: initial, update: ["grant 127.0.0.0/8 zonesub ANY"]}
  a.example: {file: DIR/a, file-mode: initial}
  f.example: {file: DIR/f}
  t.example: {primaries: ["PRIMARY"], refresh-min: 1s, retry-min: 1s}
`

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{primary: peers.Addr(t)}
	n.Node = peers.NewNode(t, strings.ReplaceAll(configuration, "PRIMARY", n.primary.String()))
	for _, name := range []string{"u", "a", "f"} {
		n.Write(t, name, zoneText(1, nil))
	}
	return n
}

// start starts the server and returns how long it took to answer for a zone that
// has been there before.
func (n *node) start(t *testing.T) time.Duration {
	t.Helper()
	return n.Start(t, "answer", func() bool {
		_, err := n.serial("u.example.")
		return err == nil
	})
}

// serial returns the serial number that is served.
func (n *node) serial(zone string) (uint32, error) {
	q := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
	c := dns.Client{Timeout: 300 * time.Millisecond}
	r, _, err := c.Exchange(q, n.Addr.String())
	if err != nil {
		return 0, err
	}
	if len(r.Answer) != 1 {
		return 0, errNotServed
	}
	return r.Answer[0].(*dns.SOA).Serial, nil
}
