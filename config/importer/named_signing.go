package importer

import (
	"slices"
	"strconv"
	"strings"

	"onoma/dns/dnssec"
)

// What an import does about signing: it never changes whether a zone is signed. Zones that nobody signs say so, for here
// signing is the rule; those that the other server signs are signed here by a policy that does as its policy did, and by its
// keys, which are taken over at the first start.

// unsigned has zones signed by nobody, unless they say otherwise.
func (d *draft) unsigned() {
	hasDefault := false
	for i := range d.templates {
		t := &d.templates[i]
		hasDefault = hasDefault || t.name == "default"
		if t.get("template") == "" && t.get("dnssec") == "" {
			t.set("dnssec", "off")
		}
	}
	if !hasDefault && len(d.zones)+len(d.views) > 0 {
		d.templates = slices.Insert(d.templates, 0, named{name: "default", settings: []setting{{"dnssec", "off"}}})
	}
}

// signingWords are the options about signing that an import understands; those of a zone come before those of its view and of
// all.
var signingWords = map[string]bool{
	"dnssec-policy": true, "inline-signing": true, "auto-dnssec": true, "key-directory": true,
}

// innermost returns what the innermost of some blocks says.
func innermost(name string, blocks ...[]statement) (s statement, word string) {
	for _, block := range blocks {
		for _, e := range block {
			if e.word(0) == name {
				return e, e.word(1)
			}
		}
	}
	return s, ""
}

// signing carries over how BIND signs a zone.
func (b *bind) signing(z *named, s statement, isPrimary bool) {
	blocks := [][]statement{s.block(), b.inherited, b.all}
	if !isPrimary {
		blocks = blocks[:1] // what comes signed from a primary is signed again only where that is said of the zone
		if at, word := innermost("dnssec-policy", b.inherited, b.all); !isNobody(word) {
			b.d.note(at.at(), "dnssec-policy %s: secondary zones are served as they come. To sign those that come unsigned, name a policy in their setting dnssec", word)
		}
	}
	at, policy := innermost("dnssec-policy", blocks...)
	auto, mode := innermost("auto-dnssec", blocks...)
	inline, isInline := innermost("inline-signing", blocks...)
	switch {
	case !isNobody(policy):
	case mode == "maintain" || mode == "allow":
		at, policy = auto, "default"
	case contains(isInline, "yes", "true", "1"):
		at, policy = inline, "default"
	default:
		return
	}
	z.set("dnssec", quote(policyNameOf(policy)))
	dir := b.dir
	if _, given := innermost("key-directory", blocks...); given != "" {
		dir = b.path(given)
	}
	z.set("keys-from", quote(dir))
	b.d.note(at.at(), "zones signed by this go on with BIND's keys, which are taken over from %s at the first start: stop BIND then, and let the server read that directory; until it can, they are not served", dir)
}

func isNobody(policy string) bool { return contains(policy, "", "none", "insecure") }

// policyNameOf avoids the words that mean something else here.
func policyNameOf(name string) string {
	if name == "auto" || name == "off" {
		return "policy-" + name
	}
	return name
}

// policy carries over a dnssec-policy.
func (b *bind) policy(s statement) {
	if !b.d.isNew("policy", s.word(1)) {
		return
	}
	p := named{name: policyNameOf(s.word(1))}
	for _, e := range s.block() {
		word := e.word(1)
		switch key := e.word(0); key {
		case "keys":
			b.policyKeys(&p, e)
		case "nsec3param":
			b.nsec3(&p, e)
		case "signatures-validity", "signatures-refresh", "signatures-validity-dnskey", "signatures-jitter", "dnskey-ttl", "publish-safety", "retire-safety", "max-zone-ttl":
			if d, ok := bindDuration(word); ok {
				p.set(policyTimes[key], d)
			}
		case "cds-digest-types", "cdnskey", "purge-keys", "parent-ds-ttl", "parent-propagation-delay", "zone-propagation-delay", "inline-signing", "offline-ksk", "manual-mode":
			if key == "offline-ksk" && contains(word, "yes", "true", "1") {
				b.d.note(e.at(), "dnssec-policy %s: offline-ksk: name the file of signed key responses in the policy's offline-ksk", s.word(1))
			}
		default:
			b.d.note(e.at(), "dnssec-policy %s: %s is not carried over", s.word(1), key)
		}
	}
	b.d.policies = append(b.d.policies, p)
}

