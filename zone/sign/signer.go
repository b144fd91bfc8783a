package sign

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

var be = binary.BigEndian

// The fields of RRSIG rdata (RFC 4034 §3.1).
const (
	atAlgorithm   = 2
	atLabels      = 3
	atOriginalTTL = 4
	atExpiration  = 8
	atInception   = 12
	atTag         = 16
	atSigner      = 18
)

// signer signs tasks, for one goroutine at a time.
type signer struct {
	s *signing

	made, kept int
	earliest   int64 // expiration; 0: none
	next       int64 // when something is due; 0: never

	data []byte // that is signed
	head []byte // owner, type, class and TTL of each record
	rr   []byte // RRSIG rdata

	chunk []byte // for signatures: what is left of it
	grown int    // how large it was
}

// tell adds what was done to r, and forgets it.
func (g *signer) tell(r *Report) {
	r.Signatures += g.made
	r.Kept += g.kept
	r.Earliest = sooner(r.Earliest, g.earliest)
	r.Next = sooner(r.Next, g.next)
	g.made, g.kept, g.earliest, g.next = 0, 0, 0, 0
}

func sooner(t time.Time, unix int64) time.Time {
	if unix == 0 || !t.IsZero() && t.Unix() <= unix {
		return t
	}
	return time.Unix(unix, 0).UTC()
}

func (g *signer) sign(ctx context.Context, tasks []task) {
	for i := range tasks {
		t := &tasks[i]
		if t.bare || t.drop {
			continue
		}
		if err := ctx.Err(); err != nil {
			t.err = err
			return
		}
		g.signTask(t)
	}
}

// signTask makes the signatures of a set that the plan wants: those that are there
// and good are kept.
func (g *signer) signTask(t *task) {
	top := t.isTop(g.s.origin)
	g.prepare(t)
	t.sigs, t.n = nil, 0
	made := 0
	for i := range g.s.plan.Keys {
		k := &g.s.plan.Keys[i]
		if !k.signs(t.typ, top) {
			continue
		}
		if old := g.good(t, k); old != nil {
			g.take(t, old)
			g.kept++
			continue
		}
		if err := g.make(t, k); err != nil {
			t.err = fmt.Errorf("signing with key %d: %w", k.Tag(), err)
			return
		}
		made++
	}
	g.made += made
	if top && isKeyType(t.typ) {
		g.addKeySigs(t)
	}
	t.asIs = made == 0 && t.there && len(t.sigs) == len(t.old) && isSame(t)
}

// isSame reports whether the signatures are those that were there.
func isSame(t *task) bool {
	same := true
	each(t.sigs, func(rd []byte) bool {
		same = hasPacked(t.old, rd)
		return same
	})
	return same
}

// take adds a signature to those of the set, and minds when it expires.
func (g *signer) take(t *task, rdata []byte) {
	if t.sigs == nil {
		t.sigs = g.room(2 + len(rdata))
	}
	t.sigs = packOne(t.sigs, rdata)
	t.n++
	g.mind(t.typ, rdata)
}

// room returns n octets of a chunk, to be appended to.
func (g *signer) room(n int) []byte {
	if len(g.chunk) < n {
		g.grown = max(n, min(chunkSize, 2*g.grown))
		g.chunk = make([]byte, g.grown)
	}
	b := g.chunk[:0:n]
	g.chunk = g.chunk[n:]
	return b
}

// chunkSize is enough for some hundreds of signatures.
const chunkSize = 1 << 16

func (g *signer) mind(typ dns.Type, rdata []byte) {
	end := g.s.time(be.Uint32(rdata[atExpiration:]))
	if g.earliest == 0 || end < g.earliest {
		g.earliest = end
	}
	if due := end - int64(g.s.plan.refresh(typ)/time.Second); g.next == 0 || due < g.next {
		g.next = due
	}
}

// addKeySigs adds the signatures over the sets of keys that were made elsewhere.
func (g *signer) addKeySigs(t *task) {
	for _, r := range g.s.plan.KeySigs {
		if r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == t.typ && !hasPacked(t.sigs, r.Data) {
			g.take(t, r.Data)
		}
	}
}

