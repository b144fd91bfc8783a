package inspect

import (
	"crypto"
	"crypto/sha1"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone/sign"
)

// checkCase is a zone below test., what is found in it, and what resolvers make of it.
type checkCase struct {
	spec
	codes  string // of all findings, sorted, each once
	status validator.Status
}

const day = 24 * time.Hour

func dropType(types ...dns.Type) func(*site, []dns.Record) []dns.Record {
	return func(_ *site, rs []dns.Record) []dns.Record {
		return slices.DeleteFunc(rs, func(r dns.Record) bool { return slices.Contains(types, r.Type) })
	}
}

// editDS changes what the parent has of DS.
func editDS(edit func(*dns.DS)) func(*site, []dns.Record) []dns.Record {
	return func(_ *site, rs []dns.Record) []dns.Record {
		for i, r := range rs {
			if d, err := dns.ParseDS(r.Data); r.Type == dns.TypeDS && err == nil {
				edit(&d)
				rs[i].Data = d.RData()
			}
		}
		return rs
	}
}

// addDS puts more of them beside the one that is right.
func addDS(edits ...func(*dns.DS)) func(*site, []dns.Record) []dns.Record {
	return func(s *site, rs []dns.Record) []dns.Record {
		all := slices.Clone(rs)
		for _, edit := range edits {
			all = append(all, slices.DeleteFunc(editDS(edit)(s, slices.Clone(rs)), func(r dns.Record) bool { return r.Type != dns.TypeDS })...)
		}
		return all
	}
}

func digestDS(digest uint8) func(*site, []dns.Record) []dns.Record {
	return func(s *site, rs []dns.Record) []dns.Record {
		return editDS(func(d *dns.DS) {
			*d, _ = dnssec.MakeDS(s.name, s.keys[0].DNSKEY(), digest)
		})(s, rs)
	}
}

// dropSigs drops the signatures by an algorithm over a type, or over all but the keys.
func dropSigs(algorithm uint8, t dns.Type) func(*site, []dns.Record) []dns.Record {
	return func(_ *site, rs []dns.Record) []dns.Record {
		return slices.DeleteFunc(rs, func(r dns.Record) bool {
			sig, err := dns.ParseRRSIG(r.Data)
			if r.Type != dns.TypeRRSIG || err != nil || sig.Algorithm != algorithm {
				return false
			}
			return sig.TypeCovered == t || t == dns.TypeNone && sig.TypeCovered != dns.TypeDNSKEY
		})
	}
}

// unchain takes the NSEC of the apex out of the chain, and with it the proof that
// the names right behind it do not exist.
func unchain(s *site, rs []dns.Record) []dns.Record {
	return slices.DeleteFunc(rs, func(r dns.Record) bool {
		sig, _ := dns.ParseRRSIG(r.Data)
		return r.Name.Equal(s.name) && (r.Type == dns.TypeNSEC || r.Type == dns.TypeRRSIG && sig.TypeCovered == dns.TypeNSEC)
	})
}

// addApex adds a record of the signer's before the zone is signed.
func addApex(t dns.Type, data func(apex []dns.Record) dns.RData) func([]dns.Record) []dns.Record {
	return func(apex []dns.Record) []dns.Record {
		r := apex[0]
		r.Type, r.Data = t, data(apex)
		return append(apex, r)
	}
}

// cdsOfZSK signs the CDS by the ZSK instead of the KSK.
func cdsOfZSK(s *site, rs []dns.Record) []dns.Record {
	zsk := s.keys[1].Key
	set := dnssec.RRset{Owner: s.name, Type: dns.TypeCDS, Class: dns.ClassIN, TTL: 3600}
	for _, r := range rs {
		if r.Type == dns.TypeCDS {
			set.RData = append(set.RData, r.Data)
		}
	}
	for i, r := range rs {
		if sig, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == dns.TypeCDS {
			if sig, err = dnssec.SignRRset(zsk, s.name, set, sig.Inception, sig.Expiration); err == nil {
				rs[i].Data = sig.RData()
			}
		}
	}
	return rs
}

