package sign

import (
	"bytes"
	"context"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Survey walks v, which is signed, and says what is to be signed anew: by limit, the
// first so many sets. Whether signatures are right is not looked at, and neither is
// the chain. ctx ends it early; what it says is then not complete.
func (p *Plan) Survey(ctx context.Context, v *zone.Version, at time.Time, limit int) Survey {
	s := &signing{plan: p, at: at, origin: v.Origin()}
	y := &survey{signing: s, limit: limit, isComplete: true, by: make(map[keyID]*SignedBy)}
	for i := range p.Keys {
		k := &p.Keys[i]
		y.by[keyID{k.Tag(), k.Algorithm()}] = &SignedBy{Tag: k.Tag(), Algorithm: k.Algorithm(), InPlan: true}
	}
	if _, isSigned := v.SOA().Sigs(); isSigned != p.isSigned() {
		y.isComplete = false
	}
	y.walk(ctx, v)
	return y.result()
}

type keyID struct {
	tag       uint16
	algorithm uint8
}

// survey is a walk. It does not allocate by name.
type survey struct {
	*signing
	limit      int
	out        Survey
	isComplete bool
	by         map[keyID]*SignedBy
	last       *SignedBy
	first      int64 // expiration
	next       int64
	name       []byte
	hiding     []byte
}

func (y *survey) walk(ctx context.Context, v *zone.Version) {
	top := []byte(y.origin.Wire())
	y.look(v, v.Apex())
	n := 0
	for node := range v.After(top, false) {
		if n++; n%(1<<14) == 0 && ctx.Err() != nil {
			y.isComplete = false
			return
		}
		y.look(v, node)
	}
	for node := range v.NSEC3Owners() {
		y.lookHashed(node)
	}
}

func (y *survey) look(v *zone.Version, node zone.Node) {
	if node.IsENT() {
		return
	}
	y.name = node.AppendName(y.name[:0])
	if len(y.hiding) > 0 && isBelow(y.name, y.hiding) {
		return
	}
	if isHiding(node) {
		y.hiding = append(y.hiding[:0], y.name...)
	}
	cut := node.IsCut()
	if cut && !node.HasDS() && y.plan.Denial.Kind != NSEC {
		return
	}
	for set := range node.RRsets() {
		t := set.Type()
		if !y.plan.isSigned() || cut && t != dns.TypeDS && t != dns.TypeNSEC {
			continue
		}
		y.set(set)
	}
}

func (y *survey) lookHashed(node zone.Node) {
	y.name = node.AppendName(y.name[:0])
	for set := range node.RRsets() {
		if set.Type() == dns.TypeNSEC3 {
			y.set(set)
		}
	}
}

// set looks at the signatures of a set.
func (y *survey) set(set zone.RRset) {
	t := set.Type()
	top := len(y.name) == y.origin.Len()
	isKeys := top && isKeyType(t)
	sigs, _ := set.Sigs()
	due, expiring := false, false
	for packed := sigs.Packed(); len(packed) > 0; {
		n := int(packed[0])<<8 | int(packed[1])
		rd := packed[2 : 2+n]
		packed = packed[2+n:]
		by := y.count(rd)
		if !by.InPlan {
			if !isKeys || !y.isGiven(rd) {
				y.add(t, Foreign, &due)
			}
		} else if y.isDue(t, rd) {
			expiring = true
		}
		y.mind(t, rd, due || expiring)
	}
	for i := range y.plan.Keys {
		k := &y.plan.Keys[i]
		if k.signs(t, top) && !isSignedBy(sigs, k) {
			y.add(t, Missing, &due)
		}
	}
	if due {
		y.isComplete = false
	} else if expiring {
		y.add(t, Expiring, &due)
	}
}

// isGiven reports whether a signature is one that was made elsewhere.
func (y *survey) isGiven(rd []byte) bool {
	for i := range y.plan.KeySigs {
		if bytes.Equal(y.plan.KeySigs[i].Data, rd) {
			return true
		}
	}
	return false
}

func isSignedBy(sigs zone.RRset, k *Key) bool {
	for packed := sigs.Packed(); len(packed) > 0; {
		n := int(packed[0])<<8 | int(packed[1])
		if be.Uint16(packed[2+atTag:]) == k.Tag() && packed[2+atAlgorithm] == k.Algorithm() {
			return true
		}
		packed = packed[2+n:]
	}
	return false
}

func (y *survey) count(rd []byte) *SignedBy {
	id := keyID{be.Uint16(rd[atTag:]), rd[atAlgorithm]}
	if y.last == nil || y.last.Tag != id.tag || y.last.Algorithm != id.algorithm {
		by := y.by[id]
		if by == nil {
			by = &SignedBy{Tag: id.tag, Algorithm: id.algorithm}
			y.by[id] = by
		}
		y.last = by
	}
	y.last.Signatures++
	y.out.Signatures++
	return y.last
}

func (y *survey) mind(t dns.Type, rd []byte, isDue bool) {
	end := y.time(be.Uint32(rd[atExpiration:]))
	if y.first == 0 || end < y.first {
		y.first = end
	}
	if due := end - int64(y.plan.refresh(t)/time.Second); !isDue && (y.next == 0 || due < y.next) {
		y.next = due
	}
}

// add notes a set that is due, once.
func (y *survey) add(t dns.Type, why Why, due *bool) {
	if *due {
		return
	}
	*due = true
	y.out.All++
	if len(y.out.Due) < y.limit {
		owner, _ := dns.NameFromWire(y.name)
		y.out.Due = append(y.out.Due, Due{owner, t, why})
	}
}

func (y *survey) result() Survey {
	out := y.out
	out.IsComplete = y.isComplete
	out.Earliest, out.Next = sooner(time.Time{}, y.first), sooner(time.Time{}, y.next)
	for _, by := range y.by {
		if by.Signatures > 0 || by.InPlan {
			out.By = append(out.By, *by)
		}
	}
	slices.SortFunc(out.By, func(a, b SignedBy) int {
		if a.Tag != b.Tag {
			return int(a.Tag) - int(b.Tag)
		}
		return int(a.Algorithm) - int(b.Algorithm)
	})
	return out
}
