package multisigner

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

const child = "child."

// pair is known to both providers.
var pair = peers.Key{Name: "pair.", Secret: base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))}

const (
	rootConfiguration = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
lookups: {root-hints: DIR/hints, port: PORT}
policies: {top: {ds: by-hand, key-ttl: 1s, publish-safety: 0s, retire-safety: 0s}}
zones:
  .: {file: DIR/zone, file-mode: initial, new: true, dnssec: top, children: {ds: true, scan: 1s, interval: 0s, bootstrap: [own], own: [ns1.hosts., ns2.hosts.]}}
`
	rootText = `$TTL 1
@ SOA a.root hostmaster 1 3600 60 86400 1
@ NS a.root
a.root A ROOT
child NS ns1.hosts
ns1.hosts A FIRST
ns2.hosts A SECOND
`
	providerConfiguration = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
keys: {pair.: {algorithm: hmac-sha256, secret: "SECRET"}}
lookups: {root-hints: DIR/hints, trust-anchor: DIR/anchor, port: PORT}
policies: {quick: {key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, POLICY}}
servers: SERVERS
zones:
  child: {file: DIR/zone, file-mode: initial, new: true, dnssec: quick, parent: {servers: ["ROOT"]}, signers: SIGNERS, update: ["grant key:pair. zonesub ANY"]}
`
	childText = `$TTL 1
@ SOA ns1.hosts. hostmaster 1 3600 60 86400 1
@ NS ns1.hosts.
www A 192.0.2.80
*.wild TXT "any"
deep.empty A 192.0.2.81
`
)

// scene is a root zone, and the addresses of two providers of a child, all with the same port.
type scene struct {
	*testing.T
	root          *peers.Node
	first, second netip.AddrPort
	anchor        string
}

// newScene starts the root, which delegates the child to the first provider. first is where that one is to be, second the other.
func newScene(t *testing.T, first, second netip.AddrPort) *scene {
	t.Helper()
	s := &scene{T: t, first: first, second: second}
	s.root = peers.NewNode(t, "")
	s.root.Addr = beside(t, first.Port())
	s.root.Configure(t, s.text(rootConfiguration))
	s.root.Write(t, "zone", s.text(rootText))
	s.root.Write(t, "hints", s.text(". 3600 NS a.root.\na.root. 3600 A ROOT\n"))
	s.root.Start(t, "serve the root", func() bool { return len(lookup(s.root.Addr, ".", dns.TypeDNSKEY)) > 0 })
	for _, rr := range lookup(s.root.Addr, ".", dns.TypeDNSKEY) {
		s.anchor += rr.String() + "\n"
	}
	return s
}

// beside finds an address of its own with a port.
func beside(t *testing.T, port uint16) netip.AddrPort {
	t.Helper()
	for range 100 {
		a := netip.AddrPortFrom(peers.Addr(t).Addr(), port)
		if l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a)); err == nil {
			l.Close()
			return a
		}
	}
	t.Fatal("no free address with the port")
	return netip.AddrPort{}
}

// place finds two addresses with one port.
func place(t *testing.T) (first, second netip.AddrPort) {
	first = peers.Addr(t)
	return first, beside(t, first.Port())
}

func (s *scene) text(text string, pairs ...string) string {
	return strings.NewReplacer(append(pairs, "SECRET", pair.Secret, "PORT", fmt.Sprint(s.first.Port()), "ROOTAT", s.root.Addr.String(), `["ROOT"]`,
		`["`+s.root.Addr.String()+`"]`, "ROOT", s.root.Addr.Addr().String(), "FIRST", s.first.Addr().String(), "SECOND", s.second.Addr().String())...).Replace(text)
}

// provider is one of ours.
type provider struct {
	*peers.Node
	s              *scene
	policy, others string // others: what it has in servers
}

// provider starts an onoma with the child. With signers it follows them.
func (s *scene) provider(at netip.AddrPort, policy, servers, signers string) *provider {
	s.Helper()
	p := &provider{Node: peers.NewNode(s.T, ""), s: s, policy: policy, others: servers}
	p.Addr = at
	p.configure(signers)
	p.Write(s.T, "zone", s.text(childText))
	p.Write(s.T, "hints", s.text(". 3600 NS a.root.\na.root. 3600 A ROOT\n"))
	p.Write(s.T, "anchor", s.anchor)
	p.Start(s.T, "serve the child", func() bool { return len(lookup(at, child, dns.TypeDNSKEY)) > 0 })
	return p
}

