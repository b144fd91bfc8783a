package authority

import (
	"fmt"
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone"
)

// table is the zones that are served, by name: a hash table that readers look
// into while its one writer changes it. They neither lock nor write.
//
// A bucket is one cache line with the zones whose hashes lead to it, as many as
// there is room for; the others are in the buckets behind it, and beyond says
// how many have passed it by. So a zone can go without leaving a mark, and a
// reader knows where to stop. A reader that meets a bucket in the middle of a
// change sees the zone that comes or goes, or does not; every other zone it
// finds, since that one's bucket and the marks on the way to it do not change.
type table struct {
	seed    maphash.Seed
	buckets []bucket                  // a power of two
	lengths [4]atomic.Uint64          // bits for the lengths of names
	only    atomic.Pointer[zone.Zone] // the one zone, where there is just one

	// What follows is the writer's.
	n      int
	counts [dns.MaxNameLen + 1]int32 // zones by the length of their names
}

const perBucket = 5

type bucket struct {
	tags   [perBucket]atomic.Uint32 // parts of the hashes, 0 for none
	beyond atomic.Uint32
	zones  [perBucket]atomic.Pointer[zone.Zone]
}

// newTable returns a table with room for n zones.
func newTable(n int) *table {
	size := 1
	for 4*perBucket*size < 5*n { // full to four fifths at most
		size *= 2
	}
	return &table{seed: maphash.MakeSeed(), buckets: make([]bucket, size)}
}

// enclosing returns the zone with the longest origin that name[from:] is at or
// below, and where in name that origin begins. name is folded.
func (t *table) enclosing(name []byte, from int) (z *zone.Zone, at int) {
	if z := t.only.Load(); z != nil {
		return within(z, name, from)
	}
	for at = from; ; at += int(name[at]) + 1 {
		if n := len(name) - at; t.lengths[n>>6&3].Load()>>(n&63)&1 != 0 {
			if z := t.find(name[at:]); z != nil {
				return z, at
			}
		}
		if name[at] == 0 {
			return nil, 0
		}
	}
}

// within is enclosing for a table of one zone.
func within(z *zone.Zone, name []byte, from int) (*zone.Zone, int) {
	end := len(name) - z.Origin().Len()
	at := from
	for at < end {
		at += int(name[at]) + 1
	}
	if at != end || !isNamed(z, name[at:]) {
		return nil, 0
	}
	return z, at
}

// place returns where a name's hash leads: its bucket and its tag there.
func (t *table) place(name []byte) (i uint64, tag uint32) {
	hash := maphash.Bytes(t.seed, name)
	return hash, uint32(hash>>32) | 1
}

func (t *table) bucket(i uint64) *bucket { return &t.buckets[i&uint64(len(t.buckets)-1)] }

// find returns the zone of that folded name.
func (t *table) find(name []byte) *zone.Zone {
	i, tag := t.place(name)
	for range t.buckets {
		b := t.bucket(i)
		for s := range b.tags {
			if b.tags[s].Load() != tag {
				continue
			}
			if z := b.zones[s].Load(); z != nil && isNamed(z, name) {
				return z
			}
		}
		if b.beyond.Load() == 0 {
			return nil
		}
		i++
	}
	return nil
}

// isNamed reports whether name, which is folded, is z's.
func isNamed(z *zone.Zone, name []byte) bool {
	wire := z.Origin().Wire()
	if string(name) == wire {
		return true
	}
	if len(name) != len(wire) {
		return false
	}
	for i, c := range name {
		w := wire[i] // an octet of length is never in the range of letters
		if 'A' <= w && w <= 'Z' {
			w += 'a' - 'A'
		}
		if c != w {
			return false
		}
	}
	return true
}

// put makes z the zone of its name and returns the one that was. The table must
// have room.
func (t *table) put(z *zone.Zone) (old *zone.Zone) {
	name := []byte(z.Origin().Fold().Wire())
	if b, s := t.slot(name); b != nil {
		old = b.zones[s].Swap(z)
		t.settle(z)
		return old
	}
	i, tag := t.place(name)
	for {
		b := t.bucket(i)
		for s := range b.tags {
			if b.tags[s].Load() == 0 {
				b.zones[s].Store(z)
				b.tags[s].Store(tag)
				t.count(len(name), 1)
				t.settle(z)
				return nil
			}
		}
		b.beyond.Add(1)
		i++
	}
}

