package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// garbageRoom is how much garbage a server may leave lying before it is collected, at least. QUIC and HTTP leave some with
// each query, and a server of small zones has a heap so small that it would be collected dozens of times a second.
const garbageRoom = 64 << 20

// makeRoom lets a small heap double a few times before it is collected; a large one is left alone, and so is one whose owner has
// set GOGC.
func makeRoom() {
	if os.Getenv("GOGC") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(int(min(1000, max(100, garbageRoom*100/max(m.HeapAlloc, 1)))))
}