func (p *provider) configure(signers string) {
	p.s.Helper()
	p.Configure(p.s.T, p.s.text(providerConfiguration, "POLICY", p.policy, "SERVERS", p.others, "SIGNERS", signers))
}

// follow has it follow other signers from now on.
func (p *provider) follow(signers string) {
	p.s.Helper()
	p.configure(signers)
	if _, err := p.Ctl.ReloadConfig(p.s.Context()); err != nil {
		p.s.Fatal(err)
	}
}

// change changes the child.
func (p *provider) change(add, remove []string) { p.s.change(p.Node, child, add, remove) }

func (s *scene) change(n *peers.Node, zone string, add, remove []string) {
	s.Helper()
	if _, err := n.Ctl.Zone(zone, "").Change(s.Context(), control.ChangeRequest{Add: add, Remove: remove}); err != nil {
		s.Fatal(err)
	}
}

// keys is what `onoma zone keys` shows.
func (p *provider) keys() control.KeysView {
	p.s.Helper()
	v, err := p.Ctl.Zone(child, "").Keys(p.s.Context(), 0)
	if err != nil {
		p.s.Fatal(err)
	}
	return v
}

func (p *provider) do(r control.KeyRequest) error {
	_, err := p.Ctl.Zone(child, "").DoKeys(p.s.Context(), r)
	return err
}

// explain is what a person would read.
func (p *provider) explain() string {
	v := p.keys()
	text := p.Addr.String() + ": " + v.State + "\n"
	for _, k := range v.Keys {
		text += fmt.Sprintf("  %s %s %d %s %s %v\n", k.Provider, k.Role, k.Tag, k.Algorithm, k.Phase, k.Records)
	}
	for _, w := range v.Waits {
		text += "  waits: " + w.Text + "\n"
	}
	for _, a := range v.Alarms {
		text += "  alarm: " + a + "\n"
	}
	return text
}

// mayServe: it says that both providers' name servers may be in the NS set.
func (p *provider) mayServe() bool {
	for _, w := range p.keys().Waits {
		if strings.Contains(w.Text, "both providers' name servers may be in the NS set") {
			return true
		}
	}
	return false
}

// foreign is the number of keys of others that it has.
func (p *provider) foreign() (n int) {
	for _, k := range p.keys().Keys {
		if k.Provider != "" && k.Phase != "removed" {
			n++
		}
	}
	return n
}

// isSettled: no key of its own is on its way.
func (p *provider) isSettled() bool {
	for _, k := range p.keys().Keys {
		if k.Provider == "" && k.Phase != "active" && k.Phase != "removed" {
			return false
		}
		for _, r := range k.Records {
			if r.State != "omnipresent" && r.State != "hidden" {
				return false
			}
		}
	}
	return true
}

// lookup returns what a server says to a question, nil where it has no answer.
func lookup(at netip.AddrPort, name string, typ uint16) []dns.RR {
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	client := dns.Client{Net: "tcp"}
	r, _, err := client.Exchange(m, at.String())
	if err != nil {
		return nil
	}
	return r.Answer
}

// ds is the tags of the DS set at the parent.
func (s *scene) ds() (tags []uint16) {
	for _, rr := range lookup(s.root.Addr, child, dns.TypeDS) {
		tags = append(tags, rr.(*dns.DS).KeyTag)
	}
	return tags
}

// await polls until something is so.
func (s *scene) await(what string, is func() bool, who ...*provider) time.Duration {
	s.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > 25*time.Second {
			text := ""
			for _, p := range who {
				text += "\n" + p.explain()
			}
			s.Fatalf("%s: not in %v; DS %v%s", what, time.Since(began).Round(time.Second), s.ds(), text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if os.Getenv("VERBOSE") != "" {
		s.Logf("%v %s after %v", time.Now().Format("05.000"), what, time.Since(began).Round(time.Millisecond))
	}
	return time.Since(began)
}
