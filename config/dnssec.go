package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"onoma/dns"
)

// The words for policies that the file need not have.
const (
	PolicyAuto    = "auto"
	PolicyOff     = "off"
	PolicyDefault = "default"
)

// Lookups is a small resolver that the server has for itself.
type Lookups struct {
	// RootHints is a file of root servers like IANA's named.root; without it those of the Internet. Where some have loopback addresses, others may have such, too.
	RootHints string `yaml:"root-hints" path:"file" restart:"true"`
	// TrustAnchor is a file of DS or DNSKEY records of the root; without it those of the Internet.
	TrustAnchor string `yaml:"trust-anchor" path:"file" restart:"true"`
	// Port is that of all servers that are found by name; another than 53 is for labs.
	Port int `yaml:"port" default:"53" range:"1..65535" restart:"true"`
}

// DNSSEC is where private keys are kept.
type DNSSEC struct {
	// Keys is the directory of private keys; the directory keys in the data directory without it.
	Keys string `yaml:"keys" path:"file" restart:"true"`
	// Seal is what private keys are encrypted under: file:PATH, env:NAME, or credential:NAME of systemd, which has 32 octets at least; without it they are protected by their files' permissions only. Servers that share a PostgreSQL keep their keys in it, sealed.
	Seal string `yaml:"seal" restart:"true"`
	// Tokens are the PKCS#11 tokens that may have keys, by a name for the configuration.
	Tokens []Token `yaml:"tokens"`
	// Rate is the most signatures a second that are made while answering, for all zones together (denial: compact).
	Rate int `yaml:"rate" default:"5000" range:"1..10000000" restart:"true"`
	// Cache is the octets of memory for such signatures.
	Cache Size `yaml:"cache" default:"64MiB" restart:"true"`
}

// Token is a PKCS#11 token, which a process of its own talks to.
type Token struct {
	// Name is what policies call it.
	Name string `yaml:"name,key"`
	// Module is the library of the token's maker.
	Module string `yaml:"module" path:"file" restart:"true"`
	// Label is the token's.
	Label string `yaml:"label" restart:"true"`
	// PIN is where the PIN is: file:PATH, env:NAME, or credential:NAME.
	PIN string `yaml:"pin" restart:"true"`
}

// Policy says how zones are signed.
type Policy struct {
	// Name is what zones call it. The one named default is that of zones that name none.
	Name string `yaml:"name,key"`
	// Algorithm is that of the keys.
	Algorithm string `yaml:"algorithm" default:"ecdsap256sha256" oneof:"rsasha256|rsasha512|ecdsap256sha256|ecdsap384sha384|ed25519|ed448"`
	// Bits is the size of RSA keys.
	Bits int `yaml:"bits" default:"2048" range:"1024..4096"`
	// Keys is csk for one key that does all, split for a KSK that signs the keys and a ZSK that signs the rest.
	Keys string `yaml:"keys" default:"csk" oneof:"csk|split"`
	// KSKLife is how long a KSK or CSK is used before the next one takes its place; 0s: until somebody says so.
	KSKLife time.Duration `yaml:"ksk-life" default:"0s" range:"0s..36500d"`
	// ZSKLife is that of a ZSK.
	ZSKLife time.Duration `yaml:"zsk-life" default:"0s" range:"0s..36500d"`
	// ZSKRoll is how one ZSK follows another: pre-publish the key, and change signatures then, or double-signature for a time.
	ZSKRoll string `yaml:"zsk-roll" default:"pre-publish" oneof:"pre-publish|double-signature"`
	// Standby is the number of keys that stand ready beside the one that signs.
	Standby int `yaml:"standby" default:"0" range:"0..3"`
	// Token is the PKCS#11 token that keys are made in; without it they are files.
	Token string `yaml:"token" ref:"token"`
	// OfflineKSK is a file of signed key responses (SKR) whose KSK this server does not have; {zone} and {view} in it stand for the names of these.
	OfflineKSK string `yaml:"offline-ksk" path:"file"`

	// Denial is how is proved that something does not exist: nsec, nsec3, nsec3-opt-out (insecure delegations apart), or compact, which is signed when it is asked for (RFC 9824).
	Denial string `yaml:"denial" default:"nsec" oneof:"nsec|nsec3|nsec3-opt-out|compact"`
	// Iterations is that of NSEC3. RFC 9276 wants 0.
	Iterations int `yaml:"iterations" default:"0" range:"0..50"`
	// Salt is the octets of NSEC3's salt, which is made up. RFC 9276 wants none.
	Salt int `yaml:"salt" default:"0" range:"0..64"`

	// Validity is how long a signature is good for.
	Validity time.Duration `yaml:"validity" default:"14d" range:"1m..3650d"`
	// KeyValidity is that of signatures over the keys.
	KeyValidity time.Duration `yaml:"key-validity" default:"14d" range:"1m..3650d"`
	// Refresh is how long before its end a signature is made anew; 0s: half of validity.
	Refresh time.Duration `yaml:"refresh" default:"0s" range:"0s..3650d"`
	// Jitter spreads the ends of signatures, so that they are not all made anew at once; 0s: a tenth of validity.
	Jitter time.Duration `yaml:"jitter" default:"0s" range:"0s..365d"`
	// Skew is how much earlier than now a signature begins to be good, for clocks that are slow.
	Skew time.Duration `yaml:"skew" default:"1h" range:"0s..7d"`

	// KeyTTL is the TTL of the DNSKEY records.
	KeyTTL time.Duration `yaml:"key-ttl" default:"1h" range:"1s..7d"`
	// MaxTTL is the largest TTL in the zone, which steps wait for; 0s: what the zone has.
	MaxTTL time.Duration `yaml:"max-ttl" default:"0s" range:"0s..365d"`
	// PublishSafety is waited for in addition before what is new is relied upon.
	PublishSafety time.Duration `yaml:"publish-safety" default:"1h" range:"0s..365d"`
	// RetireSafety is waited for in addition before what is old is removed.
	RetireSafety time.Duration `yaml:"retire-safety" default:"1h" range:"0s..365d"`

	// CDS are the digests of the CDS records that tell the parent which keys to trust (RFC 7344); none publishes none.
	CDS []string `yaml:"cds" default:"sha-256" oneof:"sha-256|sha-384|none"`
	// DS says how is known what the parent has: checked at all its servers, or by-hand by "onoma zone keys".
	DS string `yaml:"ds" default:"checked" oneof:"checked|by-hand"`
	// ZONEMD are the hash algorithms of a digest over the zone (RFC 8976); none makes none.
	ZONEMD []string `yaml:"zonemd" default:"none" oneof:"sha-384|sha-512|none"`

	// At is where the policy stands in the file.
	At Pos `yaml:"-"`
}

