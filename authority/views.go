package authority

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"onoma/dns"
	"onoma/transport"
)

// View is a server for some clients. A query is for it if all that is given of
// Match and To is true.
type View struct {
	Name string
	// Match are the clients. A key of it is one that the query says to be signed
	// with: whether it is, the view's Server finds out, which therefore has to know
	// the key. nil: everybody.
	Match ACL
	// To are the addresses that were asked; none: any.
	To []netip.Prefix
	// Server answers. Several views may have the same.
	Server *Server
}

// Views answer the same question differently, by who asks and where: from the
// Server of the first view that a query matches. Questions, transfers, NOTIFY and
// UPDATE all go that way. It is a [transport.Handler], and may be used by any
// number of goroutines.
type Views struct {
	current atomic.Pointer[viewSet]
}

// viewSet is all views at one time. It is immutable.
type viewSet struct {
	views []View
	rules []viewRule // the rest is one without conditions
	keyed bool       // the key of a query matters
	each  []*Server  // that there are, each once
}

// viewRule is a view made ready for many queries.
type viewRule struct {
	anybody bool
	who     []viewClient
	to      []netip.Prefix
	server  int // in viewSet.each
}

// viewClient is a [Who] whose key is folded wire form, "" for none.
type viewClient struct {
	prefix netip.Prefix
	key    string
}

// NewViews returns Views of which the first that matches a query answers it; rest
// answers where none does.
func NewViews(rest *Server, views ...View) *Views {
	v := new(Views)
	v.Set(rest, views...)
	return v
}

// Set replaces the views, all at once. Queries under way end as they began.
func (v *Views) Set(rest *Server, views ...View) {
	s := &viewSet{views: slices.Clone(views)}
	for _, view := range append(slices.Clone(views), View{Server: rest}) {
		r := viewRule{anybody: view.Match == nil, to: slices.Clone(view.To), server: slices.Index(s.each, view.Server)}
		if r.server < 0 {
			r.server = len(s.each)
			s.each = append(s.each, view.Server)
		}
		for _, w := range view.Match {
			r.who = append(r.who, viewClient{w.Prefix, w.Key.Fold().Wire()})
			s.keyed = s.keyed || !w.Key.IsZero()
		}
		s.rules = append(s.rules, r)
	}
	v.current.Store(s)
}

// All returns the views in their order, the rest aside.
func (v *Views) All() []View { return slices.Clone(v.current.Load().views) }

// NewWorker returns a Worker with memory of its own.
func (v *Views) NewWorker() transport.Worker { return &viewWorker{views: v} }

// viewWorker has a worker for each server.
type viewWorker struct {
	views   *Views
	set     *viewSet // that workers are for
	workers []transport.Worker
	last    int // which of them answered the query before
	key     [dns.MaxNameLen]byte
	fold    [dns.MaxNameLen]byte
}

// Answer appends the response of the view that the query is for.
func (w *viewWorker) Answer(dst []byte, tq *transport.Query) []byte {
	w.renew()
	w.last = w.pick(tq)
	return w.workers[w.last].Answer(dst, tq)
}

// Prepare lets the view look ahead that answered last: who asks is not known yet,
// and batches are much alike.
func (w *viewWorker) Prepare(msgs [][]byte) {
	w.renew()
	if p, ok := w.workers[w.last].(transport.Preparer); ok {
		p.Prepare(msgs)
	}
}

// renew makes workers for views that have been replaced. Servers that stay keep theirs.
func (w *viewWorker) renew() {
	set := w.views.current.Load()
	if set == w.set {
		return
	}
	workers := make([]transport.Worker, len(set.each))
	for i, s := range set.each {
		if w.set != nil {
			if at := slices.Index(w.set.each, s); at >= 0 {
				workers[i] = w.workers[at]
				continue
			}
		}
		workers[i] = s.NewWorker()
	}
	w.set, w.workers, w.last = set, workers, 0
}

// pick returns which server the query is for.
func (w *viewWorker) pick(tq *transport.Query) int {
	var key []byte
	if w.set.keyed {
		key = w.signedBy(tq.Msg)
	}
	client := tq.Client.Addr().Unmap().WithZone("")
	local := tq.Local.Addr().Unmap().WithZone("")
	for i := range w.set.rules {
		if r := &w.set.rules[i]; r.isFor(client, local, key) {
			return r.server
		}
	}
	return w.set.rules[len(w.set.rules)-1].server // which is for everybody
}

// isFor reports whether a query from client to local that says to be signed with
// key, in folded wire form, is for the view.
func (r *viewRule) isFor(client, local netip.Addr, key []byte) bool {
	if len(r.to) > 0 && !slices.ContainsFunc(r.to, func(p netip.Prefix) bool { return p.Contains(local) }) {
		return false
	}
	if r.anybody {
		return true
	}
	for i := range r.who {
		who := &r.who[i]
		if who.prefix.IsValid() && !who.prefix.Contains(client) {
			continue
		}
		if who.key == "" || who.key == string(key) {
			return true
		}
	}
	return false
}

// signedBy returns the folded name of the key that msg says to be signed with,
// nil for none. RFC 8945 §5.1: the TSIG is the last record of the additional
// section. Whatever else is wrong is for the view's server to say.
func (w *viewWorker) signedBy(msg []byte) []byte {
	h, ok := dns.ParseHeader(msg)
	if !ok || h.Additional == 0 {
		return nil
	}
	at, err := lastRecord(msg, h)
	if err != nil {
		return nil
	}
	name, off, err := dns.UnpackName(w.key[:0], msg, at)
	if err != nil || len(msg)-off < 2 || dns.Type(uint16(msg[off])<<8|uint16(msg[off+1])) != dns.TypeTSIG {
		return nil
	}
	return dns.AppendFolded(w.fold[:0], name)
}

// lastRecord returns where the last record of msg begins, which has one.
func lastRecord(msg []byte, h dns.Header) (start int, err error) {
	off := dns.HeaderLen
	for range int(h.Questions) {
		if off, err = dns.SkipName(msg, off); err != nil {
			return 0, err
		}
		off += 4
	}
	for range int(h.Answers) + int(h.Authority) + int(h.Additional) {
		start = off
		if off, err = dns.SkipName(msg, off); err != nil {
			return 0, err
		}
		if len(msg)-off < 10 {
			return 0, dns.ErrTruncated
		}
		off += 10 + int(uint16(msg[off+8])<<8|uint16(msg[off+9]))
	}
	return start, nil
}
