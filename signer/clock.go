package signer

import (
	"fmt"
	"sync"
	"time"
)

// jump is how far the clock of the system may leave the steady one before that is no drift any more.
const jump = 15 * time.Minute

// settling is how long after its start a Steady follows every jump: a machine without a clock of its own gets the time
// from the network only when it is up.
const settling = 10 * time.Minute

// driftShare: no clock drifts more than a hundredth.
const driftShare = 100

// Steady is a clock that goes on evenly when somebody sets the clock of the system, or when that stands still. Signatures
// that begin tomorrow would make a zone bogus for all who know what day it is; so a jump is told, and not believed until an
// operator says so (Accept) or the server is started again.
type Steady struct {
	wall func() time.Time     // what the system says it is
	ran  func() time.Duration // that the machine has run since some moment, sleep included; nobody can set it

	mu      sync.Mutex
	base    time.Time     // the time at
	baseRan time.Duration // this moment
	begun   time.Duration
}

// NewSteady returns a clock made of two. nil: those of the system.
func NewSteady(wall func() time.Time, ran func() time.Duration) *Steady {
	if wall == nil {
		wall = time.Now
	}
	if ran == nil {
		ran = sinceBoot
	}
	s := &Steady{wall: wall, ran: ran}
	s.base, s.baseRan = wall().Round(0), ran()
	s.begun = s.baseRan
	return s
}

// Now returns the time, and by how much the clock of the system is away from it, 0 where it is not.
func (s *Steady) Now() (now time.Time, off time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall, ran := s.wall().Round(0), s.ran()
	steady := s.base.Add(ran - s.baseRan)
	off = wall.Sub(steady)
	if ran-s.begun < settling {
		s.base, s.baseRan = wall, ran
		return wall, 0
	}
	if off.Abs() >= jump {
		return steady, off
	}
	// What drifts is followed, but no faster than clocks drift: one that stands still is found out.
	most := (ran - s.baseRan) / driftShare
	s.base, s.baseRan = steady.Add(max(-most, min(off, most))), ran
	return wall, 0
}

// isSettled reports whether a machine that has to get the time from the network has had the time to.
func (s *Steady) isSettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ran()-s.begun >= settling
}

// Accept takes the clock of the system for right.
func (s *Steady) Accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base, s.baseRan = s.wall().Round(0), s.ran()
}

// offText says what a clock that is off means, "" where it is not.
func offText(off time.Duration) string {
	if off == 0 {
		return ""
	}
	way := "forward"
	if off < 0 {
		way = "back"
	}
	return fmt.Sprintf("the clock of this machine has jumped %s by %v: signing goes on by the time before; set the clock right, or say that it is right now with \"onoma ctl clock accept\"",
		way, off.Abs().Round(time.Second))
}