// asSHA1 makes a zone signed by RSASHA256 one signed by RSASHA1, which nobody signs
// by any more.
func asSHA1(s *site, rs []dns.Record) []dns.Record {
	var key dns.DNSKEY
	sets := map[string]*dnssec.RRset{}
	id := func(n dns.Name, t dns.Type) string { return n.Fold().String() + " " + t.String() }
	for i, r := range rs {
		if r.Type == dns.TypeDNSKEY {
			key, _ = dns.ParseDNSKEY(r.Data)
			key.Algorithm = dnssec.RSASHA1
			rs[i].Data = key.RData()
		}
		if sets[id(r.Name, r.Type)] == nil {
			sets[id(r.Name, r.Type)] = &dnssec.RRset{Owner: r.Name, Type: r.Type, Class: r.Class, TTL: r.TTL}
		}
		set := sets[id(r.Name, r.Type)]
		set.RData = append(set.RData, rs[i].Data)
	}
	for i, r := range rs {
		if sig, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeRRSIG && err == nil {
			sig.Algorithm, sig.KeyTag = dnssec.RSASHA1, key.KeyTag()
			sum := sha1.Sum(dnssec.AppendSignedData(nil, &sig, *sets[id(r.Name, sig.TypeCovered)]))
			sig.Signature, _ = s.keys[0].Private().Sign(nil, sum[:], crypto.SHA1)
			rs[i].Data = sig.RData()
		}
	}
	return rs
}

// standbyDS has a DS of a key that is published and signs nothing.
func standbyDS(s *site, rs []dns.Record) []dns.Record {
	return addDS(func(d *dns.DS) { *d, _ = dnssec.MakeDS(s.name, stranger(), dnssec.DigestSHA256) })(s, rs)
}

// sha1DS is the DS of a zone that asSHA1 made.
func sha1DS(s *site, rs []dns.Record) []dns.Record {
	k := s.keys[0].DNSKEY()
	k.Algorithm = dnssec.RSASHA1
	return editDS(func(d *dns.DS) { *d, _ = dnssec.MakeDS(s.name, k, dnssec.DigestSHA256) })(s, rs)
}

func without(t dns.Type) func(*machine) {
	return func(m *machine) {
		m.tamper = func(_ dns.Question, reply *dns.Message) {
			gone := func(r dns.Record) bool { return r.Type == t }
			reply.Answer = slices.DeleteFunc(reply.Answer, gone)
			reply.Authority = slices.DeleteFunc(reply.Authority, gone)
		}
	}
}

// refuse answers a type by an rcode.
func refuse(t dns.Type, rcode dns.RCode) func(*machine) {
	return func(m *machine) {
		m.tamper = func(q dns.Question, reply *dns.Message) {
			if q.Type == t {
				reply.Answer, reply.Authority, reply.RCode = nil, nil, rcode
			}
		}
	}
}

func nextDigest(d *dns.DS) {
	d.Digest = slices.Clone(d.Digest)
	d.Digest[0]++
}

