package control

import (
	"fmt"
	"net"
	"net/http"
	"os/user"

	"onoma/zone"
)

// callers is a listener whose connections say whose they are: http.Request.RemoteAddr is "user:NAME", or "uid:N" for a user
// without a name, or "socket" where the system does not tell.
type callers struct{ net.Listener }

func (l callers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return calling{c, caller(callerOf(c))}, nil
}

type calling struct {
	net.Conn
	who caller
}

func (c calling) RemoteAddr() net.Addr { return c.who }

// caller is a user as an address.
type caller string

func (caller) Network() string  { return "unix" }
func (c caller) String() string { return string(c) }

func callerOf(c net.Conn) string {
	uid, ok := peerUID(c)
	if !ok {
		return "socket"
	}
	u, err := user.LookupId(fmt.Sprint(uid))
	if err != nil || u.Username == "" {
		return fmt.Sprintf("uid:%d", uid)
	}
	return "user:" + u.Username
}

// author is who asks for a change.
func author(r *http.Request, door zone.Door, comment string) zone.Author {
	return zone.Author{Door: door, Name: r.RemoteAddr, Comment: comment}
}
