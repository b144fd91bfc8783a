package dnssec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
)

func denialOf(zone string, lines ...string) *Denial {
	budget := 1 << 14
	return denialWithin(&budget, zone, lines...)
}

func denialWithin(budget *int, zone string, lines ...string) *Denial {
	var sets []RRset
	for _, l := range lines {
		r := dns.MustRecord(l)
		sets = append(sets, RRset{Owner: r.Name, Type: r.Type, Class: r.Class, TTL: r.TTL, RData: []dns.RData{r.Data}})
	}
	return NewDenial(dns.MustName(zone), sets, budget)
}

// claims says what a Denial proves in words that tables can have.
func claims(d *Denial, claim string) string {
	f := strings.Fields(claim)
	name := dns.MustName(f[1])
	switch f[0] {
	case "noname":
		return d.Name(name).String()
	case "notype":
		t, _ := dns.ParseType(f[2])
		return d.Type(name, t).String()
	case "wildcard":
		return d.Expansion(name, len(strings.Split(strings.Trim(f[2], "."), "."))).String()
	case "cut":
		c, _ := d.Delegation(name)
		return [...]string{"unknown", "no cut", "unsigned"}[c]
	}
	panic(claim)
}

func nsec(owner, next, types string) string {
	return fmt.Sprintf("%s 3600 IN NSEC %s %s", owner, next, types)
}

// The answers of RFC 4035 appendix B, and what is known to have gone wrong with
// such proofs elsewhere.
func TestNSECProofs(t *testing.T) {
	const proved, unproved = "proved", "not proved"
	apexNSEC := nsec("example.", "a.example.", "NS SOA MX RRSIG NSEC DNSKEY")
	a := nsec("a.example.", "ai.example.", "NS DS RRSIG NSEC")
	b := nsec("b.example.", "ns1.example.", "NS RRSIG NSEC")
	ns1 := nsec("ns1.example.", "ns2.example.", "A RRSIG NSEC")
	xyw := nsec("x.y.w.example.", "xx.example.", "MX RRSIG NSEC")
	star := nsec("*.w.example.", "x.w.example.", "MX RRSIG NSEC")
	last := nsec("xx.example.", "example.", "A HINFO AAAA RRSIG NSEC")
	dname := nsec("d.example.", "e.example.", "DNAME RRSIG NSEC")
	for _, c := range []struct {
		name    string
		records []string
		claim   string
		want    string
	}{
		{"B.2", []string{b, apexNSEC}, "noname ml.example.", proved},
		{"B.2 without the wildcard", []string{b}, "noname ml.example.", unproved},
		{"B.3", []string{ns1}, "notype ns1.example. MX", proved},
		{"B.3 the type is there", []string{ns1}, "notype ns1.example. A", unproved},
		{"B.5", []string{b}, "cut b.example.", "unsigned"},
		{"B.6", []string{xyw}, "wildcard a.z.w.example. w.example.", proved},
		{"B.6 wildcard further up", []string{xyw}, "wildcard a.z.w.example. example.", unproved},
		{"B.6 wildcard further down", []string{xyw}, "wildcard a.z.w.example. z.w.example.", unproved},
		{"B.7", []string{xyw, star}, "notype a.z.w.example. AAAA", proved},
		{"B.7 without the wildcard", []string{xyw}, "notype a.z.w.example. AAAA", unproved},
		{"B.7 the wildcard has the type", []string{xyw, star}, "notype a.z.w.example. MX", unproved},
		{"B.8 the child's own", []string{apexNSEC}, "notype example. DS", unproved},
		{"the last record", []string{last, apexNSEC}, "noname zz.example.", proved},
		{"a signed delegation", []string{a}, "cut a.example.", "unknown"},
		{"not a delegation", []string{ns1}, "cut ns1.example.", "no cut"},
		{"a name that is not there is no delegation", []string{b, apexNSEC}, "cut ml.example.", "no cut"},
		{"an empty name", []string{nsec("ns2.example.", "*.w.example.", "A RRSIG NSEC")}, "notype w.example. A", proved},
		{"an empty name exists", []string{nsec("ns2.example.", "*.w.example.", "A RRSIG NSEC"), apexNSEC}, "noname w.example.", unproved},
		// RFC 6840 §4.1: the parent's record of a delegation.
		{"below a delegation", []string{b, apexNSEC}, "noname www.b.example.", unproved},
		{"at a delegation", []string{b}, "notype b.example. A", unproved},
		{"below a DNAME", []string{dname, apexNSEC}, "noname www.d.example.", unproved},
		{"beside a DNAME", []string{dname, apexNSEC}, "noname da.example.", proved},
		{"next name outside", []string{nsec("b.example.", "zz.test.", "A RRSIG NSEC"), apexNSEC}, "noname ml.example.", unproved},
		{"owner outside", []string{nsec("b.test.", "ns1.example.", "A RRSIG NSEC"), apexNSEC}, "noname ml.example.", unproved},
		{"name outside", []string{last, apexNSEC}, "noname zz.test.", unproved},
		{"alias", []string{nsec("c.example.", "d.example.", "CNAME RRSIG NSEC")}, "notype c.example. A", unproved},
		{"the only name", []string{nsec("example.", "example.", "NS SOA RRSIG NSEC")}, "noname a.example.", proved},
		// RFC 9824.
		{"compact", []string{nsec("no.example.", `\000.no.example.`, "RRSIG NSEC NXNAME")}, "notype no.example. A", "proved: there is no such name"},
		{"compact, as NXDOMAIN", []string{nsec("no.example.", `\000.no.example.`, "RRSIG NSEC NXNAME")}, "noname no.example.", "proved: there is no such name"},
		{"compact, name is there", []string{nsec("yes.example.", `\000.yes.example.`, "A RRSIG NSEC")}, "notype yes.example. MX", proved},
		{"compact, name is there", []string{nsec("yes.example.", `\000.yes.example.`, "A RRSIG NSEC")}, "noname yes.example.", unproved},
		{"compact, delegation", []string{nsec("sub.example.", `\000.sub.example.`, "NS RRSIG NSEC")}, "cut sub.example.", "unsigned"},
		{"nothing", nil, "noname a.example.", unproved},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := claims(denialOf("example.", c.records...), c.claim); got != c.want {
				t.Errorf("%s: %s, expected %s", c.claim, got, c.want)
			}
		})
	}
}

