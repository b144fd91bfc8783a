package importer

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the bind backend keeps its keys in such a database

	"onoma/config"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
)

// What PowerDNS signs goes on by its keys, which pdnsutil writes out. Which zones those are, stands in its database. Where that
// cannot be read, none is served without keys until somebody has said that it was not signed.

// pdnsZone is what the database of the bind backend has of a zone that it signs.
type pdnsZone struct {
	keys  []pdnsKey
	nsec3 string // the content of NSEC3PARAM, "" for NSEC
}

// pdnsKey is a key that is in use.
type pdnsKey struct {
	id    int64
	flags uint16
	text  string // its private half, as BIND writes it
}

// readPDNS returns the zones that have keys in use, by their names.
func readPDNS(path string) (map[string]*pdnsZone, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	zones := make(map[string]*pdnsZone)
	rows, err := db.Query("SELECT domain, id, flags, content FROM cryptokeys WHERE active ORDER BY domain, id LIMIT 1000000")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var k pdnsKey
		if err := rows.Scan(&name, &k.id, &k.flags, &k.text); err != nil {
			return nil, err
		}
		name = zoneName(strings.ToLower(name))
		if zones[name] == nil {
			zones[name] = &pdnsZone{}
		}
		zones[name].keys = append(zones[name].keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return zones, readPDNSDenial(db, zones)
}

func readPDNSDenial(db *sql.DB, zones map[string]*pdnsZone) error {
	rows, err := db.Query("SELECT domain, content FROM domainmetadata WHERE kind = 'NSEC3PARAM' LIMIT 1000000")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, content string
		if err := rows.Scan(&name, &content); err != nil {
			return err
		}
		if z := zones[zoneName(strings.ToLower(name))]; z != nil {
			z.nsec3 = content
		}
	}
	return rows.Err()
}

// signing carries over which zones PowerDNS signs.
func (p *powerDNS) signing(path string) {
	at, db := p.keysIn(path)
	if db == "" && at.File == "" {
		return // a bind backend without such a database signs nothing
	}
	dir := filepath.Join(orElse(filepath.Dir(db), filepath.Dir(path)), "exported-keys")
	signed, err := map[string]*pdnsZone(nil), error(nil)
	if db == "" {
		err = fmt.Errorf("they are in another backend (bind-hybrid)")
		dir = filepath.Join(filepath.Dir(path), "exported-keys")
	} else {
		signed, err = p.r.o.PowerDNS(db)
	}
	if err != nil {
		p.unknown(at, dir, err)
		return
	}
	conf, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		conf = filepath.Dir(path)
	}
	for i := range p.d.zones {
		z := &p.d.zones[i]
		if s := signed[z.name]; s != nil {
			p.signedBy(at, z, s, dir, conf)
		}
	}
}

// keysIn returns where the bind backend has its keys.
func (p *powerDNS) keysIn(path string) (at config.Pos, db string) {
	for _, a := range p.settings.attrs {
		switch v := a.value(); a.name {
		case "bind-dnssec-db":
			if v != "" {
				at, db = a.at, v
				if !filepath.IsAbs(db) {
					db = filepath.Join(filepath.Dir(path), db)
				}
			}
		case "bind-hybrid":
			if contains(v, "yes", "on", "true", "") {
				return a.at, ""
			}
		}
	}
	return at, db
}

// unknown has no zone served without keys.
func (p *powerDNS) unknown(at config.Pos, dir string, why error) {
	const name = "powerdns"
	p.d.policies = append(p.d.policies, named{name: name, settings: []setting{{"algorithm", "ecdsap256sha256"}}})
	for i := range p.d.templates {
		if t := &p.d.templates[i]; t.name == "default" {
			t.set("dnssec", name)
			t.set("keys-from", quote(dir))
		}
	}
	p.d.note(at, "which zones PowerDNS signs cannot be read here: %v. So no zone is served until its keys are in %s: \"pdnsutil list-keys\" lists them, and \"pdnsutil export-zone-key ZONE ID > %s\" writes each. Zones without keys need dnssec: off and keys-from: \"\"",
		why, dir, filepath.Join(dir, "KZONE.+ALGORITHM+TAG.private"))
}

// signedBy has a zone signed by its keys, and tells how to bring them.
func (p *powerDNS) signedBy(at config.Pos, z *named, s *pdnsZone, dir, conf string) {
	name, err := dns.ParseName(z.name)
	if err != nil {
		return // addZone has told of it
	}
	commands := []string{"install -d -m 700 " + shell(dir)}
	policy, isSplit := named{name: "powerdns"}, false
	for _, k := range s.keys {
		private, err := keyfile.ParsePrivate("key "+strconv.FormatInt(k.id, 10), []byte(k.text))
		if err != nil {
			p.d.note(at, "zone %s: %v. It is not served until the key is in %s", z.name, err, dir)
			continue
		}
		whole, err := private.Key(k.flags)
		if err != nil {
			p.d.note(at, "zone %s: key %d: %v. It is not served until the key is in %s", z.name, k.id, err, dir)
			continue
		}
		isSplit = isSplit || k.flags&dns.DNSKEYSEP == 0
		if a := private.Algorithm; a == dnssec.RSASHA1 || a == dnssec.RSASHA1NSEC3SHA1 {
			p.d.note(at, "zone %s: algorithm %s does not sign here: ecdsap256sha256 takes its place, by a rollover", z.name, dnssec.AlgorithmName(a))
		} else {
			policy.set("algorithm", strings.ToLower(dnssec.AlgorithmName(a)))
		}
		file := strings.ReplaceAll(fmt.Sprintf("K%s+%03d+%05d.private", name.Fold(), private.Algorithm, whole.Tag()), "/", "%2F")
		commands = append(commands, fmt.Sprintf("pdnsutil --config-dir=%s export-zone-key %s %d > %s", shell(conf), shell(z.name), k.id, shell(filepath.Join(dir, file))))
	}
	policy.name += "-" + orElse(policy.get("algorithm"), "ecdsap256sha256")
	if isSplit {
		policy.name += "-split"
		policy.set("keys", "split")
	}
	pdnsDenial(&policy, s.nsec3)
	if p.d.isNew("policy", policy.name) {
		p.d.policies = append(p.d.policies, policy)
	}
	z.set("dnssec", quote(policy.name))
	z.set("keys-from", quote(dir))
	p.d.note(at, "zone %s goes on with PowerDNS's keys, which are taken over at the first start; until they can be, it is not served. Stop PowerDNS, have this done, and let the server read that directory: %s", z.name, strings.Join(commands, "; "))
}

// pdnsDenial reads NSEC3PARAM: 1 FLAGS ITERATIONS SALT.
func pdnsDenial(policy *named, nsec3 string) {
	words := strings.Fields(nsec3)
	if len(words) != 4 {
		return
	}
	kind := "nsec3"
	if words[1] == "1" {
		kind = "nsec3-opt-out"
	}
	policy.name += "-" + kind
	policy.set("denial", kind)
	if n, err := strconv.Atoi(words[2]); err == nil && n > 0 && n <= 50 {
		policy.name += "-" + words[2]
		policy.set("iterations", words[2])
	}
	if n := len(words[3]) / 2; words[3] != "-" && n > 0 && n <= 64 {
		policy.name += "-salt" + strconv.Itoa(n)
		policy.set("salt", strconv.Itoa(n))
	}
}
