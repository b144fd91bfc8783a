package resolver

import (
	"context"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
)

// settle has the cache remember what was found of an answer, so that what it is
// made of is not judged again: was is the answer as it was judged, kept what is
// left of it.
//
// What is insecure for a reason that clients are told is not noted: the reason is
// found anew each time, at no cost.
func (in *inquiry) settle(was, kept *iterator.Answer, judged validator.Result) {
	if judged.EDE != (dns.EDE{}) || in.verdicts != in.r.verdicts.Load() {
		return
	}
	v := verified{kept, judged.Sets}
	for i := range was.Chain {
		from := i
		if isSynthetic(was.Chain, i) {
			from = i - 1
		}
		s, ok := v.find(&was.Chain[from])
		if !ok {
			continue
		}
		set := &was.Chain[i]
		now := in.r.now()
		in.r.iterator.Cache.SettleRRset(set.Name, set.Type, in.finding(was.Chain[from:i+1], kept.Chain[from:i+1], s.Status, now), now)
	}
	in.settleNegative(was, kept, judged.Status)
}

// settleNegative does that for the proof that there is no data. Behind an alias it
// is not known to be insecure: the alias may be.
func (in *inquiry) settleNegative(was, kept *iterator.Answer, status validator.Status) {
	name := in.q.Name
	if n := len(was.Chain); n > 0 {
		last := &was.Chain[n-1]
		if last.Type != dns.TypeCNAME || in.q.Type == dns.TypeCNAME || status != validator.Secure {
			return
		}
		name = last.Data[0].Target(dns.TypeCNAME)
	}
	if len(was.Authority) == 0 || !was.Local.IsZero() {
		return
	}
	now := in.r.now()
	f := in.finding(was.Authority, kept.Authority, status, now)
	if was.RCode == dns.RCodeNXDomain {
		in.r.iterator.Cache.SettleNXDomain(name, f, now)
		return
	}
	in.r.iterator.Cache.SettleNoData(name, in.q.Type, f, now)
}

// finding puts into the cache's terms what was found of an entry.
func (in *inquiry) finding(was, kept []cache.RRset, status validator.Status, now uint32) cache.Finding {
	f := cache.Finding{Status: cache.Insecure, Was: was, Kept: kept, Expire: now + dns.MaxTTL}
	if status == validator.Secure {
		f.Status = cache.Secure
		for _, set := range kept {
			f.Expire = min(f.Expire, now+set.TTL)
			for _, p := range set.Proof {
				f.Expire = min(f.Expire, now+p.TTL)
			}
		}
	}
	return f
}

// learn takes what proves something of other names (RFC 8198). An SOA is kept for
// as long as a negative answer may be (RFC 2308 §5, RFC 9077 §3).
func (r *Resolver) learn(ctx context.Context, p validator.Proven) {
	in := ctx.Value(inquiryKey{}).(*inquiry)
	if in.verdicts != r.verdicts.Load() {
		return
	}
	ttl := min(p.TTL, uint32(r.cfg.Limits.MaxNegativeTTL/time.Second))
	if soa, err := dns.ParseSOA(p.Set.RData[0]); p.Set.Type == dns.TypeSOA && err == nil {
		ttl = min(ttl, soa.Minimum)
	}
	set := &cache.RRset{Name: p.Set.Owner, Type: p.Set.Type, Data: p.Set.RData, Sigs: []dns.RData{p.Sig.RData()}}
	now := r.now()
	r.iterator.Cache.PutProven(p.Zone, set, now, now+ttl)
}
