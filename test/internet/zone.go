package internet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
	"onoma/zone/sign"
)

// Zone is a zone of the internet, and what is wrong with it.
type Zone struct {
	Name  dns.Name
	Fault string // of Faults; "": nothing is wrong

	parent    *Zone
	children  []*Zone
	algorithm uint8 // 0: unsigned
	denial    sign.Denial
	servers   []nameServer
	operators []*operator
	content   []dns.Record // as its authors write it, without SOA and NS
	questions []dns.Question

	// What faults change.
	soa        string                          // the numbers of its SOA; "": the usual
	atApex     []dns.Name                      // NS set at the apex; nil: the names of servers
	keyFlags   uint16                          // of its key; 0: 257
	signedAt   time.Duration                   // from now
	spare      bool                            // a second key stands at the apex and signs nothing
	edit       func([]dns.Record) []dns.Record // of the signed zone
	delegation func([]dns.Record) []dns.Record // NS set, glue and DS set in the parent
	ds         []dns.Record
}

// HasOptOut says whether some of the zone's denials, or its parent's, prove less than others (RFC 5155 §6).
func (z *Zone) HasOptOut() bool {
	return z.denial.OptOut || z.parent != nil && z.parent.denial.OptOut
}

// IsIsland says whether the zone is signed and one above it is not, so that nothing vouches for it.
func (z *Zone) IsIsland() bool {
	for above := z.parent; above != nil; above = above.parent {
		if above.algorithm == 0 {
			return z.algorithm != 0
		}
	}
	return false
}

// key is what signs: few keys serve all zones, since making one takes longer than signing a zone.
type key struct {
	algorithm uint8
	flags     uint16
	n         int
}

type keys map[key]*dnssec.Key

// get makes the key where it is asked for the first time.
func (k *keys) get(want key) (*dnssec.Key, error) {
	if *k == nil {
		*k = keys{}
	}
	if have := (*k)[want]; have != nil {
		return have, nil
	}
	bits := 0
	if want.algorithm <= dnssec.RSASHA512 {
		bits = 1024
	}
	made, err := dnssec.GenerateKey(nil, want.algorithm, bits, want.flags)
	if err != nil {
		return nil, fmt.Errorf("making a key of %s: %w", dnssec.AlgorithmName(want.algorithm), err)
	}
	(*k)[want] = made
	return made, nil
}

// add adds records in the form of a zone file, with names below the zone's: "www 300 A 192.0.2.1".
func (z *Zone) add(owner string, ttl uint32, t dns.Type, data string) *Zone {
	z.content = append(z.content, z.record(owner, ttl, t, data))
	return z
}

func (z *Zone) record(owner string, ttl uint32, t dns.Type, data string) dns.Record {
	rdata, err := dns.ParseRDataString(t, data, z.Name)
	if err != nil {
		panic(fmt.Sprintf("%s %s %s of %s: %v", owner, t, data, z.Name, err)) // a constant of this package
	}
	return dns.Record{Name: z.at(owner), Type: t, Class: dns.ClassIN, TTL: ttl, Data: rdata}
}

// at is a name below the zone's; "" is the apex.
func (z *Zone) at(owner string) dns.Name {
	if owner == "" {
		return z.Name
	}
	n, err := dns.ParseNameIn(owner, z.Name)
	if err != nil {
		panic(fmt.Sprintf("name %s in %s: %v", owner, z.Name, err))
	}
	return n
}

// ask adds a question about the zone.
func (z *Zone) ask(owner string, types ...dns.Type) *Zone {
	for _, t := range types {
		z.questions = append(z.questions, dns.Question{Name: z.at(owner), Type: t, Class: dns.ClassIN})
	}
	return z
}

// build makes all zones, children first, since their DS records stand in their parents.
func (n *Internet) build(ctx context.Context) error {
	now := time.Now()
	all := slices.Concat(n.Zones, n.deeper, n.tlds, []*Zone{n.root})
	slices.SortStableFunc(all, func(a, b *Zone) int { return b.Name.NumLabels() - a.Name.NumLabels() })
	for _, z := range all {
		v, err := n.version(ctx, z, now)
		if err != nil {
			return fmt.Errorf("making zone %s (%s): %w", z.Name, z.Fault, err)
		}
		served := zone.New(z.Name)
		served.Publish(v)
		for _, op := range z.operators {
			op.auth.AddZone(served)
		}
	}
	return nil
}