var policyTimes = map[string]string{
	"signatures-validity": "validity", "signatures-refresh": "refresh", "signatures-validity-dnskey": "key-validity", "signatures-jitter": "jitter",
	"dnskey-ttl": "key-ttl", "publish-safety": "publish-safety", "retire-safety": "retire-safety", "max-zone-ttl": "max-ttl",
}

// policyKeys reads lines such as: ksk key-directory lifetime P1Y algorithm rsasha256 2048.
func (b *bind) policyKeys(p *named, s statement) {
	isSplit := false
	for _, k := range s.block() {
		role := k.word(0)
		isSplit = isSplit || role == "zsk"
		for i := range k.items {
			switch k.word(i) {
			case "lifetime":
				life, ok := bindDuration(k.word(i + 1))
				if role == "csk" {
					role = "ksk"
				}
				if ok && life != "0s" {
					p.set(role+"-life", life)
				}
			case "algorithm":
				a, err := dnssec.ParseAlgorithm(k.word(i + 1))
				if err != nil || !dnssec.CanSign(a) || a == dnssec.RSASHA1 || a == dnssec.RSASHA1NSEC3SHA1 {
					b.d.note(k.at(), "dnssec-policy %s: algorithm %s does not sign here: ecdsap256sha256 takes its place, by a rollover", p.name, k.word(i+1))
					continue
				}
				p.set("algorithm", strings.ToLower(dnssec.AlgorithmName(a)))
				if bits, err := strconv.Atoi(k.word(i + 2)); err == nil && (a == dnssec.RSASHA256 || a == dnssec.RSASHA512) {
					p.set("bits", strconv.Itoa(bits))
				}
			}
		}
	}
	if isSplit {
		p.set("keys", "split")
	}
}

// nsec3 reads: nsec3param iterations 0 optout no salt-length 0.
func (b *bind) nsec3(p *named, s statement) {
	p.set("denial", "nsec3")
	for i := range s.items {
		switch word := s.word(i + 1); s.word(i) {
		case "optout":
			if contains(word, "yes", "true", "1") {
				p.set("denial", "nsec3-opt-out")
			}
		case "iterations", "salt-length":
			if word != "0" {
				p.set(map[string]string{"iterations": "iterations", "salt-length": "salt"}[s.word(i)], word)
			}
		}
	}
}

// bindDuration reads P1DT2H, 1d2h, seconds, or unlimited, which is 0s here.
func bindDuration(s string) (string, bool) {
	s = strings.ToLower(s)
	if s == "unlimited" {
		return "0s", true
	}
	iso, isISO := strings.CutPrefix(s, "p")
	days, seconds := map[byte]int64{'y': 365 * 86400, 'm': 30 * 86400, 'w': 7 * 86400, 'd': 86400}, map[byte]int64{'h': 3600, 'm': 60, 's': 1, 'w': 7 * 86400, 'd': 86400}
	units := seconds
	if isISO {
		units = days
	}
	var sum, n int64
	digits := false
	for _, c := range []byte(iso) {
		switch unit := units[c]; {
		case c >= '0' && c <= '9' && n < 1e10:
			n, digits = n*10+int64(c-'0'), true
		case isISO && c == 't':
			units = seconds
		case unit != 0 && digits:
			sum, n, digits = sum+n*unit, 0, false
		default:
			return "", false
		}
	}
	if digits && isISO || sum+n > 1e10 {
		return "", false
	}
	return strconv.FormatInt(sum+n, 10) + "s", true
}
