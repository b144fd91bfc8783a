package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"onoma/console"
	"onoma/dns"
	"onoma/zone"
)

// RecordChange is what a hosting panel sends.
type RecordChange = console.RecordChange

// Record changes a customer's zone at every provider that serves it. Where a
// domain is registered for the lab's providers and they have no zone of it yet,
// they make one. The change is on disk and served when it returns; the text
// tells what was done.
func (l *Lab) Record(ctx context.Context, c RecordChange) (string, error) {
	rc, err := parseRecord(c)
	if err != nil {
		return "", err
	}
	l.change.Lock()
	defer l.change.Unlock()
	place, err := l.place(rc.name)
	if err != nil {
		return "", err
	}
	var edits []*edited
	for _, op := range place.operators {
		e, err := place.edit(op, rc.apply)
		if err != nil {
			return "", err
		}
		edits = append(edits, e)
	}
	for _, e := range edits {
		if err := e.commit(ctx); err != nil {
			return "", fmt.Errorf("at %s: %w", e.op.name, err)
		}
	}
	l.saveState()
	return fmt.Sprintf("%s (in the zone %s%s at %s). %s", rc.done, plain(place.zone), place.note, place.names(), l.forget(place.zone, c.KeepCache)), nil
}

// recordChange is a RecordChange that makes sense.
type recordChange struct {
	name        dns.Name
	typ         dns.Type
	data        dns.RData // nil: delete all
	ttl         *uint32   // nil: as before
	add, delete bool
	done        string // by apply: what was done
}

func parseRecord(c RecordChange) (*recordChange, error) {
	name, err := dns.ParseNameIDNA(strings.TrimSpace(c.Name))
	if err != nil {
		return nil, fmt.Errorf("%q is not a domain name: %w", c.Name, err)
	}
	typ, ok := dns.ParseType(strings.TrimSpace(c.Type))
	if !ok {
		return nil, fmt.Errorf("%q is not a type of record: expected one as in A, MX or TXT", c.Type)
	}
	rc := &recordChange{name: name.Fold(), typ: typ, ttl: c.TTL, add: c.Add, delete: c.Delete}
	switch {
	case typ.IsMeta():
		return nil, fmt.Errorf("%s exists in questions only: expected a type that a zone can hold", typ)
	case typ == dns.TypeSOA:
		return nil, fmt.Errorf("the SOA record is kept by the provider, who counts its serial")
	case c.TTL != nil && *c.TTL > dns.MaxTTL:
		return nil, fmt.Errorf("a TTL of %d seconds: expected at most %d", *c.TTL, dns.MaxTTL)
	case c.Add && c.Delete:
		return nil, fmt.Errorf("a record cannot be added and deleted at once")
	case strings.ContainsFunc(c.Data, unicode.IsControl):
		return nil, fmt.Errorf("the data has a control character in it: expected one line of text")
	case c.Delete && strings.TrimSpace(c.Data) == "":
		return rc, nil
	}
	rc.data, err = dns.ParseRDataString(typ, c.Data, dns.Root)
	if err != nil {
		return nil, fmt.Errorf("the data of the %s record: %w", typ, err)
	}
	return rc, nil
}

// apply edits the records of the customer's zone.
func (rc *recordChange) apply(records []dns.Record) ([]dns.Record, error) {
	ttl, before := apexTTL(records), 0
	same := func(r dns.Record) bool { return r.Type == rc.typ && r.Name.Equal(rc.name) }
	for _, r := range records {
		if same(r) {
			ttl, before = r.TTL, before+1
		}
	}
	if rc.ttl != nil {
		ttl = *rc.ttl
	}
	if rc.delete {
		return rc.remove(records)
	}
	added := dns.Record{Name: rc.name, Type: rc.typ, Class: dns.ClassIN, TTL: ttl, Data: rc.data}
	switch {
	case before == 0:
		rc.done = "added " + line(added)
	case rc.add:
		rc.done = fmt.Sprintf("added %s, beside %d", line(added), before)
		// RFC 2181 §5.2: the TTLs of an RRset are the same.
		for i := range records {
			if same(records[i]) {
				records[i].TTL = ttl
			}
		}
		records = slices.DeleteFunc(records, func(r dns.Record) bool { return same(r) && string(r.Data) == string(rc.data) })
	default:
		rc.done = fmt.Sprintf("changed to %s, in the place of %d", line(added), before)
		records = slices.DeleteFunc(records, same)
	}
	return append(records, added), nil
}

func (rc *recordChange) remove(records []dns.Record) ([]dns.Record, error) {
	n := len(records)
	records = slices.DeleteFunc(records, func(r dns.Record) bool {
		return r.Type == rc.typ && r.Name.Equal(rc.name) && (rc.data == nil || string(r.Data) == string(rc.data))
	})
	if n == len(records) {
		return nil, fmt.Errorf("there is no such record: %s %s", plain(rc.name), rc.typ)
	}
	rc.done = fmt.Sprintf("deleted %d of %s %s", n-len(records), plain(rc.name), rc.typ)
	return records, nil
}