// Parent says how a zone deals with the zone above it.
type Parent struct {
	// Servers are those of the parent, asked for the DS; without any they are looked up.
	Servers Servers `yaml:"servers"`
	// Notify tells the parent of new CDS and CSYNC records (RFC 9859).
	Notify bool `yaml:"notify" default:"true"`
	// Push is a server of the parent's that takes the DS by UPDATE, with a key.
	Push Servers `yaml:"push"`
	// CSYNC asks the parent to take over name servers of the zone, and addresses of those in it, when they have changed (RFC 7477).
	CSYNC bool `yaml:"csync" default:"false"`
	// Signal publishes the keys of zones without a DS below the names of their name servers, in zones of this server (RFC 9615).
	Signal bool `yaml:"signal" default:"true"`
	// Overdue is how long the parent may take before this is an alarm.
	Overdue time.Duration `yaml:"overdue" default:"1d" range:"1m..365d"`
}

// Children says what a zone takes from those below it.
type Children struct {
	// DS keeps the DS of children as their CDS and CDNSKEY records say (RFC 7344).
	DS bool `yaml:"ds" default:"false"`
	// CSYNC keeps NS records and addresses as the children's CSYNC records say (RFC 7477).
	CSYNC bool `yaml:"csync" default:"false"`
	// Bootstrap are the ways to a first DS: authenticated by the name servers' own zones (RFC 9615), delay where all servers said the same for hold, and own for children whose name servers this server's operator runs.
	Bootstrap []string `yaml:"bootstrap" default:"authenticated" oneof:"authenticated|delay|own|none"`
	// Hold is how long a delay is.
	Hold time.Duration `yaml:"hold" default:"3d" range:"1m..365d"`
	// Own are the name servers that bootstrap: own believes: these names, and all names below them.
	Own []dns.Name `yaml:"own"`
	// Scan is how often all children are looked at; 0s: only those that tell by NOTIFY.
	Scan time.Duration `yaml:"scan" default:"1d" range:"0s..365d"`
	// Interval is the least time between two looks at a child.
	Interval time.Duration `yaml:"interval" default:"10s" range:"0s..7d"`
	// Delete takes away the DS of a child that asks for it (RFC 8078 §4).
	Delete bool `yaml:"delete" default:"true"`
	// Publish makes DSYNC records, which tell children where to send NOTIFY (RFC 9859): a name of this server.
	Publish dns.Name `yaml:"publish"`
	// PublishPort is the port in them.
	PublishPort int `yaml:"publish-port" default:"53" range:"1..65535"`
}

