// Package crew runs short pieces of work in goroutines that are used again. A
// look-up grows its stack as far as the one before it did; a goroutine that has
// done that already saves doing it anew, and the making and ending of goroutines.
//
// The one that ended last gets the next piece, and those that had nothing to do
// for a second go.
package crew

import (
	"sync"
	"time"
)

// Crew is a set of goroutines. The zero Crew works.
type Crew struct {
	mu       sync.Mutex
	idle     []worker // the one that ended last is at the end
	unused   int      // of them, from the beginning, since the last round
	trimming bool
	closed   bool
}

// worker is how a goroutine that waits is told what to do; nil: go.
type worker chan func()

const (
	maxIdle  = 1024
	patience = time.Second
)

// Go runs f in a goroutine.
func (c *Crew) Go(f func()) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.unused = min(c.unused, n-1)
		c.mu.Unlock()
		w <- f
		return
	}
	c.mu.Unlock()
	go c.run(make(worker, 1), f)
}

func (c *Crew) run(w worker, f func()) {
	for f != nil {
		f()
		if !c.rest(w) {
			return
		}
		f = <-w
	}
}

// rest makes w wait for more, unless enough do.
func (c *Crew) rest(w worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= maxIdle || c.closed {
		return false
	}
	c.idle = append(c.idle, w)
	if !c.trimming {
		c.trimming = true
		time.AfterFunc(patience, c.trim)
	}
	return true
}

// trim sends those away that nobody needed in a whole round.
func (c *Crew) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismiss(c.unused)
	c.unused = len(c.idle)
	if c.trimming = len(c.idle) > 0; c.trimming {
		time.AfterFunc(patience, c.trim)
	}
}

// dismiss ends the n that wait longest; mu is held.
func (c *Crew) dismiss(n int) {
	for _, w := range c.idle[:n] {
		w <- nil
	}
	c.idle = append(c.idle[:0], c.idle[n:]...)
}

// Close ends those that wait, and all others when they are done. What is asked for
// after it is done all the same.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.unused = true, 0
	c.dismiss(len(c.idle))
}