func (n *Internet) version(ctx context.Context, z *Zone, now time.Time) (*zone.Version, error) {
	v, err := compose(z, z.unsigned())
	if err != nil || z.algorithm == 0 {
		return v, err
	}
	flags := z.keyFlags
	if flags == 0 {
		flags = dns.DNSKEYZone | dns.DNSKEYSEP
	}
	k, err := n.keys.get(key{z.algorithm, flags, 0})
	if err != nil {
		return nil, err
	}
	p := &sign.Plan{Keys: []sign.Key{{Key: k, SignsKeys: true, SignsZone: true}}, Denial: z.denial, Skew: time.Hour}
	p.Apex = []dns.Record{z.keyRecord(k)}
	if z.spare {
		other, err := n.keys.get(key{z.algorithm, flags, 1})
		if err != nil {
			return nil, err
		}
		p.Apex = append(p.Apex, z.keyRecord(other))
	}
	v, _, err = p.Whole(ctx, v, now.Add(z.signedAt))
	if err != nil {
		return nil, err
	}
	ds, err := dnssec.MakeDS(z.Name, k.DNSKEY(), dnssec.DigestSHA256)
	if err != nil {
		return nil, err
	}
	z.ds = []dns.Record{{Name: z.Name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 3600, Data: ds.RData()}}
	if z.edit == nil {
		return v, nil
	}
	return compose(z, z.edit(slices.Collect(v.Records())))
}

func (z *Zone) keyRecord(k *dnssec.Key) dns.Record {
	return dns.Record{Name: z.Name, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()}
}

// compose makes a version of records. What is found to be wrong with them is meant.
func compose(z *Zone, records []dns.Record) (*zone.Version, error) {
	b := zone.NewBuilder(z.Name)
	for _, r := range records {
		if err := b.Add(r); err != nil {
			return nil, fmt.Errorf("adding %s: %w", r, err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		return nil, fmt.Errorf("it cannot be served: %v", findings)
	}
	return v, nil
}

// unsigned is all that the zone has but for DNSSEC, delegations included.
func (z *Zone) unsigned() []dns.Record {
	numbers := z.soa
	if numbers == "" {
		numbers = "1 3600 600 86400 60"
	}
	list := []dns.Record{z.record("", 3600, dns.TypeSOA, "ns.invalid. hostmaster.invalid. "+numbers)}
	names := z.atApex
	if names == nil {
		for _, s := range z.servers {
			names = append(names, s.name)
		}
	}
	for _, name := range names {
		list = append(list, dns.Record{Name: z.Name, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 3600, Data: dns.NewTarget(name)})
	}
	list = append(list, z.addresses(z.Name)...)
	list = append(list, z.content...)
	for _, child := range z.children {
		list = append(list, child.cut()...)
	}
	return list
}

// addresses are those of its servers that have names below a name.
func (z *Zone) addresses(below dns.Name) (list []dns.Record) {
	for _, s := range z.servers {
		if s.addr.IsValid() && s.name.IsSubdomainOf(below) {
			t, data := dns.NewAddr(s.addr)
			list = append(list, dns.Record{Name: s.name, Type: t, Class: dns.ClassIN, TTL: 3600, Data: data})
		}
	}
	return list
}

// cut is what the zone's parent has of it: the NS set, glue below the cut, and the DS set (RFC 9471 §2.1).
func (z *Zone) cut() (list []dns.Record) {
	for _, s := range z.servers {
		list = append(list, dns.Record{Name: z.Name, Type: dns.TypeNS, Class: dns.ClassIN, TTL: 3600, Data: dns.NewTarget(s.name)})
	}
	list = append(list, z.addresses(z.Name)...)
	list = append(list, z.ds...)
	if z.delegation != nil {
		list = z.delegation(list)
	}
	return list
}
