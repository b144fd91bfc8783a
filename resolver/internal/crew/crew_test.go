package crew

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Everything is done, by goroutines that are used again, and none is left in the end.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		var done atomic.Int32
		for range 10 {
			var wg sync.WaitGroup
			wg.Add(50)
			for range 50 {
				c.Go(func() { defer wg.Done(); time.Sleep(time.Millisecond); done.Add(1) })
			}
			wg.Wait()
			synctest.Wait()
			if n := c.waiting(); n != 50 {
				t.Errorf("%d goroutines wait, expected those 50 again", n)
			}
		}
		time.Sleep(3 * patience)
		synctest.Wait()
		if n := c.waiting(); n != 0 || done.Load() != 500 {
			t.Errorf("%d goroutines wait, %d of 500 pieces are done", n, done.Load())
		}
	})
}

// Those that are needed stay.
func TestCrewStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		for range 10 {
			for range 8 {
				c.Go(func() { time.Sleep(time.Millisecond) })
			}
			time.Sleep(patience / 2)
		}
		if n := c.waiting(); n != 8 {
			t.Errorf("%d wait, expected 8", n)
		}
		c.Close()
		c.Go(func() {})
		synctest.Wait()
		if n := c.waiting(); n > 0 {
			t.Errorf("%d goroutines are left", n)
		}
	})
}

func (c *Crew) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}
