package year

import (
	"context"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/zone"
	"onoma/zone/sign"
)

const dsTTL = 3600

func (w *world) beginParent() {
	w.Helper()
	var err error
	if w.parentKey, err = dnssec.GenerateKey(nil, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP); err != nil {
		w.Fatal(err)
	}
	w.parentPlan = &sign.Plan{
		Keys: []sign.Key{{Key: w.parentKey, SignsKeys: true, SignsZone: true}}, Apex: []dns.Record{w.anchor()},
		Denial: sign.Denial{Kind: sign.NSEC}, Validity: 30 * 24 * time.Hour, Skew: time.Hour,
	}
	w.publishParent()
	for range 2 {
		w.parentAt = append(w.parentAt, newServer(parentName, w.parents[0].v))
	}
}

// anchor is what resolvers trust.
func (w *world) anchor() dns.Record {
	return dns.Record{Name: parentName, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: w.parentKey.RData()}
}

// publishParent makes the parent's zone anew with the DS that it has now.
func (w *world) publishParent() {
	w.Helper()
	v := w.parse(parentName, parentText)
	e := v.Edit()
	for _, d := range w.ds {
		if _, err := e.Add(dns.Record{Name: childName, Type: dns.TypeDS, Class: dns.ClassIN, TTL: dsTTL, Data: d.RData()}); err != nil {
			w.Fatal(err)
		}
	}
	bare, err := e.Commit()
	if err != nil {
		w.Fatal(err)
	}
	signed, _, err := w.parentPlan.Whole(context.Background(), bare, w.now)
	if err != nil {
		w.Fatal(err)
	}
	w.parents = append(w.parents, published{w.now, signed})
	w.resigned = w.now
}

// parent looks at the CDS that all servers of the child have, and does what they say after its delay.
func (w *world) parent(now time.Time) {
	wanted, agreed := w.servedDS()
	if agreed && !equalDS(wanted, w.dsWanted) {
		w.dsWanted, w.dsDue = wanted, now.Add(parentDelay)
	}
	if !w.dsDue.IsZero() && !now.Before(w.dsDue) {
		w.ds, w.dsDue = w.dsWanted, time.Time{}
		w.publishParent()
	}
	if now.Sub(w.resigned) > 7*24*time.Hour {
		w.publishParent()
	}
	for i, s := range w.parentAt {
		at := now.Add(-time.Duration(i) * parentLag)
		for _, p := range slices.Backward(w.parents) {
			if !p.at.After(at) {
				if s.zone.Latest() != p.v {
					s.zone.Publish(p.v)
				}
				break
			}
		}
	}
	if len(w.parents) > 3 {
		w.parents = w.parents[1:]
	}
}

// takeDS is what somebody does who takes the DS away without a word.
func (w *world) takeDS() {
	w.Helper()
	w.ds = nil
	w.publishParent()
}

// bringDS is what a person does who reads which DS the parent should have.
func (w *world) bringDS() {
	w.Helper()
	view, _ := w.keeper.View(w.id, time.Time{})
	if w.ds = slices.Clone(view.Wanted.DS); len(w.ds) == 0 {
		w.Errorf("%v: there is no DS to be brought\n%s", w.clock(), w.waits())
	}
	w.publishParent()
}

// servedDS reads CDS from all servers of the child; what it has been told stays where they don't agree or say nothing.
func (w *world) servedDS() (ds []dns.DS, agreed bool) {
	for i, s := range w.servers {
		set, ok := s.zone.Latest().Apex().RRset(dns.TypeCDS)
		if !ok {
			return nil, false
		}
		var here []dns.DS
		for data := range set.RData() {
			d, err := dns.ParseDS(dns.RData(data))
			if err != nil {
				w.Fatal(err)
			}
			if !dnssec.IsCDSDelete(dns.RData(data)) {
				here = append(here, d)
			}
		}
		if i > 0 && !equalDS(here, ds) {
			return nil, false
		}
		ds = here
	}
	return ds, true
}

func equalDS(a, b []dns.DS) bool {
	return slices.EqualFunc(a, b, func(a, b dns.DS) bool { return string(a.RData()) == string(b.RData()) })
}

// Want, Seen and Forget make the world the signer's view of the parent.
func (w *world) Want(zone.ID, signer.Wish) {}
func (w *world) Forget(zone.ID)            {}

func (w *world) Seen(zone.ID) keys.Parent {
	p := keys.Parent{At: w.clock(), Asked: len(w.parentAt), Answered: len(w.parentAt), TTL: dsTTL * time.Second, NegativeTTL: 10 * time.Minute}
	for _, s := range w.parentAt {
		set, ok := s.zone.Latest().Find([]byte(childName.Wire())).RRset(dns.TypeDS)
		if !ok {
			continue
		}
		for data := range set.RData() {
			d, err := dns.ParseDS(dns.RData(data))
			if err != nil {
				w.Fatal(err)
			}
			i := slices.IndexFunc(p.DS, func(s keys.SeenDS) bool { return string(s.DS.RData()) == string(d.RData()) })
			if i < 0 {
				p.DS, i = append(p.DS, keys.SeenDS{DS: d}), len(p.DS)
			}
			p.DS[i].Servers++
		}
	}
	return p
}
