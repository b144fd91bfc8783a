package systemd

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"

	"onoma/transport"
)

// Sockets are those that the service manager has handed over. They stay open for as
// long as the process lives, so that a server can be opened anew with the same ones.
type Sockets struct {
	mu   sync.Mutex
	list []socket
}

type socket struct {
	file   *os.File
	name   string // FileDescriptorName= of the unit
	stream bool
	addr   netip.AddrPort
	taken  bool
}

// Inherited returns the sockets that the process has been given. It can be called
// once: the environment that tells of them is removed, since children have no part
// in it. The error names those that are of no use here; the others are there.
func Inherited() (*Sockets, error) { return socketsOf(activation.Files(true)) }

func socketsOf(files []*os.File) (*Sockets, error) {
	s := &Sockets{}
	var odd []string
	for _, f := range files {
		one, err := inspect(f)
		if err != nil {
			odd = append(odd, fmt.Sprintf("%s (%v)", f.Name(), err))
			f.Close()
			continue
		}
		s.list = append(s.list, one)
	}
	if len(odd) > 0 {
		return s, fmt.Errorf("sockets from the service manager that are not UDP or TCP sockets bound to an address: %q", odd)
	}
	return s, nil
}

// inspect finds out what a socket is.
func inspect(f *os.File) (socket, error) {
	s := socket{file: f, name: f.Name()}
	if l, err := net.FileListener(f); err == nil {
		defer l.Close()
		a, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return s, fmt.Errorf("its address is %v", l.Addr())
		}
		s.stream, s.addr = true, a.AddrPort()
	} else {
		pc, err := net.FilePacketConn(f)
		if err != nil {
			return s, err
		}
		defer pc.Close()
		a, ok := pc.LocalAddr().(*net.UDPAddr)
		if !ok {
			return s, fmt.Errorf("its address is %v", pc.LocalAddr())
		}
		s.addr = a.AddrPort()
	}
	s.addr = netip.AddrPortFrom(s.addr.Addr().Unmap(), s.addr.Port())
	return s, nil
}

// Take returns a descriptor of the socket for a protocol and an address, nil where
// there is none. It fits [transport.Config.Inherited]; whoever takes it closes it.
func (s *Sockets) Take(p transport.Proto, addr netip.AddrPort) *os.File {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if one := &s.list[i]; one.stream == (p != transport.UDP) && one.addr == addr {
			f, err := duplicate(one.file)
			if err != nil {
				return nil // it is opened anew, and that fails with a reason: the port is taken
			}
			one.taken = true
			return f
		}
	}
	return nil
}

// Addrs returns the addresses of the sockets, each once.
func (s *Sockets) Addrs() (addrs []netip.AddrPort) {
	if s == nil {
		return nil
	}
	for i := range s.list {
		if !slices.Contains(addrs, s.list[i].addr) {
			addrs = append(addrs, s.list[i].addr)
		}
	}
	return addrs
}

// Left names the sockets that nobody has taken: queries to them are not answered, so
// that the socket unit or the configuration is wrong.
func (s *Sockets) Left() (left []string) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		kind := "udp"
		if one.stream {
			kind = "tcp"
		}
		if !one.taken {
			left = append(left, fmt.Sprintf("%s://%v (%s)", kind, one.addr, one.name))
		}
	}
	return left
}