func line(r dns.Record) string {
	return fmt.Sprintf("%s %d %s %s", r.Name, r.TTL, r.Type, r.Data.Text(r.Type))
}

// place is where a name's records are: a zone, and who serves it.
type place struct {
	zone      dns.Name
	operators []*operator
	missing   []dns.Name // name servers for a zone that is to be made; else nil
	note      string
}

// place finds the zone that a name belongs to. Below the registries what counts
// is who the delegation names, not who still has an old copy.
func (l *Lab) place(name dns.Name) (*place, error) {
	deepest, holders := l.holders(name)
	if name.NumLabels() < 2 || !isHosted(plain(topOf(name))) {
		if holders == nil {
			return nil, fmt.Errorf("no provider of the lab serves %s", plain(name))
		}
		return &place{zone: deepest, operators: holders}, nil
	}
	domain := name.Ancestor(name.NumLabels() - 2)
	if holders != nil && deepest.NumLabels() > domain.NumLabels() {
		return &place{zone: deepest, operators: holders}, nil
	}
	ns, err := l.delegatedTo(domain)
	if err != nil {
		return nil, err
	}
	return l.placeAt(domain, ns)
}

func topOf(name dns.Name) dns.Name { return name.Ancestor(name.NumLabels() - 1) }

// delegatedTo returns the name servers that the registry has for a domain.
func (l *Lab) delegatedTo(domain dns.Name) ([]dns.Name, error) {
	tld := topOf(domain)
	op := l.operatorOf(tld)
	v, err := readZone(op.file(tld), tld)
	if err != nil {
		return nil, err
	}
	ns := delegationNS(slices.Collect(v.Records()), domain)
	if len(ns) == 0 {
		return nil, fmt.Errorf("%s is not registered: do that first, as in: onoma lab register %s --ns ns1.acropolis-dns.net,ns2.acropolis-dns.org", plain(domain), plain(domain))
	}
	return ns, nil
}

// placeAt picks those of the lab's providers that the delegation names and that
// have the zone, or else all that it names, to make the zone there.
func (l *Lab) placeAt(domain dns.Name, ns []dns.Name) (*place, error) {
	p := &place{zone: domain}
	var named []*operator
	for _, op := range l.operators {
		if op.role != console.RoleAuthority || !slices.ContainsFunc(ns, op.runs) {
			continue
		}
		named = append(named, op)
		if op.hosts(domain) {
			p.operators = append(p.operators, op)
		}
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("%s is served by %s, and none of them is a provider of the lab: its records are changed there", plain(domain), joinNames(ns))
	}
	if p.operators == nil {
		p.operators, p.missing, p.note = named, ns, ", new,"
	}
	return p, nil
}

// holders returns the deepest zone that name is in at any provider, and those
// who have it.
func (l *Lab) holders(name dns.Name) (deepest dns.Name, ops []*operator) {
	for n := name; !n.IsZero(); n = n.Parent() {
		for _, op := range l.operators {
			if op.role == console.RoleAuthority && op.hosts(n) {
				ops = append(ops, op)
			}
		}
		if ops != nil {
			return n, ops
		}
	}
	return dns.Name{}, nil
}

// edit prepares the change at one of the place's operators.
func (p *place) edit(op *operator, change func([]dns.Record) ([]dns.Record, error)) (*edited, error) {
	if p.missing == nil {
		return op.edit(p.zone, change)
	}
	records, err := change(newZone(p.zone, p.missing))
	if err != nil {
		return nil, err
	}
	var v *zone.Version
	if v, err = build(p.zone, records); err != nil {
		return nil, err
	}
	return &edited{op: op, version: v, by: op.author()}, nil
}

func (p *place) names() string {
	names := make([]string, len(p.operators))
	for i, op := range p.operators {
		names[i] = op.name
	}
	return strings.Join(names, " and ")
}

// newZone is what a provider begins a customer's zone with.
func newZone(origin dns.Name, ns []dns.Name) []dns.Record {
	const ttl = 30
	mailbox, err := ns[0].Parent().Child("hostmaster")
	if err != nil {
		mailbox = ns[0] // its name is about as long as names can be
	}
	soa := dns.SOA{MName: ns[0], RName: mailbox, Serial: 1, Refresh: 7200, Retry: 900, Expire: 1209600, Minimum: 5}
	records := []dns.Record{{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: ttl, Data: soa.RData()}}
	for _, n := range ns {
		records = append(records, dns.Record{Name: origin, Type: dns.TypeNS, Class: dns.ClassIN, TTL: ttl, Data: dns.NewTarget(n)})
	}
	return records
}
