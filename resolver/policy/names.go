package policy

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"

	"onoma/dns"
)

// names is a set of domain names, each with a value for the name itself and one for the names below it. A value of 0 is none.
// It has no pointers but those of its three slices, so the collector never looks inside:
//
//	tags   one octet of the hash for each slot, 0 where the slot is empty: most look-ups end here
//	slots  where in arena the entry stands; open addressing with linear probing, filled to three quarters at most
//	arena  the folded wire form of the name, then the two values, four octets each
//
// An entry takes 8 octets, its name and 6.7 octets of table once it is compiled.
type names struct {
	seed  maphash.Seed
	depth [3]uint64 // which numbers of labels occur: bit n of the 128 (and the root's)
	tags  []uint8
	slots []uint32
	arena []byte
	count int
}

const valuesLen = 8

var errTooLarge = errors.New("the rules take more than 4 GiB, expected less: leave out some of the lists")

func newNames() names { return names{seed: maphash.MakeSeed()} }

// add returns the values of a folded name, which is put into the set where it is not there yet. They are good until the next call.
func (t *names) add(name []byte) (values []byte, err error) {
	if t.count >= len(t.slots)/4*3 {
		t.resize(max(64, 2*len(t.slots)))
	}
	slot, found := t.slot(name)
	if !found {
		if len(t.arena)+len(name)+valuesLen > math.MaxUint32 {
			return nil, errTooLarge
		}
		t.slots[slot], t.tags[slot] = uint32(len(t.arena)), tagOf(maphash.Bytes(t.seed, name))
		t.arena = append(t.arena, name...)
		t.arena = append(t.arena, 0, 0, 0, 0, 0, 0, 0, 0)
		t.count++
		labels := dns.CountLabels(name)
		t.depth[labels/64] |= 1 << (labels % 64)
	}
	at := int(t.slots[slot]) + len(name)
	return t.arena[at : at+valuesLen], nil
}

// slot finds the slot of a folded name, or the empty one where it would be.
func (t *names) slot(name []byte) (slot int, found bool) {
	hash := maphash.Bytes(t.seed, name)
	tag := tagOf(hash)
	for slot = t.home(hash); t.tags[slot] != 0; {
		if t.tags[slot] == tag {
			at := int(t.slots[slot])
			if end := at + len(name); end <= len(t.arena) && string(t.arena[at:end]) == string(name) {
				return slot, true
			}
		}
		if slot++; slot == len(t.tags) {
			slot = 0
		}
	}
	return slot, false
}

func (t *names) home(hash uint64) int {
	home, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(home)
}

func tagOf(hash uint64) uint8 { return max(1, uint8(hash)) }

// resize gives the table so many slots.
func (t *names) resize(slots int) {
	t.slots, t.tags = make([]uint32, slots), make([]uint8, slots)
	for at := 0; at < len(t.arena); {
		n, err := dns.WireNameLen(t.arena[at:])
		if err != nil {
			panic("policy: a name that add took does not read back")
		}
		hash := maphash.Bytes(t.seed, t.arena[at:at+n])
		slot := t.home(hash)
		for t.tags[slot] != 0 {
			if slot++; slot == slots {
				slot = 0
			}
		}
		t.slots[slot], t.tags[slot] = uint32(at), tagOf(hash)
		at += n + valuesLen
	}
}

// compile takes away what the set has grown beyond its need.
func (t *names) compile() {
	if t.count == 0 {
		t.slots, t.tags, t.arena = nil, nil, nil
		return
	}
	t.resize(t.count*4/3 + 1)
	t.arena = slices.Clone(t.arena)
}

// addEmpty adds the names without values that exist because names below them do, and that hide an asterisk above them (RFC 4592 §2.2.2).
// Those that have no asterisk to hide are left out: nearest finds the same without them.
func (t *names) addEmpty() error {
	for at, end := 0, len(t.arena); at < end; {
		n, err := dns.WireNameLen(t.arena[at:])
		if err != nil {
			panic("policy: a name that add took does not read back")
		}
		if err := t.addEmptyAbove(t.arena[at : at+n]); err != nil {
			return err
		}
		at += n + valuesLen
	}
	return nil
}

// addEmptyAbove adds the names between a name and the next one above it that is in the set.
func (t *names) addEmptyAbove(name []byte) error {
	labels := dns.CountLabels(name)
	between := 0
	for up := name; labels > 0; between++ {
		up, labels = up[1+int(up[0]):], labels-1
		_, below, found := t.at(up, labels)
		if !found {
			continue
		}
		if below == 0 {
			return nil
		}
		for ; between > 0; between-- {
			name = name[1+int(name[0]):] // still good when the arena moves: it is the old memory, which nobody changes
			if _, err := t.add(name); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// at returns the values of a folded name with so many labels.
func (t *names) at(name []byte, labels int) (exact, below uint32, found bool) {
	if t.count == 0 || t.depth[labels/64]>>(labels%64)&1 == 0 {
		return 0, 0, false
	}
	slot, found := t.slot(name)
	if !found {
		return 0, 0, false
	}
	v := t.arena[int(t.slots[slot])+len(name):]
	return binary.LittleEndian.Uint32(v), binary.LittleEndian.Uint32(v[4:]), true
}

// nearest returns the value for a folded name: its own where the name is in the set, else that for the names below its closest
// encloser (RFC 4592 §3.3.1), which is the next name above it that is in the set; 0 for none. labels counts those of the name in
// the set, without the asterisk.
func (t *names) nearest(name []byte) (value uint32, labels int, wildcard bool) {
	if t.count == 0 {
		return 0, 0, false
	}
	labels = dns.CountLabels(name)
	if exact, _, found := t.at(name, labels); found {
		return exact, labels, false
	}
	for labels > 0 {
		name, labels = name[1+int(name[0]):], labels-1
		if _, below, found := t.at(name, labels); found {
			return below, labels, true
		}
	}
	return 0, 0, false
}

// size is the memory that the set takes, in octets.
func (t *names) size() int { return cap(t.arena) + cap(t.tags) + 4*cap(t.slots) }
