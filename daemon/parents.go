package daemon

import (
	"strings"
	"sync"

	"onoma/config"
	"onoma/dns"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/parent"
	"onoma/zone"
)

// parents is the signer's way to the parents of zones. It is a signer.Parents.
type parents struct {
	d       *Daemon
	watcher *parent.Watcher

	mu   sync.Mutex
	last map[zone.ID]wish
}

// wish is what a zone's parent was last asked for.
type wish struct {
	signer.Wish
	told []byte // the CDS that it was told of
	e    *entry
	seen parent.Condition // that the log has
	need string           // of a person; "": nothing
}

func (d *Daemon) openParents(conf *config.Config) *parents {
	p := &parents{d: d, last: make(map[zone.ID]wish)}
	p.watcher = parent.New(parent.Options{
		Resolve: d.lookups.resolve, Port: uint16(conf.Lookups.Port), Keys: d.keys.Find,
		Changed: func(id zone.ID, v parent.View) {
			p.log(id, &v)
			d.signer.Wake(id)
			d.signals.look(id)
		},
		Log: d.log,
	})
	d.parents = p
	return p
}

// Want has the Watcher look after the DS of a zone.
func (p *parents) Want(id zone.ID, w signer.Wish) {
	e := p.d.zones.get(id)
	if e == nil || id.Name.IsRoot() { // it has no parent
		return
	}
	told := octetsOf(w.DS, w.CDS)
	p.mu.Lock()
	had, was := p.last[id]
	isSame := was && had.e == e && w.Equal(&had.Wish)
	isNews := w.IsTold && string(had.told) != string(told)
	next := wish{Wish: w, told: had.told, e: e, seen: had.seen, need: had.need}
	if isNews {
		next.told = told
	}
	p.last[id] = next
	p.mu.Unlock()
	if !w.IsSigned && len(w.DS) == 0 && !was {
		return
	}
	if !isSame {
		p.watcher.Set(p.zone(id, e, &w))
		p.d.signals.look(id)
	}
	if isNews { // whether by NOTIFY, by UPDATE or by none of them, the zone says
		p.watcher.Tell(id, dns.TypeCDS)
	}
}

// log tells of what the parent's servers have, when that is something else.
func (p *parents) log(id zone.ID, v *parent.View) {
	p.mu.Lock()
	w, ok := p.last[id]
	isNews := ok && w.seen != v.Condition
	if ok {
		w.seen, w.need = v.Condition, ""
		for i := range v.Findings {
			if f := &v.Findings[i]; f.Level == parent.Alarm && w.need == "" {
				w.need = adviceOf(f)
			}
		}
		p.last[id] = w
	}
	p.mu.Unlock()
	if isNews {
		p.d.log.Info("the DS of a zone at its parent", "zone", id.String(), "parent", v.Parent.String(), "condition", v.Condition.String())
	}
}

// adviceOf says what is, and what to do.
func adviceOf(f *parent.Finding) string {
	return strings.TrimSpace(strings.TrimRight(f.Text, ".") + ". " + f.Fix)
}

// need is why somebody should look at a zone's parent; "": nobody needs to.
func (p *parents) need(id zone.ID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id].need
}

// conditions counts zones by what their parent's servers were seen to have last.
func (p *parents) conditions() map[string]int {
	out := make(map[string]int)
	for c := parent.Unknown; c <= parent.Broken; c++ {
		out[c.String()] = 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.last {
		out[w.seen.String()]++
	}
	return out
}

// octetsOf tells one set of records from another.
func octetsOf(lists ...[]dns.DS) (b []byte) {
	for _, list := range lists {
		for _, d := range list {
			b = append(append(b, byte(len(d.Digest))), d.RData()...)
		}
		b = append(b, 0)
	}
	return b
}

func (p *parents) zone(id zone.ID, e *entry, w *signer.Wish) parent.Zone {
	s := &e.plan.settings.Parent
	z := parent.Zone{
		ID: id, Notify: s.Notify, ReportTo: p.d.conf.Load().Server.ReportAgent, Delays: parent.Delays{Overdue: s.Overdue},
		Wanted:   parent.Wanted{DS: w.DS, Keys: w.Keys, Known: w.Known, Unmanaged: e.plan.signing.Policy.Parent == keys.ByHand},
		WasThere: w.WasThere,
	}
	for _, r := range s.Servers {
		z.Parents = append(z.Parents, r.Address...)
	}
	if len(s.Push) > 0 && len(s.Push[0].Address) > 0 {
		z.Push = &parent.Push{Server: s.Push[0].Address[0], Key: s.Push[0].Key}
	}
	return z
}

// Seen returns what the parent's servers have.
func (p *parents) Seen(id zone.ID) keys.Parent {
	v, ok := p.watcher.State(id)
	if !ok || v.Counted == 0 {
		return keys.Parent{}
	}
	out := keys.Parent{At: v.At, Asked: v.Counted, Answered: v.Answered, TTL: v.TTL, NegativeTTL: v.NegativeTTL, Delay: v.Delay}
	for _, s := range v.DS {
		out.DS = append(out.DS, keys.SeenDS{DS: s.DS, Servers: s.Servers})
	}
	return out
}

// Forget ends the watch over a zone.
func (p *parents) Forget(id zone.ID) {
	p.mu.Lock()
	delete(p.last, id)
	p.mu.Unlock()
	p.watcher.Forget(id)
}
