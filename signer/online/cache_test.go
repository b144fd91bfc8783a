package online

import (
	"encoding/binary"
	"testing"
)

func number(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

// TestWhatIsAskedForStays while newcomers that nobody asks for again pass through.
func TestWhatIsAskedForStays(t *testing.T) {
	var c cache
	c.init(256 << 10)
	hot := len(c.slots) / 8
	lost := 0
	for i := range 50 * len(c.slots) {
		k := c.key(number(i + 1_000_000))
		c.keep(k, make([]byte, 110), 10, 1)
		if i%4 != 0 {
			continue
		}
		k = c.key(number(i / 4 % hot))
		if c.find(k) == nil {
			lost++
			c.keep(k, make([]byte, 110), 10, 1)
		}
	}
	if share := float64(lost) / float64(50*len(c.slots)/4); share > 0.1 {
		t.Errorf("%.0f %% of what is asked for again and again had gone, expected less than 10 %%", 100*share)
	}
}

// TestOctetsAreBounded, whatever the size of what comes.
func TestOctetsAreBounded(t *testing.T) {
	var c cache
	const limit = 64 << 10
	c.init(limit)
	for i := range 5000 {
		c.keep(c.key(number(i)), make([]byte, 64+i%4*400), 10, 1)
		if n := c.used.Load(); n > limit {
			t.Fatalf("%d octets after %d entries, the limit is %d", n, i, limit)
		}
	}
	used := int64(8 * len(c.slots))
	for i := range c.slots {
		used += c.slots[i].Load().size()
	}
	if used != c.used.Load() || used < limit/2 {
		t.Errorf("%d octets are in use, counted are %d of %d", used, c.used.Load(), limit)
	}
}

// TestWhatHasRunOutGoesFirst.
func TestWhatHasRunOutGoesFirst(t *testing.T) {
	var c cache
	c.init(1) // one set
	c.limit = 1 << 20
	for i := range ways {
		c.keep(c.key(number(i)), []byte{1}, 10+uint32(i), 1)
	}
	for i := range ways {
		c.find(c.key(number(i))) // all are asked for
	}
	c.keep(c.key(number(100)), []byte{1}, 20, 11)
	for i := range ways {
		if got := c.find(c.key(number(i))) != nil; got != (i != 0) {
			t.Errorf("entry %d is there: %t", i, got)
		}
	}
}
