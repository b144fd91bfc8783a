package parent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// order is a DS set to be put in place by UPDATE.
type order struct {
	Push
	zone   *watched // only what is immutable: a copy
	parent dns.Name
	ttl    uint32
}

func (w *watched) order() order {
	o := order{zone: &watched{Zone: w.Zone}, parent: w.parent, ttl: 3600}
	if w.Push != nil {
		o.Push = *w.Push
	}
	if o.TTL != 0 {
		o.ttl = o.TTL
	}
	return o
}

// put puts the DS set in place, if it is not, and reads it back. It returns what went wrong.
func (w *Watcher) put(ctx context.Context, o order) string {
	if err := w.putIn(ctx, o); err != nil {
		return why(err)
	}
	return ""
}

func (w *Watcher) putIn(ctx context.Context, o order) error {
	q := question{child: o.zone.ID.Name, server: o.Server}
	now, err := w.dsBy(ctx, transport.TCP, q)
	if err != nil {
		return err
	}
	if o.isDone(now.ds) {
		return nil
	}
	u, err := w.update(ctx, o, now)
	if err != nil {
		return err
	}
	if err := w.sendUpdate(ctx, o, u); err != nil {
		return err
	}
	now, err = w.dsBy(ctx, transport.TCP, q)
	switch {
	case err != nil:
		return err
	case !o.isDone(now.ds):
		return errors.New("it has said yes, but does not have the new DS set")
	}
	return nil
}

// isDone reports whether set is what is wanted.
func (o *order) isDone(set []dns.DS) bool {
	return o.zone.hasAll(set) && !slices.ContainsFunc(set, func(d dns.DS) bool { return !o.zone.isWanted(d) })
}

// update makes the request: the whole set at once, and only if the delegation is there and its DS set still the one that was
// seen (RFC 2136 §2.4.1 to §2.4.3), so that nobody else's change is lost.
func (w *Watcher) update(ctx context.Context, o order, now seen) (*dns.Update, error) {
	child := o.zone.ID.Name
	if i := slices.IndexFunc(now.ds, func(d dns.DS) bool { return !o.zone.isKnown(d) }); i >= 0 && !o.Strangers {
		return nil, fmt.Errorf("it has a DS of no key of the zone (tag %d), which may be another provider's; remove it there, or let strangers be replaced", now.ds[i].KeyTag)
	}
	parent := now.parent
	if parent.IsZero() {
		parent = o.parent
	}
	if parent.IsZero() {
		var err error
		if parent, err = parentOf(ctx, w.direct([]netip.AddrPort{o.Server}), child); err != nil {
			return nil, err
		}
	}
	u := dns.NewUpdate(uint16(rand.Uint32()), parent)
	u.IfRRset(child, dns.TypeNS)
	ttl := o.ttl
	if len(now.ds) == 0 {
		u.IfNoRRset(child, dns.TypeDS)
		ttl = w.firstTTL(ctx, o, child)
	} else if o.TTL == 0 {
		ttl = uint32(now.ttl / time.Second)
	}
	for _, d := range now.ds {
		u.IfRecord(child, dns.TypeDS, d.RData())
	}
	u.DeleteRRset(child, dns.TypeDS)
	for _, d := range o.zone.Wanted.DS {
		u.Add(child, ttl, dns.TypeDS, d.RData())
	}
	return u, nil
}

// firstTTL is the TTL of a DS set where there was none: that of the delegation (RFC 4035 §2.4), unless it is configured.
func (w *Watcher) firstTTL(ctx context.Context, o order, child dns.Name) uint32 {
	if o.TTL != 0 {
		return o.TTL
	}
	m, err := w.send(ctx, transport.TCP, o.Server, query(dns.Question{Name: child, Type: dns.TypeNS, Class: dns.ClassIN}))
	if err == nil {
		for _, r := range slices.Concat(m.Authority, m.Answer) {
			if r.Type == dns.TypeNS && r.Name.Equal(child) {
				return r.TTL
			}
		}
	}
	return o.ttl
}

// sendUpdate sends a request, signed (RFC 8945), and reads the answer.
func (w *Watcher) sendUpdate(ctx context.Context, o order, u *dns.Update) error {
	request, err := u.Append(nil)
	if err != nil {
		return err
	}
	var key dns.TSIGKey
	ok := false
	if w.options.Keys != nil {
		key, ok = w.options.Keys(o.Key)
	}
	if !ok {
		return fmt.Errorf("the key %s is not known", o.Key)
	}
	request, mac, err := dns.SignTSIG(request, key, time.Now(), nil)
	if err != nil {
		return err
	}
	reply, err := w.exchangeIn(ctx, transport.TCP, o.Server, request)
	if err != nil {
		return err
	}
	m, err := parsed(reply)
	switch {
	case err != nil:
		return err
	case m.RCode == dns.RCodeNoError:
		return checked(reply, key, mac)
	case m.RCode == dns.RCodeNXRRSet || m.RCode == dns.RCodeYXRRSet:
		return errors.New("the delegation or its DS set has changed meanwhile, or there is no delegation")
	}
	return errors.New("it answers " + verdict(m))
}

// checked checks the signature of an answer that says yes.
func checked(reply []byte, key dns.TSIGKey, mac []byte) error {
	s, err := dns.NewTSIGStream(key, mac)
	if err == nil {
		_, err = s.Verify(reply, time.Now())
	}
	if err == nil {
		err = s.Complete()
	}
	if err != nil {
		return errors.New("its answer is not signed as it should be")
	}
	return nil
}