var checkCases = map[string]checkCase{
	// Sound zones of all kinds.
	"sound-child":   {spec: spec{text: "* CNAME x.sub\n"}, status: validator.Secure},
	"sound-split":   {spec: spec{split: true, cds: true}, status: validator.Secure},
	"sound-nsec3":   {spec: spec{denial: sign.Denial{Kind: sign.NSEC3}}, status: validator.Secure},
	"sound-optout":  {spec: spec{denial: sign.Denial{Kind: sign.NSEC3, OptOut: true}, text: "sub NS ns.sub\nns.sub A 192.0.2.77\n"}, status: validator.Secure},
	"sound-rsa":     {spec: spec{algorithms: []uint8{dnssec.RSASHA256}}, status: validator.Secure},
	"sound-ed448":   {spec: spec{algorithms: []uint8{dnssec.ED448}}, status: validator.Secure},
	"sound-double":  {spec: spec{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}}, status: validator.Secure},
	"sound-wild":    {spec: spec{text: "* A 192.0.2.99\n"}, status: validator.Secure},
	"sound-wild3":   {spec: spec{text: "* CNAME www.sound.test.\n", denial: sign.Denial{Kind: sign.NSEC3}}, status: validator.Secure},
	"sound-dname":   {spec: spec{at: "sound.test.", text: "@ DNAME sound.test.\n"}, status: validator.Secure},
	"sound-multi":   {spec: spec{multi: true, split: true}, status: validator.Secure},
	"sound-384":     {spec: spec{delegation: digestDS(dnssec.DigestSHA384)}, status: validator.Secure},
	"unsigned":      {spec: spec{algorithms: []uint8{0}}, status: validator.Insecure},
	"unsigned-wild": {spec: spec{algorithms: []uint8{0}, text: "* A 192.0.2.99\n"}, status: validator.Insecure},

	// Signatures.
	"expired":     {spec: spec{past: 30 * day}, codes: "chain-bogus signature-expired", status: validator.Bogus},
	"future":      {spec: spec{past: -3 * day}, codes: "chain-bogus signature-future", status: validator.Bogus},
	"expiring":    {spec: spec{past: 13 * day}, codes: "signature-expiring", status: validator.Secure},
	"nosigs":      {spec: spec{change: dropType(dns.TypeRRSIG)}, codes: "chain-bogus signature-missing", status: validator.Bogus},
	"onlykeys":    {spec: spec{change: dropSigs(dnssec.ECDSAP256SHA256, dns.TypeNone)}, codes: "chain-bogus signature-missing", status: validator.Bogus},
	"wrongsoa":    {spec: spec{change: newSerial}, codes: "chain-bogus signature-wrong", status: validator.Bogus},
	"stale":       {spec: spec{serial: 20, second: &spec{serial: 19, past: 20 * day}}, codes: "chain-bogus serial-differs signature-expired", status: validator.Bogus},
	"onestripped": {spec: spec{other: without(dns.TypeRRSIG)}, codes: "chain-bogus signature-missing", status: validator.Bogus},
	"oneunsigned": {spec: spec{second: &spec{change: dropType(dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY)}}, codes: "chain-bogus denial-unproved dnskey-differs signature-missing", status: validator.Bogus},
	"half":        {spec: spec{algorithms: []uint8{dnssec.ECDSAP256SHA256, dnssec.ED25519}, change: dropSigs(dnssec.ED25519, dns.TypeNone)}, codes: "algorithm-incomplete", status: validator.Secure},
	"longttl":     {spec: spec{text: "@ 864000 TXT x\n", change: longTTL}, codes: "ttl-over-original", status: validator.Secure},

	// DS and keys.
	"mismatch":    {spec: spec{delegation: editDS(nextDigest)}, codes: "chain-bogus ds-digest-wrong ds-without-key", status: validator.Bogus},
	"stranger":    {spec: spec{delegation: editDS(func(d *dns.DS) { d.KeyTag++ })}, codes: "chain-bogus ds-stale ds-without-key", status: validator.Bogus},
	"leftover":    {spec: spec{delegation: addDS(func(d *dns.DS) { d.KeyTag++ })}, codes: "ds-stale", status: validator.Secure},
	"bare":        {spec: spec{change: dropType(dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY)}, codes: "chain-bogus ds-unsigned-zone", status: validator.Bogus},
	"island":      {spec: spec{delegation: dropType(dns.TypeDS)}, codes: "ds-missing", status: validator.Insecure},
	"island-asks": {spec: spec{cds: true, delegation: dropType(dns.TypeDS)}, codes: "cds-not-taken ds-missing", status: validator.Insecure},
	"sha1":        {spec: spec{delegation: digestDS(dnssec.DigestSHA1)}, codes: "digest-retired", status: validator.Secure},
	"digest":      {spec: spec{delegation: editDS(func(d *dns.DS) { d.DigestType = 200 })}, codes: "chain-insecure digest-unknown", status: validator.Insecure},
	"unknown":     {spec: spec{delegation: editDS(func(d *dns.DS) { d.Algorithm = 17 })}, codes: "algorithm-unknown chain-insecure ds-stale", status: validator.Insecure},
	"rsasha1":     {spec: spec{algorithms: []uint8{dnssec.RSASHA256}, change: asSHA1, delegation: sha1DS}, codes: "algorithm-retired", status: validator.Secure},
	"standby":     {spec: spec{split: true, prepare: addApex(dns.TypeDNSKEY, otherCDNSKEY), delegation: standbyDS}, codes: "ds-key-does-not-sign", status: validator.Secure},
	"protocol":    {spec: spec{prepare: addApex(dns.TypeDNSKEY, func([]dns.Record) dns.RData { k := stranger(); k.Protocol = 4; return k.RData() })}, codes: "key-protocol", status: validator.Secure},
	"collision":   {spec: spec{prepare: collide}, codes: "key-tag-collision", status: validator.Secure},
	"nozonekey": {spec: spec{prepare: addApex(dns.TypeDNSKEY, func([]dns.Record) dns.RData { return noZoneKey().RData() }), delegation: addDS(func(d *dns.DS) {
		*d, _ = dnssec.MakeDS(dns.MustName("nozonekey.test."), noZoneKey(), dnssec.DigestSHA256)
	})}, codes: "ds-not-zone-key", status: validator.Secure},
	"expire":        {spec: spec{expire: 30 * 86400}, codes: "soa-expire-over-signature", status: validator.Secure},
	"lasting":       {spec: spec{text: "@ 700000 CSYNC 1 1 NS\n"}, codes: "ttl-over-signature", status: validator.Secure},
	"rsasha512":     {spec: spec{algorithms: []uint8{dnssec.RSASHA512}}, codes: "algorithm-retired", status: validator.Secure},
	"short":         {spec: spec{algorithms: []uint8{dnssec.RSASHA256}, bits: 1024}, codes: "key-short", status: validator.Secure},
	"revoked":       {spec: spec{change: revoke}, codes: "chain-bogus ds-revoked ds-without-key signature-key-missing", status: validator.Bogus},
	"twofold":       {spec: spec{second: &spec{algorithms: []uint8{dnssec.ECDSAP256SHA256}}}, codes: "dnskey-differs", status: validator.Secure},
	"denial-iter":   {spec: spec{denial: sign.Denial{Kind: sign.NSEC3, Iterations: 10}}, codes: "nsec3-iterations", status: validator.Secure},
	"denial-many":   {spec: spec{denial: sign.Denial{Kind: sign.NSEC3, Iterations: 120}}, codes: "nsec3-iterations", status: validator.Secure},
	"denial-salt":   {spec: spec{denial: sign.Denial{Kind: sign.NSEC3, Salt: []byte{1, 2}}}, codes: "nsec3-salt", status: validator.Secure},
	"denial-hash":   {spec: spec{denial: sign.Denial{Kind: sign.NSEC3}, change: otherHash}, codes: "denial-unproved nsec3-hash signature-wrong", status: validator.Secure},
	"denial-hole":   {spec: spec{change: unchain}, codes: "denial-unproved", status: validator.Secure},
	"denial-none":   {spec: spec{first: without(dns.TypeNSEC), other: without(dns.TypeNSEC)}, codes: "denial-unproved", status: validator.Secure},
	"wild-unproved": {spec: spec{text: "* A 192.0.2.99\n", first: without(dns.TypeNSEC), other: without(dns.TypeNSEC)}, codes: "denial-unproved", status: validator.Secure},

	// What the zone asks of its parent.
	"cds-other":       {spec: spec{prepare: addApex(dns.TypeCDS, otherCDS)}, codes: "cds-breaks cds-not-taken", status: validator.Secure},
	"cds-signer":      {spec: spec{split: true, cds: true, change: cdsOfZSK}, codes: "cds-signer", status: validator.Secure},
	"cds-delete":      {spec: spec{prepare: addApex(dns.TypeCDS, func([]dns.Record) dns.RData { return dnssec.DeleteCDS() })}, codes: "cds-delete", status: validator.Secure},
	"cds-mixed":       {spec: spec{cds: true, prepare: addApex(dns.TypeCDS, func([]dns.Record) dns.RData { return dnssec.DeleteCDS() })}, codes: "cds-delete-mixed", status: validator.Secure},
	"cds-cdnskey":     {spec: spec{cds: true, prepare: addApex(dns.TypeCDNSKEY, otherCDNSKEY)}, codes: "cds-cdnskey-disagree", status: validator.Secure},
	"cds-differs":     {spec: spec{second: &spec{cds: true}}, codes: "cds-differs", status: validator.Secure},
	"cdnskey-differs": {spec: spec{prepare: addApex(dns.TypeCDNSKEY, ownKey), second: &spec{}}, codes: "cdnskey-differs", status: validator.Secure},
	"csync-differs":   {spec: spec{text: "@ CSYNC 1 1 NS\n", second: &spec{}}, codes: "csync-differs", status: validator.Secure},
	"csync-ahead":     {spec: spec{text: "@ CSYNC 9 3 NS\n"}, codes: "csync-serial", status: validator.Secure},
	"csync-odd":       {spec: spec{text: "@ CSYNC 1 5 NS MX\n"}, codes: "csync-flags csync-types", status: validator.Secure},

	// Delegation and servers, of signed and unsigned zones.
	"notcp":       {spec: spec{other: func(m *machine) { m.noTCP = true }}, codes: "server-tcp", status: validator.Secure},
	"noudp":       {spec: spec{algorithms: []uint8{0}, other: func(m *machine) { m.noUDP = true }}, codes: "server-udp", status: validator.Insecure},
	"noedns":      {spec: spec{other: func(m *machine) { m.noEDNS = true }}, codes: "chain-bogus server-edns", status: validator.Bogus},
	"noedns-un":   {spec: spec{algorithms: []uint8{0}, other: func(m *machine) { m.noEDNS = true }}, codes: "server-edns", status: validator.Insecure},
	"dead":        {spec: spec{algorithms: []uint8{0}, other: func(m *machine) { m.isDead = true }}, codes: "server-lame", status: validator.Insecure},
	"lame":        {spec: spec{algorithms: []uint8{0}, other: refuse(dns.TypeSOA, dns.RCodeRefused)}, codes: "server-lame", status: validator.Insecure},
	"nobody":      {spec: spec{first: refuse(dns.TypeSOA, dns.RCodeRefused), other: refuse(dns.TypeSOA, dns.RCodeRefused)}, codes: "server-lame"},
	"mute":        {spec: spec{other: refuse(dns.TypeCDS, dns.RCodeNotImp)}, codes: "server-mute", status: validator.Secure},
	"serial":      {spec: spec{algorithms: []uint8{0}, serial: 7, second: &spec{serial: 6}}, codes: "serial-differs", status: validator.Insecure},
	"ns-parent":   {spec: spec{algorithms: []uint8{0}, delegation: more("@ NS ns9\nns9 A 192.0.2.250\n")}, codes: "glue-differs ns-only-parent server-lame", status: validator.Insecure},
	"ns-zone":     {spec: spec{algorithms: []uint8{0}, text: "@ NS ns1.sound.test.\n"}, codes: "ns-only-zone server-lame", status: validator.Insecure},
	"ns-differs":  {spec: spec{algorithms: []uint8{0}, second: &spec{serial: 1, text: "@ NS ns1.sound.test.\n"}}, codes: "ns-differs ns-only-zone server-lame", status: validator.Insecure},
	"ns-nowhere":  {spec: spec{algorithms: []uint8{0}, text: "@ NS ns.nowhere.test.\n"}, codes: "ns-only-zone server-no-address", status: validator.Insecure},
	"glueless":    {spec: spec{delegation: gone("ns1", dns.TypeA)}, codes: "glue-missing", status: validator.Secure},
	"alias":       {spec: spec{algorithms: []uint8{0}, text: "@ NS alias.sound-hosts.test.\n"}, codes: "ns-only-zone server-alias server-lame", status: validator.Insecure},
	"sound-hosts": {spec: spec{text: "alias CNAME ns1.sound.test.\n"}, status: validator.Secure},
	"refusing":    {spec: spec{other: refuseAbsent}, codes: "denial-refused", status: validator.Secure},
	"kid.half":    {spec: spec{}, codes: "parent-server", status: validator.Secure},
	"kid.lag":     {spec: spec{}, codes: "chain-insecure ds-differs", status: validator.Insecure},
	"kid.bare":    {spec: spec{}, codes: "chain-insecure", status: validator.Insecure},
	"keyless":     {spec: spec{first: refuse(dns.TypeDNSKEY, dns.RCodeServFail), other: refuse(dns.TypeDNSKEY, dns.RCodeServFail)}, codes: "chain-unknown server-mute"},
	"glue":        {spec: spec{algorithms: []uint8{0}, delegation: more("ns2 A 192.0.2.251\n")}, codes: "glue-differs server-lame", status: validator.Insecure},
}

