package importer

import (
	"path/filepath"
	"strconv"
	"strings"

	"onoma/dns/dnssec"
)

// What Knot signs goes on by Knot's keys. They are in its key store, as PEM; what each is for stands in its KASP database, which
// keymgr writes out. Until it has, the server does not serve the zone: by other keys it would be bogus.

const knotStorage = "/var/lib/knot"

// knotDefault is the policy of zones that name none: Knot's own defaults.
const knotDefault = "default"

// signing carries over whether and how a zone or those of a template are signed.
func (k *knot) signing(z *named, s *section, isTemplate bool) {
	signs, policy := s.get("dnssec-signing"), s.get("dnssec-policy")
	if signs+policy == "" {
		return // as the template has it
	}
	t := k.inherited(s)
	isInherited := t != nil && !isTemplate && t.isOn("dnssec-signing")
	if t != nil && !isTemplate && signs == "" {
		signs = t.get("dnssec-signing")
	}
	if t != nil && !isTemplate && policy == "" {
		policy = t.get("dnssec-policy")
	}
	if !contains(signs, "on", "yes", "true") {
		if isInherited {
			z.set("dnssec", "off")
			z.set("keys-from", `""`)
		}
		return
	}
	if policy == "" {
		policy = knotDefault
	}
	p := k.policies[policy]
	if p == nil && policy != knotDefault {
		k.d.note(s.at, "there is no policy %s, Knot's defaults take its place", policy)
		policy = knotDefault
		p = k.policies[policy]
	}
	if p == nil {
		p = &section{at: s.at, name: "policy", attrs: []attribute{{at: s.at, name: "id", values: []string{policy}}}}
		k.policies[policy] = p
	}
	if k.d.isNew("policy", policy) {
		k.d.policies = append(k.d.policies, k.policy(p, policy))
	}
	dir := k.keysOf(p)
	z.set("dnssec", quote(policyNameOf(policy)))
	z.set("keys-from", quote(dir))
	k.d.note(s.at, "zones signed by this go on with Knot's keys, which are taken over from %s at the first start; until they can be, the zones are not served. What they are for only Knot can tell: stop it, have this done, and let the server read that directory: for z in $(keymgr -c %s -l); do keymgr -c %s -j \"$z\" list > %s/\"${z}json\"; done", dir, shell(k.path), shell(k.path), shell(dir))
}

// keysOf returns the directory of the private keys of a policy.
func (k *knot) keysOf(policy *section) string {
	storage, kasp := knotStorage, "keys"
	for _, s := range k.sections {
		if s.name == "database" {
			storage, kasp = orElse(s.get("storage"), storage), orElse(s.get("kasp-db"), kasp)
		}
	}
	store := orElse(policy.get("keystore"), "default")
	dir := "keys"
	for _, s := range k.sections {
		if s.name != "keystore" || s.get("id") != store {
			continue
		}
		if s.get("backend") == "pkcs11" {
			k.d.note(s.at, "keystore %s is a token, from which keys are not taken over: zones whose keys are in it are not served until they are in PEM, or the zones are off", store)
			continue
		}
		dir = orElse(s.get("config"), dir)
	}
	return filepath.Clean(pathIn(pathIn(storage, kasp), dir))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// knotTimes are settings of a policy that are times in both.
var knotTimes = map[string]string{
	"rrsig-lifetime": "validity", "rrsig-refresh": "refresh", "dnskey-ttl": "key-ttl", "zone-max-ttl": "max-ttl",
}

var knotPolicySilent = map[string]bool{
	"id": true, "keystore": true, "single-type-signing": true, "manual": true, "ksk-lifetime": true, "zsk-lifetime": true, "algorithm": true,
	"ksk-size": true, "zsk-size": true, "nsec3": true, "nsec3-iterations": true, "nsec3-opt-out": true, "nsec3-salt-length": true, "nsec3-salt-lifetime": true,
	"propagation-delay": true, "rrsig-pre-refresh": true, "reproducible-signing": true, "signing-threads": true, "ksk-submission": true,
	"cds-cdnskey-publish": true, "cds-digest-type": true, "delete-delay": true, "unsafe-operation": true, "ds-push": true,
}

// policy carries over a policy, with Knot's defaults where it says nothing.
func (k *knot) policy(s *section, name string) named {
	p := named{name: policyNameOf(name)}
	k.policyKeys(&p, s)
	if s.isOn("nsec3") {
		p.set("denial", "nsec3")
		if s.isOn("nsec3-opt-out") {
			p.set("denial", "nsec3-opt-out")
		}
		for from, to := range map[string]struct {
			key  string
			most int
		}{"nsec3-iterations": {"iterations", 50}, "nsec3-salt-length": {"salt", 64}} {
			if v := s.get(from); v != "" {
				if n := k.d.number(s.at, "policy "+name+": "+from, v, 0, to.most); n != "" {
					p.set(to.key, n)
				}
			}
		}
	}
	if s.get("cds-cdnskey-publish") == "none" {
		p.set("cds", "[none]")
	}
	for _, a := range s.attrs {
		if to := knotTimes[a.name]; to != "" {
			k.policyTime(&p, a, to)
		} else if !knotPolicySilent[a.name] {
			k.d.note(a.at, "policy %s: %s is not carried over", name, a.name)
		}
	}
	return p
}

// policyKeys carries over which keys there are, and how long each is used.
func (k *knot) policyKeys(p *named, s *section) {
	isSplit := !s.isOn("single-type-signing")
	if isSplit {
		p.set("keys", "split")
	}
	if word := s.get("algorithm"); word != "" {
		a, err := dnssec.ParseAlgorithm(word)
		if err != nil || !dnssec.CanSign(a) || a == dnssec.RSASHA1 || a == dnssec.RSASHA1NSEC3SHA1 {
			k.d.note(s.at, "policy %s: algorithm %s does not sign here: ecdsap256sha256 takes its place, by a rollover", p.name, word)
		} else {
			p.set("algorithm", strings.ToLower(dnssec.AlgorithmName(a)))
			if bits, err := strconv.Atoi(orElse(s.get("zsk-size"), s.get("ksk-size"))); err == nil && bits >= 1024 && bits <= 4096 && (a == dnssec.RSASHA256 || a == dnssec.RSASHA512) {
				p.set("bits", strconv.Itoa(bits))
			}
		}
	}
	if s.isOn("manual") {
		return
	}
	if isSplit {
		k.policyTime(p, attribute{at: s.at, name: "zsk-lifetime", values: []string{orElse(s.get("zsk-lifetime"), "30d")}}, "zsk-life")
	}
	if v := s.get("ksk-lifetime"); v != "" {
		k.policyTime(p, attribute{at: s.at, name: "ksk-lifetime", values: []string{v}}, "ksk-life")
	}
}

// policyTime carries over a time such as 14d. Knot's M is a month and m a minute.
func (k *knot) policyTime(p *named, a attribute, key string) {
	d, ok := bindDuration(a.value())
	if !ok || strings.Contains(a.value(), "M") {
		k.d.note(a.at, "policy %s: %s: %s is not carried over: expected a time such as 14d", p.name, a.name, a.value())
		return
	}
	if d != "0s" {
		p.set(key, d)
	}
}
