package signer

import (
	"testing"
	"time"
)

// TestSteady has clocks of the system that are set, stand still and drift.
func TestSteady(t *testing.T) {
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var wall time.Time
	var ran time.Duration
	fresh := func() *Steady {
		wall, ran = begin, time.Hour
		return NewSteady(func() time.Time { return wall }, func() time.Duration { return ran })
	}
	pass := func(s *Steady, d, of time.Duration) { // d passes, the system sees of it
		const steps = 100
		for range steps {
			wall, ran = wall.Add(of/steps), ran+d/steps
			s.Now()
		}
	}
	t.Run("drift is followed", func(t *testing.T) {
		s := fresh()
		pass(s, 1000*time.Hour, 1000*time.Hour+20*time.Minute)
		if now, off := s.Now(); off != 0 || !now.Equal(wall) {
			t.Errorf("now is %v, off by %v; the system says %v", now, off, wall)
		}
	})
	t.Run("a jump is told, and not believed", func(t *testing.T) {
		for _, by := range []time.Duration{100 * 24 * time.Hour, -100 * 24 * time.Hour} {
			s := fresh()
			pass(s, time.Hour, time.Hour)
			right := wall
			wall = wall.Add(by)
			now, off := s.Now()
			if off != by || !now.Equal(right) {
				t.Errorf("after a jump by %v now is %v, off by %v; expected %v", by, now, off, right)
			}
			pass(s, time.Hour, time.Hour)
			if now, _ := s.Now(); !now.Equal(right.Add(time.Hour)) {
				t.Errorf("an hour later it is %v", now)
			}
			s.Accept()
			if now, off := s.Now(); off != 0 || !now.Equal(wall) {
				t.Errorf("once accepted, now is %v, off by %v", now, off)
			}
		}
	})
	t.Run("one that stands still is found out", func(t *testing.T) {
		s := fresh()
		pass(s, time.Hour, time.Hour)
		right := wall
		pass(s, 10*time.Hour, 0)
		now, off := s.Now()
		if off == 0 || now.Sub(right) < 9*time.Hour {
			t.Errorf("ten hours later it is %v, %v after the last good time, off by %v", now, now.Sub(right), off)
		}
	})
	t.Run("a machine that has just been started gets the time from the network", func(t *testing.T) {
		s := fresh()
		wall, ran = wall.Add(50*365*24*time.Hour), ran+time.Minute
		if now, off := s.Now(); off != 0 || !now.Equal(wall) {
			t.Errorf("now is %v, off by %v", now, off)
		}
	})
}