// rfc5155 is the chain of RFC 5155 appendix A; all of it opts out.
var rfc5155 = func() []string {
	names := strings.Fields(`0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 2t7b4g4vsa5smi47k61mv5bv1a22bojr 2vptu5timamqttgl4luu9kg21e0aor3s
		35mthgpgcu1qg68fab165klnsnk3dpvl b4um86eghhds6nea196smvmlo4ors995 gjeqe526plbf1g8mklp59enfd789njgi ji6neoaepv8b5o6k4ev33abha8ht9fgc
		k8udemvp1j2f7eg6jebps17vp3n8i58h kohar7mbb8dc2ce8a9qvl8hon4k53uhi q04jkcevqvmu85r014c7dkba38o0ji5r
		r53bq7cc2uvmubfu5ocmm6pers9tk9en t644ebqk9bibcna874givr6joj62mlhv`)
	types := []string{"MX DNSKEY NS SOA NSEC3PARAM RRSIG", "A RRSIG", "MX RRSIG", "NS DS RRSIG", "MX RRSIG", "A HINFO AAAA RRSIG", "", "",
		"A RRSIG", "A RRSIG", "MX RRSIG", "A HINFO AAAA RRSIG"}
	var out []string
	for i, n := range names {
		out = append(out, fmt.Sprintf("%s.example. 3600 IN NSEC3 1 1 12 aabbccdd %s %s", n, names[(i+1)%len(names)], types[i]))
	}
	return out
}()