// prepare makes what the signatures of a set are over, but for their own rdata:
// the records in canonical form (RFC 4034 §3.1.8.1).
func (g *signer) prepare(t *task) {
	g.head = dns.AppendFolded(g.head[:0], t.owner)
	g.head = be.AppendUint16(g.head, uint16(t.typ))
	g.head = be.AppendUint16(g.head, uint16(g.s.class))
	g.head = be.AppendUint32(g.head, t.ttl)
	g.data = append(g.data[:0], g.s.room...)
	plain := !dns.HasNames(t.typ)
	each(t.rdata, func(rd []byte) bool {
		g.data = append(append(g.data, g.head...), byte(len(rd)>>8), byte(len(rd)))
		if plain {
			g.data = append(g.data, rd...)
		} else {
			g.data = dns.AppendCanonicalRData(g.data, t.typ, rd)
		}
		return true
	})
}

// make makes the signature of the prepared set by k.
func (g *signer) make(t *task, k *Key) error {
	p := g.s.plan
	if !g.s.mayMake(k) {
		return ErrSlow
	}
	end := g.s.at.Add(p.validity(t.typ))
	if j := uint64(p.Jitter / time.Second); j > 0 {
		end = end.Add(-time.Duration(spread(t.owner, t.typ)%j) * time.Second)
	}
	rd := be.AppendUint16(g.rr[:0], uint16(t.typ))
	rd = append(rd, k.Algorithm(), signedLabels(t.owner))
	rd = be.AppendUint32(rd, t.ttl)
	rd = be.AppendUint32(rd, uint32(end.Unix()))
	rd = be.AppendUint32(rd, uint32(g.s.at.Add(-p.Skew-p.Doubt).Unix()))
	rd = be.AppendUint16(rd, k.Tag())
	rd = append(rd, g.s.signer...)
	copy(g.data, rd)
	rd, err := k.Sign(rd, g.data)
	g.rr = rd
	if err != nil {
		return err
	}
	g.take(t, rd)
	return nil
}

// good returns the signature by k that t has and that need not be made anew.
func (g *signer) good(t *task, k *Key) (found []byte) {
	each(t.old, func(rd []byte) bool {
		if g.isGood(t, k, rd) {
			found = rd
			return false
		}
		return true
	})
	return found
}

func (g *signer) isGood(t *task, k *Key, rd []byte) bool {
	n := atSigner + len(g.s.signer)
	if len(rd) <= n || be.Uint16(rd[atTag:]) != k.Tag() || rd[atAlgorithm] != k.Algorithm() ||
		rd[atLabels] != signedLabels(t.owner) || be.Uint32(rd[atOriginalTTL:]) != t.ttl || string(rd[atSigner:n]) != string(g.s.signer) {
		return false
	}
	if g.s.isDue(t.typ, rd) {
		return false
	}
	if t.trusted {
		return true
	}
	copy(g.data, rd[:n])
	return dnssec.Verify(k.Algorithm(), k.DNSKEY().PublicKey, g.data, rd[n:]) == nil
}

// isDue reports whether a signature is not good now, or not for long.
func (s *signing) isDue(typ dns.Type, rd []byte) bool {
	now := s.at.Unix()
	return s.time(be.Uint32(rd[atInception:])) > now-int64(s.plan.Doubt/time.Second) ||
		s.time(be.Uint32(rd[atExpiration:]))-int64(s.plan.refresh(typ)/time.Second) <= now
}

// time returns the time of an RRSIG: seconds since 1970 in serial number arithmetic
// around now (RFC 4034 §3.1.5).
func (s *signing) time(x uint32) int64 {
	now := s.at.Unix()
	return now + int64(int32(x-uint32(now)))
}

// signedLabels counts as RFC 4034 §3.1.3 has it.
func signedLabels(owner []byte) uint8 {
	n := dns.CountLabels(owner)
	if len(owner) > 2 && owner[0] == 1 && owner[1] == '*' {
		n--
	}
	return uint8(n)
}

// spread is FNV-1a of an owner in lower case and a type.
func spread(owner []byte, t dns.Type) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range owner {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ uint64(t>>8)) * 1099511628211
	return (h ^ uint64(t&0xFF)) * 1099511628211
}
