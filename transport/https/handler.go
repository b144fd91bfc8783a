package https

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"onoma/transport"
)

// door answers the requests of one endpoint.
type door struct {
	srv    *Server
	path   string
	local  netip.AddrPort
	altSvc string // leads from TCP to HTTP/3
}

// ServeHTTP answers one request.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 3 {
		w.Header().Set("Alt-Svc", d.altSvc)
	}
	if r.URL.Path != d.path {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodPost {
		// HTTP/3 has no time-out of its own for a body.
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.srv.cfg.Limits.BodyTimeout))
	}
	x := exchanges.Get().(*exchange)
	msg, err := readQuery(r, x.in)
	if err != nil {
		exchanges.Put(x)
		refuse(w, err)
		return
	}
	x.in = msg
	d.respond(w, r, x)
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var no *refusal
	if errors.As(err, &no) {
		status = no.status
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, POST")
	}
	http.Error(w, err.Error(), status)
}

// respond answers the query in x.in.
func (d *door) respond(w http.ResponseWriter, r *http.Request, x *exchange) {
	q := transport.Query{Msg: x.in, Client: client(r), Local: d.localOf(r), Proto: transport.HTTPS, Now: time.Now().UnixNano()}
	q.SetSource(x)
	seat := d.srv.seats.Take()
	answer, ok := seat.Answer(x.out[:0], &q)
	d.srv.seats.Return(seat)
	if x.late == nil {
		write(w, answer, ok)
		x.keep(answer)
		return
	}
	select {
	case answer = <-x.late:
		if answer != nil {
			d.srv.seats.Replied(len(answer))
		}
		write(w, answer, true)
	case <-r.Context().Done():
	}
}

func write(w http.ResponseWriter, answer []byte, ok bool) {
	switch {
	case !ok:
		http.Error(w, "the query could not be answered", http.StatusInternalServerError)
		return
	case len(answer) == 0: // as UDP would be silent
		http.Error(w, "the query is not answered", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	if seconds, ok := freshness(answer); ok {
		h.Set("Cache-Control", "max-age="+strconv.FormatUint(uint64(seconds), 10))
	} else {
		h.Set("Cache-Control", "no-store")
	}
	w.Write(answer)
}

func client(r *http.Request) netip.AddrPort {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// localOf is the address asked, also behind a wildcard address.
func (d *door) localOf(r *http.Request) netip.AddrPort {
	switch a := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		return unmapped(a.AddrPort())
	case *net.UDPAddr:
		return unmapped(a.AddrPort())
	}
	return d.local
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// exchange is a query and its answer, and the source of the query when it is detached; then it is not used again.
type exchange struct {
	in, out []byte
	late    chan []byte // nil: not detached; gets one answer, or nil where there will be none

	mu      sync.Mutex
	replied bool
}

// The buffers that an exchange begins with, and how much of them is kept.
const (
	inRoom, outRoom = 512, 4096
	pooledRoom      = 16 << 10
)

var exchanges = sync.Pool{New: func() any {
	return &exchange{in: make([]byte, 0, inRoom), out: make([]byte, 0, outRoom)}
}}

// keep puts x aside for another query.
func (x *exchange) keep(answer []byte) {
	if cap(answer) > cap(x.out) && cap(answer) <= pooledRoom {
		x.out = answer[:0]
	}
	if cap(x.in) <= pooledRoom {
		exchanges.Put(x)
	}
}

// Detached makes the request wait. It holds as little as can be meanwhile: a client can have many wait, and take them back.
func (x *exchange) Detached() {
	x.late = make(chan []byte, 1)
	x.in, x.out = nil, nil
}

var errManyMessages = errors.New("a response over HTTPS is one message")

// Reply hands the answer to the request. There is one: a zone transfer does not go over HTTPS.
func (x *exchange) Reply(msg []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.replied {
		return errManyMessages
	}
	x.replied = true
	x.late <- append([]byte(nil), msg...)
	return nil
}

// Done ends a request that got no reply.
func (x *exchange) Done() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.replied {
		x.replied = true
		x.late <- nil
	}
}
