package soak

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"onoma/test/peers"
)

// sample is what the server holds at a moment.
type sample struct {
	goroutines, heap, resident uint64
	files                      int
}

// meter samples a server.
type meter struct {
	t       *testing.T
	node    *peers.Node
	samples []sample
}

func (m *meter) now() (s sample, ok bool) {
	r, err := m.node.Ctl.Report(context.Background())
	if err != nil {
		return s, false
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.node.Cmd.Process.Pid))
	if err != nil {
		m.t.Skipf("open files cannot be counted here: %v", err)
	}
	return sample{r.Process.Goroutines, r.Process.Heap, r.Process.Resident, len(files)}, true
}

func (m *meter) run(ctx context.Context, every time.Duration) {
	for each(ctx, every) {
		if s, ok := m.now(); ok {
			m.samples = append(m.samples, s)
		}
	}
}

// What may differ of a server that has nothing to do from the same before it had: the collector's and runtime's goroutines,
// and connections to the control socket.
const (
	moreGoroutines = 12
	moreFiles      = 4
)

// quiet waits until the server holds no more than it did before, for a minute at most: connections of clients and to servers
// stay open for a while when nobody uses them.
func (m *meter) quiet(before sample) (s sample) {
	for range 240 {
		var ok bool
		if s, ok = m.now(); ok && s.goroutines <= before.goroutines+moreGoroutines && s.files <= before.files+moreFiles {
			return s
		}
		time.Sleep(250 * time.Millisecond)
	}
	return s
}

// quarter is the least of each in the k-th quarter of the run, from 0: what lies below it was never given back.
func (m *meter) quarter(k int) (least sample) {
	part := m.samples[len(m.samples)*k/4 : len(m.samples)*(k+1)/4]
	for i, s := range part {
		if i == 0 {
			least = s
		}
		least.goroutines, least.heap = min(least.goroutines, s.goroutines), min(least.heap, s.heap)
		least.resident, least.files = min(least.resident, s.resident), min(least.files, s.files)
	}
	return least
}

func (m *meter) most() (most sample) {
	for _, s := range m.samples {
		most.goroutines, most.heap = max(most.goroutines, s.goroutines), max(most.heap, s.heap)
		most.resident, most.files = max(most.resident, s.resident), max(most.files, s.files)
	}
	return most
}

// judge wants nothing to have grown. The cache has its memory from the start, so the heap is what shows.
func (m *meter) judge(idle, end sample) {
	m.t.Helper()
	if end.goroutines > idle.goroutines+moreGoroutines {
		m.t.Errorf("%d goroutines at rest, %d before", end.goroutines, idle.goroutines)
	}
	if end.files > idle.files+moreFiles {
		m.t.Errorf("%d open files at rest, %d before", end.files, idle.files)
	}
	if len(m.samples) < 8 {
		m.t.Fatalf("%d samples were taken", len(m.samples))
	}
	second, last := m.quarter(1), m.quarter(3)
	if most := second.heap + second.heap/10 + 8<<20; last.heap > most {
		m.t.Errorf("the heap has %.1f MB at least in the last quarter, %.1f in the second", mb(last.heap), mb(second.heap))
	}
	if most := m.most().resident; most > idle.resident+128<<20 { // what the collector lets lie under load, and connections
		m.t.Errorf("%.0f MB resident, %.0f before there was anything to do", mb(most), mb(idle.resident))
	}
}