// slot returns where the zone of that name is, nil where there is none.
func (t *table) slot(name []byte) (*bucket, int) {
	i, tag := t.place(name)
	for range t.buckets {
		b := t.bucket(i)
		for s := range b.tags {
			if b.tags[s].Load() == tag && isNamed(b.zones[s].Load(), name) {
				return b, s
			}
		}
		if b.beyond.Load() == 0 {
			return nil, 0
		}
		i++
	}
	return nil, 0
}

// remove takes the zone of that folded name out and reports whether it was there.
func (t *table) remove(name []byte) bool {
	at, s := t.slot(name)
	if at == nil {
		return false
	}
	at.tags[s].Store(0)
	at.zones[s].Store(nil)
	t.count(len(name), -1)
	t.only.Store(nil)
	for i, _ := t.place(name); t.bucket(i) != at; i++ {
		t.bucket(i).beyond.Add(^uint32(0))
	}
	return true
}

// count notes that a zone with a name of n octets has come or gone.
func (t *table) count(n int, by int32) {
	t.n += int(by)
	t.counts[n] += by
	bit := uint64(1) << (n & 63)
	if t.counts[n] > 0 {
		t.lengths[n>>6].Or(bit)
	} else {
		t.lengths[n>>6].And(^bit)
	}
}

// settle notes whether z, which is there, is the only zone.
func (t *table) settle(z *zone.Zone) {
	if t.n != 1 {
		z = nil
	}
	t.only.Store(z)
}

// isFull reports whether another zone wants a larger table.
func (t *table) isFull() bool { return 5*(t.n+1) > 4*perBucket*len(t.buckets) }

// isSparse reports whether the table is much too large.
func (t *table) isSparse() bool { return len(t.buckets) > 8 && t.n < len(t.buckets)/2 }

// resized returns the same zones in a table with room for as many again.
func (t *table) resized() *table {
	nt := newTable(max(2*t.n, 4))
	for z := range t.all() {
		nt.put(z)
	}
	return nt
}

// all yields the zones, in no order.
func (t *table) all() iter.Seq[*zone.Zone] {
	return func(yield func(*zone.Zone) bool) {
		for i := range t.buckets {
			b := &t.buckets[i]
			for s := range b.zones {
				if z := b.zones[s].Load(); z != nil && !yield(z) {
					return
				}
			}
		}
	}
}

// zones is the table in use, and who may change it.
type zones struct {
	mu      sync.Mutex // held by who changes the table or makes the next one
	current atomic.Pointer[table]
}

// SetZones makes zs the zones that are served, all at once. Two zones of one
// name are an error, and then nothing changes.
//
// A zone without a version, because it has expired or could not be loaded, is
// this server's business nevertheless: its names get SERVFAIL, not REFUSED.
func (s *Server) SetZones(zs ...*zone.Zone) error {
	t := newTable(len(zs))
	for _, z := range zs {
		if t.put(z) != nil {
			return fmt.Errorf("two zones are named %s, expected one", z.Origin())
		}
	}
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.current.Store(t)
	return nil
}

// AddZone serves z too, in the place of an earlier zone of its name. What it
// costs does not depend on how many zones there are, but for a table that grows
// to twice its size now and then, which no answer waits for.
func (s *Server) AddZone(z *zone.Zone) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	t := s.zones.current.Load()
	if t.isFull() {
		t = t.resized()
		t.put(z)
		s.zones.current.Store(t)
		return
	}
	t.put(z)
}

// RemoveZone ends the service of a zone and reports whether it was served.
func (s *Server) RemoveZone(origin dns.Name) bool {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	t := s.zones.current.Load()
	if !t.remove([]byte(origin.Fold().Wire())) {
		return false
	}
	if t.isSparse() || t.n == 1 {
		s.zones.current.Store(t.resized())
	}
	return true
}

// Zone returns the zone with that origin, nil where it is not served.
func (s *Server) Zone(origin dns.Name) *zone.Zone {
	return s.zones.current.Load().find([]byte(origin.Fold().Wire()))
}

// Zones yields the zones that are served, in no order. Of those that come and
// go meanwhile it yields some.
func (s *Server) Zones() iter.Seq[*zone.Zone] { return s.zones.current.Load().all() }
