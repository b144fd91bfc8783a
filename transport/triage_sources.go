package transport

import (
	"math"
	"sync/atomic"
)

const (
	sourceWays = 4
	sourceSets = 2048
	nSources   = sourceWays * sourceSets
	// fading halves an asker's seconds for each such span of silence.
	fading = 64
	// maxSeconds bounds how long an asker can outlive its last query.
	maxSeconds = 1023
	// minSeconds make an asker a candidate: addresses that are forged at random seldom come twice.
	minSeconds = 2
)

// asker is one client as far as triage knows it; four of them fill a cache line.
type asker struct {
	key     uint32 // 0: none
	last    uint32 // second of the last packet seen
	seconds uint16 // how many different seconds saw one, halved in silence
	proven  bool   // showed a valid cookie
	recent  uint16 // how many were seen in the last second that saw one
	_       [2]byte
}

// standing ranks an asker at a time: who has been asking for longer stands higher, whoever proved its address above all.
func (s *asker) standing(now uint32) uint32 {
	if s.key == 0 {
		return 0
	}
	n := uint32(s.seconds) >> min(age(s.last, now)/fading, 15)
	if s.proven && n > 0 {
		n += maxSeconds
	}
	return n + 1
}

// age is never negative: a clock that was set back must not make an asker immortal.
func age(then, now uint32) uint32 {
	if now < then {
		return 0
	}
	return now - then
}

// askers remember clients in a fixed number of places: a packet's source can only be in the four of its set, where a new one
// takes the place of the one with the lowest standing. A flood of forged addresses therefore pushes out others like itself,
// not those who ask again and again.
type askers struct {
	mix  uint32 // odd; keeps others from filling one set on purpose
	this uint32 // second in which a packet was noted last
	n    [2]int // packets noted in this second and in the one before
	sets [sourceSets][sourceWays]asker
}

func (t *askers) init(mix uint32) { t.mix = mix | 1 }

func (t *askers) set(key uint32) *[sourceWays]asker {
	return &t.sets[key*t.mix>>(32-11)]
}

// find returns the place of key, or nil.
func (t *askers) find(key uint32) *asker {
	set := t.set(key)
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	return nil
}

// note counts a packet of key and returns its place; nil where key cannot be kept.
func (t *askers) note(key, now uint32) *asker {
	if key == 0 {
		return nil
	}
	if t.this != now {
		t.n[0], t.n[1] = 0, t.sampledIn(now-1, now)
		t.this = now
	}
	t.n[0]++
	s := t.find(key)
	if s == nil {
		return t.enter(key, now)
	}
	s.touch(now)
	return s
}

// sampledIn is how many packets were noted in a second, where that was this one or the one before.
func (t *askers) sampledIn(sec, now uint32) int {
	switch {
	case sec == t.this:
		return t.n[0]
	case sec+1 == t.this && t.this == now:
		return t.n[1]
	}
	return 0
}

// minSample is the least from which a source's share of all can be told.
const minSample = 256

// touch is for a packet of an asker that is known already.
func (s *asker) touch(now uint32) {
	if s.last == now {
		if s.recent < math.MaxUint16 {
			s.recent++
		}
		return
	}
	s.recent = 1
	s.seconds = s.seconds>>min(age(s.last, now)/fading, 15) + 1
	s.seconds = min(s.seconds, maxSeconds)
	s.last = now
}

// enter puts key in the place of the lowest standing, of several the one that was silent for the longest.
func (t *askers) enter(key, now uint32) *asker {
	set := t.set(key)
	weakest := &set[0]
	for i := range set {
		s := &set[i]
		a, b := s.standing(now), weakest.standing(now)
		if a < b || a == b && age(s.last, now) > age(weakest.last, now) {
			weakest = s
		}
	}
	*weakest = asker{key: key, last: now, seconds: 1, recent: 1}
	return weakest
}

// refresh notes a packet of key if it is kept, and takes nobody new: under pressure most sources are not to be remembered.
func (t *askers) refresh(key, now uint32) {
	if s := t.find(key); s != nil && key != 0 {
		s.touch(now)
	}
}

// prove notes a packet of key that came with a valid cookie.
func (t *askers) prove(key, now uint32) {
	if s := t.note(key, now); s != nil {
		s.proven = true
	}
}

// candidate is an asker that may become known, for the control to rank.
type candidate struct {
	key, standing uint32
	share         float32 // of the sample of this or the last second; 0 where that is too small to tell
}

// list appends all candidates.
func (t *askers) list(to []candidate, now uint32) []candidate {
	for i := range t.sets {
		for j := range t.sets[i] {
			s := &t.sets[i][j]
			if st := s.standing(now); st > minSeconds || s.proven && st > 1 {
				c := candidate{key: s.key, standing: st}
				if all := t.sampledIn(s.last, now); all >= minSample {
					c.share = float32(s.recent) / float32(all)
				}
				to = append(to, c)
			}
		}
	}
	return to
}

// guestList are the sources that pass under pressure, and how many packets of each did. The control makes a new one for
// every filter; the keys never change.
type guestList struct {
	bits  uint
	keys  []uint32 // open addressing; 0: empty
	count []atomic.Uint32
	mix   uint32
}

// newGuestList keeps at least half of the places empty, so that a search ends after a few of them.
func newGuestList(keys []uint32, mix uint32) *guestList {
	g := &guestList{bits: 4, mix: mix | 1}
	for 1<<g.bits < 2*len(keys) {
		g.bits++
	}
	g.keys = make([]uint32, 1<<g.bits)
	g.count = make([]atomic.Uint32, 1<<g.bits)
	for _, k := range keys {
		if k != 0 {
			i, _ := g.place(k)
			g.keys[i] = k
		}
	}
	return g
}

// place is where key is, or where it would be.
func (g *guestList) place(key uint32) (at int, there bool) {
	last := uint32(len(g.keys) - 1)
	for i := key * g.mix >> (32 - g.bits); ; i = (i + 1) & last {
		switch g.keys[i] {
		case key:
			return int(i), true
		case 0:
			return int(i), false
		}
	}
}

// find returns the place of key, or -1.
func (g *guestList) find(key uint32) int {
	if i, ok := g.place(key); ok && key != 0 {
		return i
	}
	return -1
}
