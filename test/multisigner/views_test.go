package multisigner

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

const viewsConfiguration = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR", "OTHER"]
keys:
  inside.: {algorithm: hmac-sha256, secret: "SECRET"}
  outside.: {algorithm: hmac-sha256, secret: "SECRET"}
lookups: {root-hints: DIR/hints, trust-anchor: DIR/anchor, port: PORT}
policies: {quick: {key-ttl: 1s, publish-safety: 0s, retire-safety: 0s}}
templates: {signed: {file: DIR/zone, file-mode: initial, new: true, dnssec: quick, parent: {servers: ["ROOT"]}}}
servers:
  inside: {address: "INSIDE", key: inside.}
  outside: {address: "ADDR", key: outside.}
views:
  inside: {MATCH, zones: {child: {template: signed, signers: [outside]}}}
  outside: {match: any, zones: {child: {template: signed, signers: [inside]}}}
`

// viewed is a server with two views of the child.
type viewed struct {
	*peers.Node
	s *scene
}

// newViewed starts one. inside is where its view of that name is asked, by whom match says.
func (s *scene) newViewed(inside netip.AddrPort, match string) *viewed {
	s.Helper()
	v := &viewed{peers.NewNode(s.T, ""), s}
	v.Addr = s.first
	v.Configure(s.T, s.text(viewsConfiguration, "OTHER", s.second.String(), "INSIDE", inside.String(), "MATCH", match))
	v.Write(s.T, "zone", s.text(childText))
	v.Write(s.T, "hints", s.text(". 3600 NS a.root.\na.root. 3600 A ROOT\n"))
	v.Write(s.T, "anchor", s.anchor)
	v.Start(s.T, "serve the child", func() bool { return len(lookup(s.first, child, dns.TypeDNSKEY)) > 0 })
	return v
}

func (v *viewed) keys(view string) control.KeysView {
	v.s.Helper()
	all, err := v.Ctl.Zone(child, view).Keys(v.s.Context(), 0)
	if err != nil {
		v.s.Fatal(err)
	}
	return all
}

// areSettled: each view has the other's key and nothing is on its way, and the parent has the DS of both.
func (v *viewed) areSettled() bool {
	for _, view := range []string{"inside", "outside"} {
		others := 0
		for _, k := range v.keys(view).Keys {
			if k.Provider != "" && k.Phase != "removed" {
				others++
			}
			for _, r := range k.Records {
				if r.State != "omnipresent" && r.State != "hidden" {
					return false
				}
			}
		}
		if others != 1 {
			return false
		}
	}
	return len(v.s.ds()) == 2
}

// TestViewsByKey: views that are told apart by who asks are reached by keys.
func TestViewsByKey(t *testing.T) {
	t.Parallel()
	first, second := place(t)
	s := newScene(t, first, second)
	v := s.newViewed(first, `match: [192.0.2.0/24, "key:inside."]`)
	s.await("the views know each other", v.areSettled)
}

// TestViews: two views have a zone of one name, each of which follows the other as another provider. Resolvers that meet both find
// it secure, also while both roll their keys.
func TestViews(t *testing.T) {
	t.Parallel()
	first, second := place(t)
	s := newScene(t, first, second)
	f := s.newFront(first, second)
	v := s.newViewed(second, fmt.Sprintf("match: any, to: [%s]", second.Addr()))
	s.await("the views know each other", v.areSettled)
	o := s.look(f)
	c := s.watch(first, second)
	s.await("secure at Unbound", o.isSecure)
	c.secure()
	o.mustBeSecure()

	before := s.ds()
	for _, view := range []string{"inside", "outside"} {
		if _, err := v.Ctl.Zone(child, view).DoKeys(t.Context(), control.KeyRequest{Do: "roll", Role: "csk"}); err != nil {
			t.Fatal(err)
		}
	}
	s.await("new keys", func() bool {
		now := s.ds()
		return v.areSettled() && !slices.ContainsFunc(now, func(tag uint16) bool { return slices.Contains(before, tag) })
	})
	time.Sleep(time.Second) // what caches have of the last moment
	for _, view := range []string{"inside", "outside"} {
		if a := v.keys(view).Alarms; len(a) > 0 {
			t.Errorf("view %s: alarms %q", view, a)
		}
	}
	if a, b := fmt.Sprint(tags(s, "outside")), fmt.Sprint(tags(s, "inside")); a != b {
		t.Errorf("outside has the keys %s, inside %s", a, b)
	}
}

// tags are those of the DNSKEY set in a view.
func tags(s *scene, view string) (tags []uint16) {
	at := s.first
	if view == "inside" {
		at = s.second
	}
	for _, rr := range lookup(at, child, dns.TypeDNSKEY) {
		tags = append(tags, rr.(*dns.DNSKEY).KeyTag())
	}
	slices.Sort(tags)
	return tags
}