// gone drops records of a name in the zone from what the parent has.
func gone(host string, t dns.Type) func(*site, []dns.Record) []dns.Record {
	return func(s *site, rs []dns.Record) []dns.Record {
		return slices.DeleteFunc(rs, func(r dns.Record) bool {
			name, err := s.name.Child(host)
			return err == nil && r.Type == t && r.Name.Equal(name)
		})
	}
}

func refuseAbsent(m *machine) {
	m.tamper = func(q dns.Question, reply *dns.Message) {
		if strings.HasPrefix(q.Name.String(), "onoma-check-") {
			reply.Answer, reply.Authority, reply.RCode = nil, nil, dns.RCodeRefused
		}
	}
}

// refuseDS answers for the delegation by REFUSED.
func refuseDS(m *machine) { refuse(dns.TypeDS, dns.RCodeRefused)(m) }

// collide publishes two keys with one tag.
func collide(apex []dns.Record) []dns.Record {
	for _, k := range colliding() {
		apex = addApex(dns.TypeDNSKEY, func([]dns.Record) dns.RData { return k.RData() })(apex)
	}
	return apex
}

var colliding = sync.OnceValue(func() []dns.DNSKEY {
	seen := map[uint16]dns.DNSKEY{}
	for {
		k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, 256)
		if err != nil {
			panic(err)
		}
		d := k.DNSKEY()
		if other, ok := seen[d.KeyTag()]; ok {
			return []dns.DNSKEY{other, d}
		}
		seen[d.KeyTag()] = d
	}
})

