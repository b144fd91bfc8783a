package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// ahead is what a worker reads ahead with.
type ahead struct {
	zone.Ahead
	names [aheadBatch][]byte
	n     int
}

// aheadBatch is how many names are collected before they are looked at.
const aheadBatch = 64

// Prepare has the memory that the answers to msgs will be made of fetched into
// the processor's caches, for all of them together: one after the other they
// would wait for it ten times each. Whether that is worth its cost, and with
// which records, the query before tells: batches are much alike.
func (w *worker) Prepare(msgs [][]byte) {
	if !w.large {
		return
	}
	if w.ahead == nil {
		w.ahead = new(ahead)
	}
	w.table = w.srv.zones.current.Load()
	var v *zone.Version
	var origin []byte
	for _, msg := range msgs {
		name, ok := dns.QuestionName(msg)
		if !ok {
			continue
		}
		if v == nil || !dns.IsSubdomain(name, origin) {
			w.readAhead(v)
			if v = w.versionFor(name); v == nil {
				continue
			}
			origin = append(w.owner[:0], v.Origin().Wire()...)
		}
		if w.ahead.n == aheadBatch {
			w.readAhead(v)
		}
		w.ahead.names[w.ahead.n] = name
		w.ahead.n++
	}
	w.readAhead(v)
	w.table = nil
}

// readAhead looks at the names that were collected.
func (w *worker) readAhead(v *zone.Version) {
	a := w.ahead
	if v != nil {
		a.Read(v, a.names[:a.n], w.q.DO)
	}
	a.n = 0
}

// versionFor returns what is served for name, if it is large.
func (w *worker) versionFor(name []byte) *zone.Version {
	z, _ := w.table.enclosing(dns.AppendFolded(w.fold[:0], name), 0)
	if z == nil {
		return nil
	}
	if v := z.Current(); v != nil && v.IsLarge() {
		return v
	}
	return nil
}
