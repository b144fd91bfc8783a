package signing

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

const (
	parentName = "test."
	childName  = "child.test."
)

// dsKey may change DS records at a parent.
var dsKey = peers.Key{Name: "ds.", Secret: base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))}

// childText is a zone with all that a validator may have to do with; its server is at %s.
const childText = `$TTL 1
@ SOA ns1 hostmaster 1 3600 60 86400 1
@ NS ns1
ns1 A %s
www A 192.0.2.80
*.wild TXT "any"
alias CNAME www
deep.empty A 192.0.2.81
sub NS ns.sub
ns.sub A 192.0.2.53
`

// parentText delegates the child; %s are the addresses of the parent's server and the child's.
const parentText = `$TTL 1
@ SOA ns hostmaster 1 3600 60 86400 1
@ NS ns
ns A %s
child NS ns1.child
ns1.child A %s
`

// quick is a policy whose times are as short as they may be; more settings may follow. Resolvers count in whole seconds: what has
// a TTL of one they may have for nearly two.
const quick = "key-ttl: 1s, publish-safety: 1s, retire-safety: 1s"

const common = `
data: DIR/data
control: DIR/ctl
listen: ["ADDR"]
keys: {ds.: {algorithm: hmac-sha256, secret: "` + "SECRET" + `"}}
`

// child is an onoma that signs child.test. as POLICY says, and finds its parent as PARENT says.
const childConfiguration = common + `
policies: {quick: {POLICY}, default: {` + quick + `}}
zones:
  child.test: {file: DIR/zone, file-mode: initial, new: true, dnssec: quick, parent: PARENT, transfer-to: [127.0.0.0/8], update: ["grant 127.0.0.0/8 zonesub"], MORE}
`

// parentConfiguration is an onoma that signs test., and keeps the delegation of the child at port PORT as CHILDREN says.
const parentConfiguration = common + `
lookups: {root-hints: DIR/hints, port: PORT}
policies: {top: {ds: by-hand, ` + quick + `}}
zones:
  test: {file: DIR/zone, file-mode: initial, new: true, dnssec: top, update: ["grant key:ds. zonesub DS"], children: CHILDREN}
`

const rootHints = ". 3600 NS a.root.\na.root. 3600 A 127.0.0.1\n"

func replace(text string, pairs ...string) string {
	return strings.NewReplacer(append(pairs, "SECRET", dsKey.Secret)...).Replace(text)
}

// settings are what tests say of the child.
type settings struct{ policy, parent, more string }

// configuration is that of an onoma with the child.
func (s settings) configuration() string {
	return replace(childConfiguration, "POLICY", s.policy, "PARENT", s.parent, "MORE", cmp.Or(s.more, "history: {}"))
}

// newChild starts an onoma with the child.
func newChild(t *testing.T, s settings) *peers.Node {
	t.Helper()
	n := peers.NewNode(t, "")
	n.Configure(t, s.configuration())
	n.Write(t, "zone", fmt.Sprintf(childText, n.Addr.Addr()))
	start(t, n, childName)
	return n
}

// change gives the child other settings, without a restart.
func change(t *testing.T, n *peers.Node, s settings) {
	t.Helper()
	n.Configure(t, s.configuration())
	reload(t, n)
}

func reload(t *testing.T, n *peers.Node) {
	t.Helper()
	if _, err := n.Ctl.ReloadConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// newParent starts an onoma with the parent of a child that is served at an address.
func newParent(t *testing.T, child netip.AddrPort, children string) *peers.Node {
	t.Helper()
	n := peers.NewNode(t, "")
	n.Configure(t, replace(parentConfiguration, "PORT", fmt.Sprint(child.Port()), "CHILDREN", strings.ReplaceAll(children, "ADDRPORT", fmt.Sprint(n.Addr.Port()))))
	n.Write(t, "zone", fmt.Sprintf(parentText, n.Addr.Addr(), child.Addr()))
	n.Write(t, "hints", rootHints)
	start(t, n, parentName)
	return n
}

func start(t *testing.T, n *peers.Node, zone string) {
	t.Helper()
	n.Start(t, "serve "+zone, func() bool { return len(lookup(n.Addr, zone, dns.TypeSOA)) > 0 })
}

// lookup returns what a server says to a question, nil where it has no answer.
func lookup(at netip.AddrPort, name string, typ uint16) []dns.RR {
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	r, err := dns.Exchange(m, at.String())
	if err != nil {
		return nil
	}
	return r.Answer
}

// await polls until something is so.
func await(t *testing.T, what string, is func() bool, explain ...func() string) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > 30*time.Second {
			text := ""
			for _, e := range explain {
				text += "\n" + e()
			}
			t.Fatalf("%s: not in 30 s%s", what, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// keysOf is what `onoma zone keys` shows.
func keysOf(t *testing.T, n *peers.Node) control.KeysView {
	t.Helper()
	v, err := n.Ctl.Zone(childName, "").Keys(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// explain is what a person would read about a zone that is not as it should be.
func explain(t *testing.T, n *peers.Node) func() string {
	return func() string {
		v := keysOf(t, n)
		text := v.State + "\n"
		for _, k := range v.Keys {
			text += fmt.Sprintf("%s %d %s %s %v\n", k.Role, k.Tag, k.Algorithm, k.Phase, k.Records)
		}
		return text + strings.Join(said(v), "\n")
	}
}

// said is all that the server tells people about a zone's keys in words.
func said(v control.KeysView) []string {
	lines := append([]string(nil), v.Alarms...)
	for _, w := range v.Waits {
		lines = append(lines, w.Text)
	}
	if v.Parent != nil {
		lines = append(append(lines, v.Parent.Condition), v.Parent.Findings...)
	}
	return lines
}

// isSettled: all keys are in use or gone, none is on its way, and nothing is waited for.
func isSettled(v control.KeysView) bool {
	for _, k := range v.Keys {
		if k.Phase != "active" && k.Phase != "removed" {
			return false
		}
		for _, r := range k.Records {
			if r.State != "omnipresent" && r.State != "hidden" {
				return false
			}
		}
	}
	return len(v.Waits) == 0
}

// inUse are the tags and algorithms of keys that are in use.
func inUse(v control.KeysView) (list []string) {
	for _, k := range v.Keys {
		if k.Phase == "active" {
			list = append(list, fmt.Sprintf("%s %d %s", k.Role, k.Tag, k.Algorithm))
		}
	}
	return list
}

func do(t *testing.T, n *peers.Node, r control.KeyRequest) {
	t.Helper()
	if _, err := n.Ctl.Zone(childName, "").DoKeys(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// anchors are the keys that a validator trusts: those of the parent, as a file of BIND's has them, and as a zone file has.
func anchors(t *testing.T, parent netip.AddrPort) (forBIND, forUnbound string) {
	t.Helper()
	var list []string
	await(t, "keys of the parent", func() bool {
		list = nil
		for _, rr := range lookup(parent, parentName, dns.TypeDNSKEY) {
			if k, ok := rr.(*dns.DNSKEY); ok && k.Flags == 257 {
				list = append(list, fmt.Sprintf("test. static-key 257 3 %d %q;", k.Algorithm, k.PublicKey))
				forUnbound += k.String() + "\n"
			}
		}
		return list != nil
	})
	file := filepath.Join(t.TempDir(), "anchors")
	if err := os.WriteFile(file, []byte("trust-anchors { "+strings.Join(list, " ")+" };\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file, forUnbound
}

func writeZone(t *testing.T, name, text string) peers.Zone {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte("$ORIGIN "+name+"\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	return peers.Zone{Name: name, File: file}
}