func noZoneKey() dns.DNSKEY {
	k := stranger()
	k.Flags = 1
	return k
}

// ownKey is the CDNSKEY of the zone's own key.
func ownKey(apex []dns.Record) dns.RData { return apex[0].Data }

func otherHash(_ *site, rs []dns.Record) []dns.Record {
	for i, r := range rs {
		if r.Type == dns.TypeNSEC3PARAM {
			rs[i].Data = slices.Clone(r.Data)
			rs[i].Data[0] = 9
		}
	}
	return rs
}

// more adds records to what the parent has.
func more(text string) func(*site, []dns.Record) []dns.Record {
	return func(s *site, rs []dns.Record) []dns.Record {
		return append(rs, readZone(s.name, text)...)
	}
}

func newSerial(s *site, rs []dns.Record) []dns.Record {
	for i, r := range rs {
		if r.Type == dns.TypeSOA {
			rs[i].Data = slices.Clone(r.Data)
			rs[i].Data[len(r.Data)-17]++ // the serial's last octet
		}
	}
	return rs
}

// longTTL serves the SOA with a longer TTL than was signed.
func longTTL(_ *site, rs []dns.Record) []dns.Record {
	for i, r := range rs {
		if sig, err := dns.ParseRRSIG(r.Data); r.Type == dns.TypeSOA || r.Type == dns.TypeRRSIG && err == nil && sig.TypeCovered == dns.TypeSOA {
			rs[i].TTL = 7200
		}
	}
	return rs
}

