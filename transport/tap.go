package transport

// Tapped returns a copy of the query whose answers, once it is detached, are shown to see before they are sent, whatever
// becomes of the sending. A Handler around another one watches with it what that one says later. see must not keep msg.
func (q *Query) Tapped(see func(msg []byte)) *Query {
	c := *q
	c.from = tapped{q.origin(), see}
	return &c
}

// Tap is asked once for each query that is detached.
type Tap interface {
	// Detached is called within Detach, and returns what is shown that query's answers before they are sent, from whatever
	// goroutine sends them; nil where nothing is to be shown.
	Detached(q *Query) (see func(msg []byte))
}

// SetTap makes t the tap of this query. Unlike Tapped it costs nothing for a query that is answered at once. It replaces the
// tap set before, and stays with a Query that its transport uses again: who sets one sets it for each query.
func (q *Query) SetTap(t Tap) { q.tap = t }

// source returns where answers go once the query is detached.
func (q *Query) source() source {
	from := q.origin()
	if q.tap == nil {
		return from
	}
	if see := q.tap.Detached(q); see != nil {
		return tapped{from, see}
	}
	return from
}

type tapped struct {
	source
	see func(msg []byte)
}

func (t tapped) reply(p *Pending, msg []byte) error {
	t.see(msg)
	return t.source.reply(p, msg)
}