func TestNSEC3Proofs(t *testing.T) {
	const unproved, optOut = "not proved", "in a span that opts out"
	with := func(at ...int) (r []string) {
		for _, i := range at {
			r = append(r, rfc5155[i])
		}
		return r
	}
	instead := func(at int, old, new string) []string {
		return []string{strings.Replace(rfc5155[at], old, new, 1)}
	}
	for _, c := range []struct {
		name    string
		records []string
		claim   string
		want    string
	}{
		{"B.1", with(0, 4, 3), "noname a.c.x.w.example.", optOut},
		{"B.1 without the encloser", with(0, 3), "noname a.c.x.w.example.", unproved},
		{"B.1 without the wildcard", with(0, 4), "noname a.c.x.w.example.", unproved},
		{"B.2", with(1), "notype ns1.example. MX", "proved"},
		{"B.2.1", with(6), "notype y.w.example. A", "proved"},
		{"B.3", with(3, 0), "cut c.example.", "unsigned"},
		{"B.3 without the encloser", with(3), "cut c.example.", "unknown"},
		{"B.4", with(9), "wildcard a.z.w.example. w.example.", optOut},
		{"B.4 another wildcard", with(9), "wildcard a.z.w.example. z.w.example.", unproved},
		{"B.5", with(7, 9, 10), "notype a.z.w.example. AAAA", optOut},
		{"B.5 the type is there", with(7, 9, 10), "notype a.z.w.example. MX", unproved},
		{"B.6 the child's own", with(0), "notype example. DS", unproved},
		{"below a delegation", rfc5155, "noname www.a.example.", unproved},
		{"a signed delegation", rfc5155, "cut a.example.", "unknown"},
		{"the name itself", rfc5155, "noname xx.example.", unproved},
		{"owner below another name", instead(1, ".example.", ".w.example."), "notype ns1.example. MX", unproved},
		{"owner in another zone", instead(1, ".example.", ".test."), "notype ns1.example. MX", unproved},
		{"owner is no hash", instead(1, "2t7b4g4vsa5smi47k61mv5bv1a22bojr.", "2t7b4g4v."), "notype ns1.example. MX", unproved},
		{"unknown hash", instead(1, "NSEC3 1", "NSEC3 2"), "notype ns1.example. MX", unproved},
		{"unknown flag", instead(1, "NSEC3 1 1", "NSEC3 1 3"), "notype ns1.example. MX", unproved},
		{"iterations", instead(1, " 12 ", " 151 "), "notype ns1.example. MX", "NSEC3 with too many iterations"},
		{"iterations of a delegation", instead(3, " 12 ", " 2500 "), "cut c.example.", "unsigned"},
		{"other salt", append(with(4), instead(1, "aabbccdd", "-")...), "notype ns1.example. MX", unproved},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := claims(denialOf("example.", c.records...), c.claim); got != c.want {
				t.Errorf("%s: %s, expected %s", c.claim, got, c.want)
			}
		})
	}
}

// A name with many labels costs hashes; there is an end to them (CVE-2023-50868).
func TestHashesAreBounded(t *testing.T) {
	budget := 500
	d := denialWithin(&budget, "example.", rfc5155...)
	if p := d.Name(dns.MustName(strings.Repeat("a.", 120) + "example.")); p != Exhausted {
		t.Errorf("verdict %v, expected the end of the budget", p)
	}
	if len(d.hashes) > 500/13 {
		t.Errorf("%d hashes of 13 rounds were made of 500 rounds", len(d.hashes))
	}
}

// world is a small zone at random: what exists, and where others begin.
type world struct {
	types map[string]string // owners with records
	names []string          // those and the empty names between
}

const worldZone = "z."

func newWorld(r *rand.Rand) world {
	w := world{types: map[string]string{worldZone: "NS SOA"}}
	for range 1 + r.IntN(8) {
		n := randomName(r)
		if _, ok := w.types[n]; !ok && !w.isBelow(n) {
			w.types[n] = [...]string{"A", "A", "MX", "NS", "NS DS", "CNAME", "DNAME", "A DNAME"}[r.IntN(8)]
		}
	}
	for n := range w.types { // what lies below a later cut or DNAME goes
		if w.isBelow(n) {
			delete(w.types, n)
		}
	}
	for n := range w.types {
		for at := dns.MustName(n); at.IsSubdomainOf(dns.MustName(worldZone)); at = at.Parent() {
			if !slices.Contains(w.names, at.String()) {
				w.names = append(w.names, at.String())
			}
		}
	}
	slices.SortFunc(w.names, func(a, b string) int { return dns.MustName(a).Compare(dns.MustName(b)) })
	return w
}

