package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"onoma/console"
	"onoma/dns"
)

// Registration is what a registrar's panel sends.
type Registration = console.Registration

// maxNS bounds a delegation's name servers; registries have 13.
const maxNS = 13

// Register changes a delegation in the zone of a TLD: it puts the name servers
// given in the place of those that were there, or deletes the delegation. A domain
// that is new gets a zone at its provider. DS records go when the domain moves to
// another provider, whose keys are others. The change is on disk and served when it
// returns; the text tells what was done.
func (l *Lab) Register(ctx context.Context, r Registration) (string, error) {
	d, err := parseDelegation(r)
	if err != nil {
		return "", err
	}
	l.change.Lock()
	defer l.change.Unlock()
	d.keepsDS = func(before []dns.Name) bool {
		return l.providerOf(before) != nil && l.providerOf(before) == l.providerOf(d.ns)
	}
	op := l.operatorOf(d.tld)
	e, err := op.edit(d.tld, d.apply)
	if err != nil {
		return "", err
	}
	begun, err := l.beginZone(ctx, d)
	if err != nil {
		return "", err
	}
	if err := e.commit(ctx); err != nil {
		return "", err
	}
	for _, host := range l.operators {
		if host.role == roleAuthority && host.hosts(d.name) {
			// It may have told the registry before the delegation was there.
			l.signing.parents.again(host.id(d.name))
		}
	}
	return fmt.Sprintf("%s (in the zone %s, serial %d).%s %s", d.done, plain(d.tld), e.receipt.Serial, begun, l.forget(d.name, r.KeepCache)), nil
}

// beginZone has the provider of a domain that was not registered before begin a zone
// of it, where all name servers are that provider's and it has none.
func (l *Lab) beginZone(ctx context.Context, d *domain) (done string, err error) {
	op := l.providerOf(d.ns)
	if !d.isFirst || op == nil || op.hosts(d.name) {
		return "", nil
	}
	e := &edited{op: op, by: op.author()}
	if e.version, err = build(d.name, newZone(d.name, d.ns)); err != nil {
		return "", err
	}
	if err := e.commit(ctx); err != nil {
		return "", fmt.Errorf("at %s: %w", op.name, err)
	}
	l.saveState()
	return fmt.Sprintf(" %s has begun its zone.", op.title), nil
}

// providerOf returns the provider whose name servers all of these are; nil: there is
// no such one.
func (l *Lab) providerOf(ns []dns.Name) *operator {
	for _, op := range l.operators {
		if op.role == roleAuthority && len(ns) > 0 && !slices.ContainsFunc(ns, func(n dns.Name) bool { return !op.runs(n) }) {
			return op
		}
	}
	return nil
}

// forget has the lab's resolver see a change at once, or says when it will.
func (l *Lab) forget(name dns.Name, keep bool) string {
	if keep {
		return "The lab's resolver keeps what it remembers until that expires."
	}
	l.resolver.Flush(name, true)
	return fmt.Sprintf("The lab's resolver has forgotten what it knew of %s.", plain(name))
}

// domain is a Registration that makes sense.
type domain struct {
	name, tld dns.Name
	ns        []dns.Name
	glue      []dns.Record // without TTL
	delete    bool
	keepsDS   func(before []dns.Name) bool // whether the keys stay the same
	isFirst   bool                         // by apply: it was not registered before
	done      string                       // by apply: what was done
}

func parseDelegation(r Registration) (*domain, error) {
	name, err := hostname(r.Name)
	if err != nil {
		return nil, err
	}
	d := &domain{name: name.Fold(), delete: r.Delete}
	if d.tld, err = registryOf(d.name); err != nil {
		return nil, err
	}
	if r.Delete {
		if len(r.NS)+len(r.Glue) > 0 {
			return nil, fmt.Errorf("name servers are given for %s, which is to be deleted: expected one or the other", plain(name))
		}
		return d, nil
	}
	if d.ns, err = parseNS(r.NS); err != nil {
		return nil, err
	}
	return d, d.parseGlue(r.Glue)
}

// registryOf returns the TLD whose registry sells name, or says why none does.
func registryOf(name dns.Name) (dns.Name, error) {
	tld := name.Ancestor(name.NumLabels() - 1)
	if !isHosted(plain(tld)) {
		return tld, fmt.Errorf("the lab has no registry for .%s: expected a name below one of .%s", plain(tld), strings.Join(tldNames, ", ."))
	}
	if name.NumLabels() != 2 {
		return tld, fmt.Errorf("%s is not a name that a registry sells: expected one label before .%s, as in example.%s", plain(name), plain(tld), plain(tld))
	}
	if name.FirstLabel() == "nic" {
		return tld, fmt.Errorf("%s belongs to the registry itself", plain(name))
	}
	return tld, nil
}

// hostname reads a name that a registry would take: letters, digits and hyphens
// (RFC 1123 §2.1), A-labels only where they stand for Unicode (RFC 5891 §4.2).
func hostname(s string) (dns.Name, error) {
	n, err := dns.ParseNameIDNA(strings.TrimSpace(s))
	if err != nil {
		return n, fmt.Errorf("%q is not a domain name: %w", s, err)
	}
	if n.IsRoot() {
		return n, fmt.Errorf("%q is not a domain name that can be registered or serve", s)
	}
	for label := range n.Labels() {
		if !isLDH(label) {
			return n, fmt.Errorf("%q is not a host name: expected letters, digits and inner hyphens in %q", s, label)
		}
		if strings.HasPrefix(strings.ToLower(label), "xn--") {
			if _, err := idna.Registration.ToUnicode(strings.ToLower(label)); err != nil {
				return n, fmt.Errorf("%q is not a host name: %q stands for no internationalised label", s, label)
			}
		}
	}
	return n, nil
}