// checkPolicy tells of settings of a policy that contradict one another.
func (d *decoder) checkPolicy(m *mapping, p *Policy) {
	p.At = d.at(m.node)
	if p.Refresh == 0 {
		p.Refresh = min(p.Validity, p.KeyValidity) / 2
	}
	if p.Jitter == 0 {
		p.Jitter = p.Validity / 10
	}
	fail := func(key, want, what string) { d.fail(m.at(key), want, "policy %s: %s", shorten(p.Name), what) }
	switch shortest := min(p.Validity, p.KeyValidity); {
	case p.Name == PolicyOff || p.Name == PolicyAuto || p.Name == "":
		fail("", "another name", fmt.Sprintf("a policy cannot be called %q", p.Name))
	case p.Refresh+p.Jitter >= shortest:
		fail("refresh", "refresh and jitter to be shorter than validity and key-validity together", "signatures would be made anew as soon as they are made")
	case isShort(p.KSKLife, p) || isShort(p.ZSKLife, p):
		fail("ksk-life", "0s, or four times key-ttl and publish-safety together at least", "keys would go before the next ones can follow")
	case p.Keys == "csk" && p.ZSKLife != 0:
		fail("zsk-life", "ksk-life, or keys: split", "there is no ZSK")
	case p.OfflineKSK != "" && p.Keys != "split":
		fail("offline-ksk", "keys: split", "a CSK cannot be away")
	case p.OfflineKSK != "" && (p.KSKLife != 0 || p.ZSKLife != 0):
		fail("offline-ksk", "neither ksk-life nor zsk-life", "keys are rolled as the signed key responses say")
	case p.Denial == "compact" && p.Token != "":
		fail("denial", "nsec or nsec3", "a token is too slow to sign while answering")
	case p.Denial != "nsec3" && p.Denial != "nsec3-opt-out" && (p.Salt != 0 || p.Iterations != 0):
		fail("denial", "denial: nsec3", "salt and iterations are those of NSEC3")
	case len(p.CDS) > 1 && slices.Contains(p.CDS, "none"), len(p.ZONEMD) > 1 && slices.Contains(p.ZONEMD, "none"):
		fail("cds", "none, or some", "none does not go with others")
	}
}

// isShort says that keys do not live long enough for others to follow them.
func isShort(life time.Duration, p *Policy) bool {
	return life != 0 && life < 4*(p.KeyTTL+p.PublishSafety)
}

// wantPolicy notes a policy that there is not.
func (d *decoder) wantPolicy(n *yaml.Node, name string) {
	if name == PolicyAuto || name == PolicyOff || name == PolicyDefault || d.policies[name] {
		return
	}
	words := []string{PolicyAuto, PolicyOff, PolicyDefault}
	for name := range d.policies {
		words = append(words, name)
	}
	slices.Sort(words)
	d.fail(n, "off, auto, or a name that policies has", "there is no policy %q%s", shorten(name), nearest(name, words))
}

// FindPolicy returns the policy of a name. That called default is there without standing in the file.
func (c *Config) FindPolicy(name string) (*Policy, bool) {
	i := slices.IndexFunc(c.Policies, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.Policies[i], true
}

// IsKeyless reports whether there is no place for private keys: the servers that share a database have no secret in common.
func (c *Config) IsKeyless() bool {
	return !strings.HasPrefix(c.Store, "sqlite") && c.DNSSEC.Seal == ""
}

// WhereKeys says how that is mended.
const WhereKeys = "servers that share a PostgreSQL keep private keys in it, sealed: set dnssec.seal to the same secret on all of them (file:PATH, env:NAME or credential:NAME), or dnssec: off"

// wantToken notes a token that there is not.
func (d *decoder) wantToken(n *yaml.Node, name string) {
	if name == "" || d.tokens[name] {
		return
	}
	words := slices.Sorted(maps.Keys(d.tokens))
	d.fail(n, "a name that dnssec.tokens has", "there is no token %q%s", shorten(name), nearest(name, words))
}

// defaultPolicy adds the policy of that name where the file has none.
func (d *decoder) defaultPolicy(all *[]Policy) {
	if d.policies[PolicyDefault] {
		return
	}
	p := Policy{Name: PolicyDefault}
	d.defaults(reflect.ValueOf(&p).Elem())
	d.checkPolicy(&mapping{node: new(yaml.Node)}, &p)
	p.At = Pos{}
	*all = append(*all, p)
}