func revoke(_ *site, rs []dns.Record) []dns.Record {
	for i, r := range rs {
		if r.Type == dns.TypeDNSKEY {
			rs[i].Data = slices.Clone(r.Data)
			rs[i].Data[1] |= dns.DNSKEYRevoke
		}
	}
	return rs
}

var stranger = sync.OnceValue(func() dns.DNSKEY {
	k, err := dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, 257)
	if err != nil {
		panic(err)
	}
	return k.DNSKEY()
})

func otherCDS(apex []dns.Record) dns.RData {
	d, err := dnssec.MakeDS(apex[0].Name, stranger(), dnssec.DigestSHA256)
	if err != nil {
		panic(err)
	}
	return d.RData()
}

func otherCDNSKEY([]dns.Record) dns.RData { return stranger().RData() }

// shared is the world of all cases and what came of the checks, at the real time:
// other programs look at it, too.
var shared struct {
	sync.Mutex
	*world
	health map[string]*Health
}

func checkWorld(t testing.TB) *world {
	shared.Lock()
	defer shared.Unlock()
	if shared.world == nil {
		shared.world, shared.health = addCases(newWorld(t, time.Now().Truncate(time.Second))), map[string]*Health{}
	}
	return shared.world
}

// checked is what came of a case.
func checked(t testing.TB, name string) *Health {
	t.Helper()
	w := checkWorld(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.health[name] == nil {
		shared.health[name] = w.check(t, zoneOfCase(name))
	}
	return shared.health[name]
}

// zoneOfCase is below test., or where the case's name says.
func zoneOfCase(name string) string {
	if strings.Contains(name, ".") {
		return name + "."
	}
	return name + ".test."
}

func addCases(w *world) *world {
	w.add("sound.test.", spec{})
	child := w.add("sub.sound-child.test.", spec{text: "* A 192.0.2.98\n"})
	for name, c := range checkCases {
		w.add(zoneOfCase(name), c.spec)
	}
	for i, m := range w.sites[dns.MustName("sound-child.test.")].machines {
		m.zones.AddZone(child.zones[i])
	}
	w.add("half.", spec{other: refuseDS})
	w.add("lag.", spec{algorithms: []uint8{0}, second: &spec{change: dropType(dns.TypeDS)}})
	w.add("bare.", spec{algorithms: []uint8{0}})
	w.add("test.", spec{split: true, algorithms: []uint8{dnssec.ED25519}})
	w.add(".", spec{split: true})
	return w
}

func codesOf(h *Health) string {
	var codes []string
	for _, f := range h.Findings {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), " ")
}
