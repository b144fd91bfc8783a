package transport

// Tapped returns a copy of the query whose answers, once it is detached, are shown to see before they are sent, whatever
// becomes of the sending. A Handler around another one watches with it what that one says later. see must not keep msg.
func (q *Query) Tapped(see func(msg []byte)) *Query {
	c := *q
	if c.from == nil {
		c.from = inProcess(nil)
	}
	c.from = tapped{c.from, see}
	return &c
}

type tapped struct {
	source
	see func(msg []byte)
}

func (t tapped) reply(p *Pending, msg []byte) error {
	t.see(msg)
	return t.source.reply(p, msg)
}
