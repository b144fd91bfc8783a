package xdp

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"onoma/transport"
)

// engine is the program on the interface and the loops behind it.
type engine struct {
	mode   Mode
	loops  []*loop
	failed chan error // one that ended a loop

	xsks    *ebpf.Map
	prog    *ebpf.Program
	link    link.Link
	wg      sync.WaitGroup
	mu      sync.Mutex // guards started and closed, and the sockets against being closed under Stats
	started bool
	closed  bool
}

// newEngine attaches the program and opens a socket for each receive queue. Errors are ErrUnavailable.
func newEngine(cfg engineConfig) (e *engine, err error) {
	e = &engine{}
	defer func() {
		if err != nil {
			e.close()
			e, err = nil, fmt.Errorf("%w: %w", ErrUnavailable, explained(err, cfg.Interface))
		}
	}()
	if len(cfg.iface.HardwareAddr) != 6 {
		return e, errors.New("the interface is not Ethernet")
	}
	queues := receiveQueues(cfg.Interface)
	e.failed = make(chan error, queues)
	if err := e.load(&cfg, queues); err != nil {
		return e, err
	}
	if err := e.attach(&cfg); err != nil {
		return e, err
	}
	cpus, err := pinnable(cfg.Sockets.Pin)
	if err != nil {
		return e, err
	}
	for i := range queues {
		if err := e.open(&cfg, i); err != nil {
			return e, err
		}
		if len(cpus) > 0 {
			e.loops[i].cpu = cpus[i%len(cpus)]
		}
	}
	return e, nil
}

// load makes the map of sockets and the program.
func (e *engine) load(cfg *engineConfig, queues int) (err error) {
	e.xsks, err = ebpf.NewMap(&ebpf.MapSpec{Name: "onoma_xsks", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(queues)})
	if err != nil {
		return fmt.Errorf("making the map of sockets: %w", err)
	}
	f := filter{
		mac: [6]byte(cfg.iface.HardwareAddr), port: cfg.Port, addrs: cfg.addrs, room: frameSize(cfg.iface.MTU) - headroom,
	}
	e.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "onoma_dns", Type: ebpf.XDP, Instructions: f.program(e.xsks), License: "GPL",
	})
	if err != nil {
		return fmt.Errorf("loading the program: %w", err)
	}
	return nil
}

// attach puts the program on the interface. The kernel takes it off again when the link is closed, also by the process's end.
func (e *engine) attach(cfg *engineConfig) (err error) {
	for _, m := range []struct {
		mode  Mode
		flags link.XDPAttachFlags
	}{{Native, link.XDPDriverMode}, {Generic, link.XDPGenericMode}} {
		if cfg.Mode != Auto && cfg.Mode != m.mode {
			continue
		}
		e.link, err = link.AttachXDP(link.XDPOptions{Program: e.prog, Interface: cfg.iface.Index, Flags: m.flags})
		if err == nil {
			e.mode = m.mode
			return nil
		}
		if isTaken(err) {
			break
		}
	}
	return fmt.Errorf("attaching the program: %w", err)
}

func isTaken(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) }

// open binds a socket to a queue and has the program give it that queue's queries.
func (e *engine) open(cfg *engineConfig, queue int) error {
	sock, err := openSocket(cfg.iface.Index, queue, frameSize(cfg.iface.MTU), e.mode == Generic)
	if err != nil {
		return err
	}
	l, err := newLoop(cfg, sock)
	if err != nil {
		sock.close()
		return err
	}
	e.loops = append(e.loops, l)
	if err := e.xsks.Put(uint32(queue), uint32(sock.fd)); err != nil {
		return fmt.Errorf("giving the program the socket of queue %d: %w", queue, err)
	}
	return nil
}

// start begins the loops. Each holds a processor of the Go scheduler's, also while it sleeps for a moment; it brings its own,
// so that TCP and the rest keep theirs, and the system shares out the CPUs.
func (e *engine) start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.started = true
	transport.AddProcessors(len(e.loops))
	for _, l := range e.loops {
		e.wg.Go(func() {
			if err := l.run(); err != nil {
				e.failed <- err
			}
		})
	}
}

// close takes the program off the interface, so that queries go to the sockets, and ends the loops. It may be called again.
func (e *engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var err error
	if e.link != nil {
		if err = e.link.Close(); err != nil {
			err = fmt.Errorf("taking the program off the interface: %w", err)
		}
	}
	for _, l := range e.loops {
		l.stop()
	}
	e.wg.Wait()
	if e.started {
		transport.AddProcessors(-len(e.loops))
	}
	for _, l := range e.loops {
		l.close()
	}
	if e.prog != nil {
		e.prog.Close()
	}
	if e.xsks != nil {
		e.xsks.Close()
	}
	return err
}

// zeroCopy says whether frames pass between card and loops without being copied.
func (e *engine) zeroCopy() bool {
	for _, l := range e.loops {
		if !l.sock.zeroCopy {
			return false
		}
	}
	return true
}

func (e *engine) addTo(st *Stats) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		var c Counts
		l.counts.addTo(&c)
		l.counts.addTo(&st.Counts)
		st.Loops = append(st.Loops, c)
		if e.closed {
			continue
		}
		k := l.sock.statistics()
		st.Kernel.Dropped += k.Rx_dropped
		st.Kernel.RingFull += k.Rx_ring_full
		st.Kernel.FillEmpty += k.Rx_fill_ring_empty_descs
		st.Kernel.BadRx += k.Rx_invalid_descs
		st.Kernel.BadTx += k.Tx_invalid_descs
		st.Kernel.SendRingEmpty += k.Tx_ring_empty_descs
	}
}
