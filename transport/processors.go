package transport

import (
	"runtime"
	"sync"
)

var processors sync.Mutex

// AddProcessors changes by n how many goroutines run at the same time (GOMAXPROCS). A loop that sleeps in the kernel without
// telling the Go scheduler keeps a processor from everybody else, so it brings its own, and takes it away with -1.
func AddProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}
