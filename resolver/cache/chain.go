package cache

import (
	"bytes"
	"slices"
	"sort"
	"sync/atomic"

	"onoma/dns"
)

// chain is the ordered list of the owners of a zone's NSEC or NSEC3 records that
// are known: keys that compare as the chain goes (RFC 4034 §6.1, RFC 5155 §7.1),
// in blocks that are looked through by halves.
type chain []*block

// block has up to blockLen keys, one behind another.
type block struct {
	keys   []byte
	ends   []uint16 // where each key ends
	expire []uint32
	used   atomic.Uint64 // a bit for each that was found since the hand last came by
}

const (
	blockLen      = 64
	blockOverhead = 128 // octets that an empty one takes
)

func (b *block) key(i int) []byte {
	start := uint16(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.keys[start:b.ends[i]]
}

func (b *block) size() int {
	return blockOverhead + cap(b.keys) + 2*cap(b.ends) + 4*cap(b.expire)
}

// search returns the block that has key, or would have, and where in it; found
// says which.
func (c chain) search(key []byte) (b, i int, found bool) {
	b = max(0, sort.Search(len(c), func(i int) bool { return bytes.Compare(c[i].key(0), key) > 0 })-1)
	if len(c) == 0 {
		return 0, 0, false
	}
	i = sort.Search(len(c[b].ends), func(i int) bool { return bytes.Compare(c[b].key(i), key) >= 0 })
	return b, i, i < len(c[b].ends) && bytes.Equal(c[b].key(i), key)
}

// at returns the key that is key, or the one before it; before the first one is
// the last.
func (c chain) at(key []byte) (at []byte, ok bool) {
	if len(c) == 0 {
		return nil, false
	}
	b, i, found := c.search(key)
	switch {
	case found:
	case i > 0: // within the block, or behind its last one
		i--
	default: // only of the first block
		b = len(c) - 1
		i = len(c[b].ends) - 1
	}
	if bit := uint64(1) << i; c[b].used.Load()&bit == 0 {
		c[b].used.Or(bit)
	}
	return c[b].key(i), true
}

// put adds a key, or renews it; grown is by how much the chain takes more room.
func (c *chain) put(key []byte, expire uint32) (grown int) {
	if len(*c) == 0 {
		first := &block{}
		first.insert(0, key, expire)
		*c = chain{first}
		return first.size()
	}
	b, i, found := c.search(key)
	at := (*c)[b]
	if found {
		at.expire[i] = expire
		return grown
	}
	if len(at.ends) == blockLen {
		before := at.size()
		next := at.split()
		*c = slices.Insert(*c, b+1, next)
		grown += at.size() + next.size() - before
		if bytes.Compare(next.key(0), key) <= 0 {
			at, i = next, i-blockLen/2
		}
	}
	before := at.size()
	at.insert(i, key, expire)
	return grown + at.size() - before
}

func (b *block) insert(i int, key []byte, expire uint32) {
	start := 0
	if i > 0 {
		start = int(b.ends[i-1])
	}
	b.keys = slices.Insert(b.keys, start, key...)
	b.ends = slices.Insert(b.ends, i, uint16(start))
	for k := i; k < len(b.ends); k++ {
		b.ends[k] += uint16(len(key))
	}
	b.expire = slices.Insert(b.expire, i, expire)
	below := uint64(1)<<i - 1
	used := b.used.Load()
	b.used.Store(used&below | used&^below<<1)
}

// split moves the upper half to a new block.
func (b *block) split() *block {
	const half = blockLen / 2
	start := b.ends[half-1]
	next := &block{
		keys: slices.Clone(b.keys[start:]), ends: slices.Clone(b.ends[half:]), expire: slices.Clone(b.expire[half:]),
	}
	for i := range next.ends {
		next.ends[i] -= start
	}
	next.used.Store(b.used.Load() >> half)
	b.keys, b.ends, b.expire = slices.Clone(b.keys[:start]), slices.Clone(b.ends[:half]), slices.Clone(b.expire[:half])
	b.used.Store(b.used.Load() & (1<<half - 1))
	return next
}

// drop takes a key out; freed is by how much the chain takes less room.
func (c *chain) drop(key []byte) (freed int) {
	b, i, found := c.search(key)
	if !found {
		return 0
	}
	return c.keep(b, func(k int) bool { return k != i })
}

// sweep takes out of block b what is over or was not found since the last time.
func (c *chain) sweep(b int, now uint32) (freed int) {
	at := (*c)[b]
	used := at.used.Load()
	freed = c.keep(b, func(i int) bool { return at.expire[i] > now && used&(1<<i) != 0 })
	if freed == 0 {
		at.used.Store(0)
	}
	return freed
}

// keep leaves in block b what want says, as not found yet, and drops the block
// where that is nothing.
func (c *chain) keep(b int, want func(i int) bool) (freed int) {
	at, next := (*c)[b], &block{}
	for i := range at.ends {
		if want(i) {
			next.keys = append(next.keys, at.key(i)...)
			next.ends = append(next.ends, uint16(len(next.keys)))
			next.expire = append(next.expire, at.expire[i])
		}
	}
	switch {
	case len(next.ends) == len(at.ends):
		return 0
	case len(next.ends) == 0:
		*c = slices.Delete(*c, b, b+1)
		return at.size()
	}
	next.keys, next.ends, next.expire = slices.Clip(next.keys), slices.Clip(next.ends), slices.Clip(next.expire)
	(*c)[b] = next
	return at.size() - next.size()
}

func (c chain) size() (n int) {
	for _, b := range c {
		n += b.size()
	}
	return n
}

// Octets of labels that are not what they seem in a key, so that the one that
// ends a label is the least.
const (
	labelEnd = 0
	escape   = 1 // before 1 it is 0, before 2 it is 1
)

// appendNSECKey appends what name, which is in zone, is in the chain: its labels
// below the zone from the right, in lower case, each ended. Such keys compare as
// names do in canonical order (RFC 4034 §6.1).
func appendNSECKey(dst []byte, zone, name dns.Name) []byte {
	var starts [dns.MaxNameLen / 2]uint8
	n := name.NumLabels()
	wire := name.Wire()
	for i, at := 0, 0; i < n; i++ {
		starts[i] = uint8(at)
		at += 1 + int(wire[at])
	}
	for i := n - zone.NumLabels() - 1; i >= 0; i-- {
		at := int(starts[i])
		for _, c := range []byte(wire[at+1 : at+1+int(wire[at])]) {
			switch {
			case c <= escape:
				dst = append(dst, escape, c+1)
			case 'A' <= c && c <= 'Z':
				dst = append(dst, c|0x20)
			default:
				dst = append(dst, c)
			}
		}
		dst = append(dst, labelEnd)
	}
	return dst
}

// nsecOwner is the name that a key was made of.
func nsecOwner(zone dns.Name, key []byte) (dns.Name, bool) {
	name := zone
	for len(key) > 0 {
		end := bytes.IndexByte(key, labelEnd)
		if end < 0 {
			return dns.Name{}, false
		}
		var label []byte
		for i := 0; i < end; i++ {
			c := key[i]
			if c == escape && i+1 < end {
				i++
				c = key[i] - 1
			}
			label = append(label, c)
		}
		var err error
		if name, err = name.Child(string(label)); err != nil {
			return dns.Name{}, false
		}
		key = key[end+1:]
	}
	return name, true
}
