package transport

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canPin says whether threads can be tied to CPUs.
const canPin = true

// pinnable returns the CPUs that this process may use, nil where pinning is not wanted.
func pinnable(pin bool) ([]int, error) {
	if !pin {
		return nil, nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading which CPUs may be used: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// pin ties the calling goroutine to a thread and the thread to a CPU. The goroutine never unlocks, so that the thread ends
// with it instead of carrying its affinity elsewhere.
func (s *batchSocket) pin(thread int) error {
	if !s.pinned() {
		return nil
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(s.cpus[thread%len(s.cpus)])
	// Without this the kernel adds up to 50 microseconds to each nap.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting the slack of timers: %w", err)
	}
	return unix.SchedSetaffinity(0, &set)
}

// nap stops the thread for d, which is short; a signal may end it sooner.
func nap(d time.Duration) {
	if d > 0 {
		ts := unix.NsecToTimespec(int64(d))
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
}

// Classic BPF's ancillary loads: the CPU that handles the packet.
const loadCPU = 1<<32 - 0x1000 + 36 // SKF_AD_OFF + SKF_AD_CPU

// steer gives each packet to the socket whose loop runs on the CPU that received it, so that a query stays in one CPU's
// caches from the network card to the answer. Packets of CPUs without a loop are spread over all. Socket i is the i-th that
// was bound.
func steer(fd int, cpus []int) error {
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: loadCPU}}
	for i, cpu := range cpus {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(cpu)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(i)})
	}
	prog = append(prog,
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(len(cpus))},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fprog); err != nil {
		return fmt.Errorf("steering packets by CPU: %w", err)
	}
	return nil
}
