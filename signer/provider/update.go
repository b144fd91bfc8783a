package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Wanted is what a provider's server should have of ours.
type Wanted struct {
	Own     []dns.DNSKEY // all keys of this server, those that have gone too
	Keys    []dns.DNSKEY // of these, those in its DNSKEY set
	CDS     []dns.DS     // its whole CDS and CDNSKEY sets: with those of the provider's keys, for a parent believes what it reads
	CDNSKEY []dns.DNSKEY
}

// Order is what an UPDATE has to change at a server.
type Order struct {
	Add, Remove []dns.Record
}

// IsEmpty reports whether all is as it should be.
func (o *Order) IsEmpty() bool { return len(o.Add)+len(o.Remove) == 0 }

// Missing compares what a server has said, and that was judged, with what it should have of ours. Keys that are not ours are
// left alone.
func (w *Wanted) Missing(s *Said, a *Answer, zone dns.Name) (o Order) {
	rdata := func(all []dns.DNSKEY) (out []dns.RData) {
		for _, k := range all {
			out = append(out, k.RData())
		}
		return out
	}
	ours := rdata(w.Own)
	o.compare(&s.Keys, zone, dns.TypeDNSKEY, rdata(w.Keys), func(d dns.RData) bool { return holds(ours, d) }, s.Keys.TTL)
	if !w.isWhole(a, zone) {
		return o
	}
	var cds []dns.RData
	for _, d := range w.CDS {
		cds = append(cds, d.RData())
	}
	o.compare(&s.CDS, zone, dns.TypeCDS, cds, func(data dns.RData) bool {
		d, err := dns.ParseDS(data)
		return err == nil && slices.ContainsFunc(w.Own, func(k dns.DNSKEY) bool { return dnssec.MatchDS(zone, k, d) })
	}, s.Keys.TTL)
	o.compare(&s.CDNSKEY, zone, dns.TypeCDNSKEY, rdata(w.CDNSKEY), func(d dns.RData) bool { return holds(ours, d) }, s.Keys.TTL)
	return o
}

// isWhole: the CDS set has the provider's keys, too. With one that has ours alone a parent would take away the DS of its.
func (w *Wanted) isWhole(a *Answer, zone dns.Name) bool {
	n := 0
	for _, k := range a.Keys {
		if !k.WantsDS || !k.SignsKeys || has(w.Own, k.Key) {
			continue
		}
		if !slices.ContainsFunc(w.CDS, func(d dns.DS) bool { return dnssec.MatchDS(zone, k.Key, d) }) {
			return false
		}
		n++
	}
	return n > 0
}

// compare adds what is wanted and not there, and removes what is there and ours, but not wanted.
func (o *Order) compare(there *Set, zone dns.Name, t dns.Type, want []dns.RData, isOurs func(dns.RData) bool, ttl uint32) {
	for _, d := range want {
		if !holds(there.RData, d) {
			o.Add = append(o.Add, dns.Record{Name: zone, Type: t, Class: dns.ClassIN, TTL: ttl, Data: d})
		}
	}
	for _, d := range there.RData {
		if isOurs(d) && !holds(want, d) {
			o.Remove = append(o.Remove, dns.Record{Name: zone, Type: t, Class: dns.ClassIN, Data: d})
		}
	}
}

func holds(all []dns.RData, d dns.RData) bool {
	return slices.ContainsFunc(all, func(o dns.RData) bool { return string(o) == string(d) })
}

// Update has a server do what is ordered (RFC 2136), signed with its TSIG key.
func (a *Asker) Update(ctx context.Context, s *Server, zone dns.Name, o *Order) error {
	if s.Key.IsZero() {
		return errors.New("it is to be changed by UPDATE, and there is no TSIG key for it")
	}
	u := dns.NewUpdate(uint16(rand.Uint32()), zone)
	for i := range o.Remove {
		u.Delete(zone, o.Remove[i].Type, o.Remove[i].Data)
	}
	for i := range o.Add {
		u.Add(zone, o.Add[i].TTL, o.Add[i].Type, o.Add[i].Data)
	}
	request, err := u.Append(nil)
	if err != nil {
		return err
	}
	request, check, err := a.sign(request, s.Key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	reply, err := s.Client.Exchange(ctx, s.Proto, s.Addr, request, nil)
	if err != nil {
		return err
	}
	m, err := dns.ParseMessage(reply.Msg)
	switch {
	case err != nil:
		return errors.New("its answer cannot be read")
	case m.RCode != dns.RCodeNoError:
		return fmt.Errorf("it answers %s to an UPDATE of its DNSKEY, CDS and CDNSKEY sets", m.RCode)
	}
	_, err = check(reply.Msg)
	return err
}

func (a *Asker) patience() time.Duration {
	if a.Timeout <= 0 {
		return patience
	}
	return a.Timeout
}
