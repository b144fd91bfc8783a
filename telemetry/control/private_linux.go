package control

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// private gives a socket the mode that its file will have when it is bound, so that there is no moment at which others could
// open it.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
		return e
	}
	return err
}
