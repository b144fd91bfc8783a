package lab

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"onoma/delegation"
	"onoma/dns"
	"onoma/zone"
)

// keepChildren has the delegations of a zone follow what the children publish, as
// long as the zone is signed and has any.
func (s *signing) keepChildren(ctx context.Context, op *operator, v *zone.Version) error {
	id := op.id(v.Origin())
	if !op.signs(v) || !op.delegates(v) {
		s.desk.Remove(id)
		return nil
	}
	return s.desk.Set(ctx, delegation.Parent{ID: id, Policy: s.lab.childPolicy(), Keep: s.lab.keepDelegation})
}

// delegates reports whether a zone is one with children: that of a registry, or
// one with a cut.
func (op *operator) delegates(v *zone.Version) bool {
	if op.role != roleAuthority {
		return true
	}
	for n := range v.Nodes() {
		if n.IsCut() {
			return true
		}
	}
	return false
}

// complete adds to what the zone file has what the operator's machines add: where
// children send NOTIFY (RFC 9859 §2.2), and the signals of customers' zones (RFC
// 9615), which come and go by themselves.
func (op *operator) complete(v *zone.Version) (*zone.Version, error) {
	extra, err := op.endpoint(v)
	if err != nil {
		return nil, err
	}
	if head := op.signing().served(op.id(v.Origin())); head != nil && op.role == roleAuthority {
		extra = slices.AppendSeq(extra, signalsIn(head))
	}
	if len(extra) == 0 {
		return v, nil
	}
	return build(v.Origin(), slices.AppendSeq(extra, v.Records()))
}

func (op *operator) endpoint(v *zone.Version) ([]dns.Record, error) {
	if !op.signs(v) || !op.delegates(v) {
		return nil, nil
	}
	policy := op.lab.childPolicy()
	return policy.DSYNC(v.Origin(), delegation.Endpoint{Target: dns.MustName(op.servers[0].name), Port: op.lab.port, TTL: 30})
}

// signalsIn yields the signals of keys that a version has.
func signalsIn(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for r := range v.Records() {
			if (r.Type == dns.TypeCDS || r.Type == dns.TypeCDNSKEY) && r.Name.FirstLabel() == "_dsboot" && !yield(r) {
				return
			}
		}
	}
}

// keepDelegation has a registry's books follow a child: they are the zone file, of
// which the zone is made.
func (l *Lab) keepDelegation(ctx context.Context, o delegation.Order) (zone.Receipt, error) {
	l.change.Lock()
	defer l.change.Unlock()
	op := l.operatorNamed(o.Parent.View)
	e, err := op.edit(o.Parent.Name, func(records []dns.Record) ([]dns.Record, error) { return follow(o, records) })
	if err != nil {
		return zone.Receipt{}, err
	}
	e.by = o.Change().By
	if err := e.commit(ctx); err != nil {
		return zone.Receipt{}, err
	}
	l.resolver.Flush(o.Was.Child, true)
	return e.receipt, nil
}

// follow makes the order's change of the records of a zone, if the delegation is
// still the one that was looked at.
func follow(o delegation.Order, records []dns.Record) ([]dns.Record, error) {
	if !hasJust(records, o.Was.Child, dns.TypeNS, o.Was.NS) || !hasJust(records, o.Was.Child, dns.TypeDS, o.Was.DS) {
		return nil, fmt.Errorf("the delegation of %s: %w", plain(o.Was.Child), zone.ErrConflict)
	}
	records = slices.DeleteFunc(records, func(r dns.Record) bool {
		return slices.ContainsFunc(o.Remove, func(x dns.Record) bool { return sameData(x, r) })
	})
	return append(records, o.Add...), nil
}

// hasJust reports whether a name has exactly these records of a type.
func hasJust(records []dns.Record, name dns.Name, t dns.Type, want []dns.Record) bool {
	n := 0
	for _, r := range records {
		if r.Type != t || !r.Name.Equal(name) {
			continue
		}
		if n++; !slices.ContainsFunc(want, func(x dns.Record) bool { return sameData(x, r) }) {
			return false
		}
	}
	return n == len(want)
}

func sameData(a, b dns.Record) bool {
	return a.Type == b.Type && a.Name.Equal(b.Name) && dns.EqualRData(a.Type, a.Data, b.Data)
}
