package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// adoptBatch makes sockets of an inherited one: each thread has a descriptor of its own for it. They share what the kernel
// keeps of a socket, a filter too, which is why there is triage with one thread only. Their loops wait in the Go poller: to wake
// one that blocks in a socket, that would have to be shut down, and who has handed it over may want to give it to another server.
func adoptBatch(f *os.File, addr netip.AddrPort, cfg *Config) (socks []udpSocket, err error) {
	defer f.Close()
	defer func() {
		if err != nil {
			for _, s := range socks {
				s.close()
			}
		}
	}()
	own := *cfg
	own.NoTriage = cfg.NoTriage || cfg.Threads > 1
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("adopting a socket: %w", err)
	}
	for range cfg.Threads {
		fd := -1
		if e := rc.Control(func(inherited uintptr) { fd, err = unix.FcntlInt(inherited, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
			return socks, fmt.Errorf("adopting a socket: %w", errors.Join(e, err))
		}
		s, err := adoptOne(fd, addr, &own)
		if err != nil {
			return socks, fmt.Errorf("adopting a socket: %w", err)
		}
		socks = append(socks, s)
	}
	return socks, nil
}

// adoptOne makes a batchSocket of fd, which it closes where it fails.
func adoptOne(fd int, addr netip.AddrPort, cfg *Config) (*batchSocket, error) {
	err := errors.Join(checkBound(fd, addr), checkVersion(uintptr(fd), addr.Addr()))
	if err == nil {
		err = errors.Join(tune(fd, addr, cfg), unix.SetNonblock(fd, true))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newBatchSocket(fd, addr, cfg, nil)
}

// checkBound refuses what is no UDP socket bound to addr.
func checkBound(fd int, addr netip.AddrPort) error {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_DGRAM {
		return errors.Join(errors.New("it is no UDP socket"), err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	var is netip.AddrPort
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		is = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		is = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	if is.Port() != addr.Port() || is.Addr() != addr.Addr().WithZone("") {
		return fmt.Errorf("it is bound to %v", is)
	}
	return nil
}