func randomName(r *rand.Rand) string {
	n := worldZone
	for range 1 + r.IntN(3) {
		n = [...]string{"a.", "b.", "c.", "*."}[r.IntN(4)] + n
	}
	return n
}

// isBelow reports whether a name is not the zone's to speak of.
func (w world) isBelow(n string) bool {
	for at := dns.MustName(n).Parent(); at.Len() > 1; at = at.Parent() {
		t := strings.Fields(w.types[at.String()])
		if at.String() != worldZone && slices.Contains(t, "NS") || slices.Contains(t, "DNAME") {
			return true
		}
	}
	return false
}

func (w world) exists(n string) bool { return slices.Contains(w.names, n) }

// stands returns the name whose records answer for n: its own, or a wildcard's.
func (w world) stands(n string) (owner string, ok bool) {
	if w.exists(n) {
		return n, true
	}
	at := dns.MustName(n)
	for !w.exists(at.String()) {
		at = at.Parent()
	}
	owner = "*." + at.String()
	return owner, w.exists(owner)
}

// lacks reports whether n has no data of type t.
func (w world) lacks(n, t string) bool {
	owner, ok := w.stands(n)
	types := strings.Fields(w.types[owner])
	cut := slices.Contains(types, "NS") && owner != worldZone
	return ok && !slices.Contains(types, t) && !slices.Contains(types, "CNAME") && (t == "DS" || !cut) && (t != "DS" || owner != worldZone)
}

func (w world) nsecs() (out []string) {
	var owners []string
	for _, n := range w.names {
		if w.types[n] != "" {
			owners = append(owners, n)
		}
	}
	for i, n := range owners {
		out = append(out, nsec(n, owners[(i+1)%len(owners)], w.types[n]+" RRSIG NSEC"))
	}
	return out
}

func (w world) nsec3s() (out []string) {
	byHash := map[string]string{}
	var hashes []string
	for _, n := range w.names {
		h := string(dns.AppendBase32Hex(nil, NSEC3Hash(nil, dns.MustName(n).Append(nil), 1, []byte{1})))
		byHash[h] = n
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	for i, h := range hashes {
		out = append(out, fmt.Sprintf("%s.%s 60 IN NSEC3 1 0 1 01 %s %s", h, worldZone, hashes[(i+1)%len(hashes)], w.types[byHash[h]]))
	}
	return out
}

// All records of a chain prove all that is true; any of them prove nothing that is
// false.
func TestProofsAgreeWithTheZone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		w := newWorld(r)
		for kind, chain := range map[string][]string{"NSEC": w.nsecs(), "NSEC3": w.nsec3s()} {
			all := denialOf(worldZone, chain...)
			r.Shuffle(len(chain), func(i, j int) { chain[i], chain[j] = chain[j], chain[i] })
			some := denialOf(worldZone, chain[:r.IntN(len(chain)+1)]...)
			for range 20 {
				n, typ := randomName(r), [...]string{"A", "MX", "DS"}[r.IntN(3)]
				_, stands := w.stands(n)
				below := w.isBelow(n)
				w.agree(t, kind, chain, all, some, "noname "+n, !stands && !below)
				w.agree(t, kind, chain, all, some, "notype "+n+" "+typ, w.lacks(n, typ) && !below)
				if owner, ok := w.stands(n); ok && owner != n && !below {
					w.agree(t, kind, chain, all, some, "wildcard "+n+" "+owner[2:], true)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

func (w world) agree(t *testing.T, kind string, chain []string, all, some *Denial, claim string, is bool) {
	t.Helper()
	if got := claims(all, claim) == "proved"; got != is {
		t.Errorf("%s: %s: proved %v, and it is %v:\n%s", kind, claim, got, is, strings.Join(chain, "\n"))
	}
	if claims(some, claim) == "proved" && !is {
		t.Errorf("%s: %s: a part of the chain proves what is not so:\n%s", kind, claim, strings.Join(chain, "\n"))
	}
}