func isLDH(label string) bool {
	if strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func parseNS(hosts []string) ([]dns.Name, error) {
	var ns []dns.Name
	for _, h := range hosts {
		n, err := hostname(h)
		if err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
		if slices.ContainsFunc(ns, n.Equal) {
			return nil, fmt.Errorf("the name server %s is given twice", plain(n))
		}
		ns = append(ns, n)
	}
	if len(ns) < 1 || len(ns) > maxNS {
		return nil, fmt.Errorf("%d name servers: expected 1 to %d, as in ns1.acropolis-dns.net and ns2.acropolis-dns.org", len(ns), maxNS)
	}
	return ns, nil
}

// parseGlue reads "host=address" and checks that exactly those name servers have
// glue that could not be found without it.
func (d *domain) parseGlue(pairs []string) error {
	var have []dns.Name
	for _, p := range pairs {
		host, address, _ := strings.Cut(p, "=")
		n, err := hostname(host)
		if err != nil {
			return fmt.Errorf("glue: %w", err)
		}
		a, err := netip.ParseAddr(strings.TrimSpace(address))
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("glue %q: expected HOST=ADDRESS, as in ns1.%s=127.53.9.1", p, plain(d.name))
		}
		if !slices.ContainsFunc(d.ns, n.Equal) || !n.IsSubdomainOf(d.name) {
			return fmt.Errorf("glue for %s: expected one of the name servers at or below %s; others have their addresses in zones of their own", plain(n), plain(d.name))
		}
		typ, data := dns.NewAddr(a.Unmap())
		d.glue = append(d.glue, dns.Record{Name: n, Type: typ, Class: dns.ClassIN, Data: data})
		have = append(have, n)
	}
	for _, n := range d.ns {
		if n.IsSubdomainOf(d.name) && !slices.ContainsFunc(have, n.Equal) {
			return fmt.Errorf("%s lies in the domain that it serves, so nobody could find it: expected glue, as in %s=127.53.9.1", plain(n), plain(n))
		}
	}
	return nil
}

// apply edits the records of the TLD's zone.
func (d *domain) apply(records []dns.Record) ([]dns.Record, error) {
	before := delegationNS(records, d.name)
	if d.delete {
		if len(before) == 0 {
			return nil, fmt.Errorf("%s is not registered", plain(d.name))
		}
		if user := dependent(records, d.name); !user.IsZero() {
			return nil, fmt.Errorf("%s has a name server below %s: move that domain first", plain(user), plain(d.name))
		}
		d.done = fmt.Sprintf("deleted %s", plain(d.name))
	} else {
		verb := "registered"
		if len(before) > 0 {
			verb = "changed"
		}
		d.isFirst = len(before) == 0
		d.done = fmt.Sprintf("%s %s, served by %s", verb, plain(d.name), joinNames(d.ns))
	}
	ttl := apexTTL(records)
	keepDS := !d.delete && d.keepsDS(before)
	records = slices.DeleteFunc(records, func(r dns.Record) bool {
		return r.Name.IsSubdomainOf(d.name) && !(keepDS && r.Type == dns.TypeDS)
	})
	for _, n := range d.ns {
		records = append(records, dns.Record{Name: d.name, Type: dns.TypeNS, Class: dns.ClassIN, TTL: ttl, Data: dns.NewTarget(n)})
	}
	for _, g := range d.glue {
		g.TTL = ttl
		records = append(records, g)
	}
	return records, nil
}

// delegationNS returns the name servers that a zone delegates name to.
func delegationNS(records []dns.Record, name dns.Name) []dns.Name {
	var ns []dns.Name
	for _, r := range records {
		if r.Type == dns.TypeNS && r.Name.Equal(name) {
			ns = append(ns, r.Data.Target(dns.TypeNS))
		}
	}
	return ns
}

// dependent returns another delegation of the zone that needs a name server
// below name. A registry does not delete such a domain (RFC 5731 §3.2.2).
func dependent(records []dns.Record, name dns.Name) dns.Name {
	for _, r := range records {
		if r.Type == dns.TypeNS && !r.Name.IsSubdomainOf(name) && r.Data.Target(dns.TypeNS).IsSubdomainOf(name) {
			return r.Name
		}
	}
	return dns.Name{}
}

// apexTTL is the zone's usual TTL: that of its SOA record.
func apexTTL(records []dns.Record) uint32 {
	for _, r := range records {
		if r.Type == dns.TypeSOA {
			return r.TTL
		}
	}
	return 0
}

func joinNames(names []dns.Name) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = plain(n)
	}
	return strings.Join(texts, ", ")
}

// plain writes a name for a person, without the final dot.
func plain(n dns.Name) string {
	if n.IsRoot() {
		return "."
	}
	return strings.TrimSuffix(n.String(), ".")
}
