package transport

// Source is where the queries of a transport in another package come from, and where their detached answers go.
type Source interface {
	// Detached is called when a query has been detached; Done will be called once for it.
	Detached()
	// Reply sends one message to who asked, and does not keep it.
	Reply(msg []byte) error
	// Done is called when no further reply will come.
	Done()
}

// SetSource makes s the source of q. It costs nothing until the query is detached.
func (q *Query) SetSource(s Source) { q.outside = s }

// origin is where the query came from, whichever way that was said.
func (q *Query) origin() source {
	switch {
	case q.via != nil:
		return proxied{q.from, *q.via}
	case q.from != nil:
		return q.from
	case q.outside != nil:
		return elsewhere{q.outside}
	}
	return inProcess(nil)
}

// elsewhere is a Source as this package sees it.
type elsewhere struct{ Source }

func (e elsewhere) detached()                          { e.Detached() }
func (e elsewhere) reply(_ *Pending, msg []byte) error { return e.Reply(msg) }
func (e elsewhere) done()                              { e.Done() }
