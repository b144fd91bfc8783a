package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// garbageRoom is how much garbage a server may leave lying before it is collected, at least. QUIC, HTTP and look-ups leave some
// with each query, and a server whose zones or caches are small, or lie outside of the heap, would be collected dozens of times
// a second.
const garbageRoom = 64 << 20

// makeRoom lets a small heap grow by so much before it is collected, from now on; a large one is left alone, and so is one whose
// owner has set GOGC.
var makeRoom = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" {
		keepRoom(100)
	}
})

// keepRoom sets how far the heap may grow, now and after each collection: the room is meant in octets, and the collector
// counts in parts of what lives.
func keepRoom(percent int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	want := int(min(1600, max(100, garbageRoom*100/max(live[0].Value.Uint64(), 1))))
	if want < percent || want > percent*5/4 {
		percent = want
		debug.SetGCPercent(percent)
	}
	type sentinel struct{ _ [16]byte }
	runtime.SetFinalizer(new(sentinel), func(*sentinel) { keepRoom(percent) })
}
