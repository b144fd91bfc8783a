package online

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

// cache keeps signatures by what they sign. It is a table of sets of a few
// entries each; who looks something up takes no lock and writes at most one bit.
// In each set the clock algorithm finds who goes: an entry that has been asked
// for since the last newcomer stays.
type cache struct {
	seeds [2]maphash.Seed
	slots []atomic.Pointer[entry] // sets of ways
	mask  uint64
	limit int64 // octets
	used  atomic.Int64
}

// ways is how many entries a set has.
const ways = 8

// entry is signatures over one set. All but visited never changes.
type entry struct {
	key     key
	until   uint32 // nobody asks for it after that: seconds since 1970 as a serial number
	visited atomic.Bool
	sigs    []byte
}

// key is a hash of everything that signatures depend on, with secret seeds: that
// two questions have the same is a matter of 2^-128, and nobody can look for it.
type key [2]uint64

// typicalEntry is what an entry takes with one signature of 64 octets.
const typicalEntry = 256

func (c *cache) init(octets int) {
	sets := 1
	for sets*2*ways*typicalEntry <= octets {
		sets *= 2
	}
	c.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	c.slots = make([]atomic.Pointer[entry], sets*ways)
	c.mask = uint64(sets - 1)
	c.limit = int64(octets)
	c.used.Store(int64(len(c.slots)) * int64(unsafe.Sizeof(c.slots[0])))
}

// key hashes what signatures depend on.
func (c *cache) key(material []byte) key {
	return key{maphash.Bytes(c.seeds[0], material), maphash.Bytes(c.seeds[1], material)}
}

func (c *cache) set(k key) []atomic.Pointer[entry] {
	at := (k[0] & c.mask) * ways
	return c.slots[at : at+ways]
}

// find returns the signatures kept under k, nil where there are none.
func (c *cache) find(k key) []byte {
	set := c.set(k)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.key != k {
			continue
		}
		if !e.visited.Load() {
			e.visited.Store(true)
		}
		return e.sigs
	}
	return nil
}

// keep puts signatures in, in the place of others. Where the octets are spent and
// the one to go is smaller, it does nothing: another one will be larger.
func (c *cache) keep(k key, sigs []byte, until, now uint32) {
	e := &entry{key: k, until: until, sigs: sigs}
	slot, old := c.victim(c.set(k), now)
	grows := e.size() - old.size()
	if c.used.Add(grows) > c.limit && grows > 0 || !slot.CompareAndSwap(old, e) {
		c.used.Add(-grows)
	}
}

// victim returns the slot for a newcomer and what is in it: nothing, if possible,
// or what has run out, or what nobody has asked for lately. Those it passes by on
// the way have to be asked for again, or go the next time.
func (c *cache) victim(set []atomic.Pointer[entry], now uint32) (*atomic.Pointer[entry], *entry) {
	var slot *atomic.Pointer[entry]
	var old *entry
	for i := range set {
		e := set[i].Load()
		if e == nil || int32(e.until-now) < 0 {
			return &set[i], e
		}
		if slot == nil && !e.visited.Load() {
			slot, old = &set[i], e
		}
	}
	if slot != nil {
		return slot, old
	}
	for i := range set {
		if e := set[i].Load(); e != nil {
			e.visited.Store(false)
		}
	}
	return &set[0], set[0].Load()
}

// size is the memory that an entry takes.
func (e *entry) size() int64 {
	if e == nil {
		return 0
	}
	return int64(unsafe.Sizeof(*e)) + int64(cap(e.sigs))
}
