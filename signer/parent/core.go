package parent

import (
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// core knows what parents have, and decides what is asked and said when: what was found, seen and answered comes in, tasks
// go out. It has no sockets, no clock and no goroutine. One caller at a time.
type core struct {
	queue
	spread  time.Duration
	timeout time.Duration
	random  func(n int64) int64 // 0 to n-1
	zones   map[zone.ID]*watched
	changed []*watched // of which something else is seen than before, the first one first
}

// watched is a zone. At rest it costs its memory, and a timer for each server of its parent.
type watched struct {
	Zone
	begun  time.Time // when what is wanted became what it is
	eager  time.Time // when something was last done that the parent may act upon
	birth  time.Time // when it is first looked at
	was    bool      // what is wanted was at all servers
	delay  time.Duration
	isCalm bool // all is as it should be, and nothing is under way

	find      *job
	parent    dns.Name
	found     time.Time
	findError string
	looks     []*look
	ttl, none time.Duration

	tells  [2]tell // of CDS and CSYNC
	push   *job
	pushed *Pushed
	report *Report // the last one

	print     string // of what was last said to have been seen
	isChanged bool   // in core.changed
}

// look is a server of the parent, as it is looked at.
type look struct {
	job
	Server
}

// tell is the telling of one type.
type tell struct {
	job       *job
	round     time.Time // who has answered since then need not be told again
	receivers []Telling
	err       string // why there are none
}

var tellTypes = [2]dns.Type{dns.TypeCDS, dns.TypeCSYNC}

func newCore(o Options, random func(int64) int64) *core {
	return &core{
		queue:  queue{most: o.Most, each: o.MostEach, places: make(map[netip.AddrPort]*place)},
		spread: o.Spread, timeout: o.Timeout, random: random, zones: make(map[zone.ID]*watched),
	}
}

// set takes a zone, or how it now is.
func (c *core) set(z Zone, now time.Time) {
	z.Delays = z.Delays.orDefault()
	w := c.zones[z.ID]
	if w == nil {
		w = &watched{Zone: z, begun: now, eager: now, was: z.WasThere}
		w.find = &job{zone: w, kind: finding, at: -1}
		c.zones[z.ID] = w
		c.first(w, now)
		return
	}
	parents := w.Parents
	isSame := sameWanted(w.Wanted, z.Wanted)
	w.Zone = z
	if !isSame {
		c.begin(w, now)
	}
	if !slices.Equal(parents, z.Parents) {
		c.found(w.find, found{parent: w.parent, servers: configured(z.Parents)}, now)
		c.now(w.find)
	}
	c.note(w, now)
}

// first plans the first looks: at once where a DS is still to come or to go, and some time where all was as it is to be, for a
// server that starts may have many such zones.
func (c *core) first(w *watched, now time.Time) {
	at := now
	if w.WasThere == (len(w.Wanted.DS) > 0) {
		at = now.Add(time.Duration(c.random(int64(c.spread))))
	}
	w.birth = at
	if len(w.Parents) > 0 {
		c.servers(w, configured(w.Parents), at)
	}
	c.later(w.find, at)
}

func configured(addrs []netip.AddrPort) []foundServer {
	out := make([]foundServer, len(addrs))
	for i, a := range addrs {
		out[i].addr = a
	}
	return out
}

// expect takes what the parent should have from now on, and has it looked at.
func (c *core) expect(w *watched, want Wanted, now time.Time) {
	if sameWanted(w.Wanted, want) {
		w.Wanted = want
		c.note(w, now)
		return
	}
	w.Wanted = want
	c.begin(w, now)
}

// begin begins a change: what was seen before says nothing of what is now.
func (c *core) begin(w *watched, now time.Time) {
	w.begun, w.was, w.isCalm, w.delay, w.report = now, false, false, 0, nil
	w.ttl, w.none = 0, 0
	for _, l := range w.looks {
		w.ttl = max(w.ttl, l.TTL)
	}
	if w.pushed != nil {
		w.pushed = &Pushed{Server: w.pushed.Server}
	}
	c.wake(w, now)
	c.note(w, now)
}

// wake has all servers looked at now, and often from now on.
func (c *core) wake(w *watched, now time.Time) {
	w.eager = now
	if len(w.looks) == 0 || now.Sub(w.found) > w.Delays.Rest {
		c.now(w.find)
	}
	for _, l := range w.looks {
		c.now(&l.job)
	}
}

// tell has the parent told of new records of a type. They are at all servers of the zone: RFC 9859 §4.2 has the parent told
// when it would see the same everywhere.
//
// What the parent has already, it is not told of: so as long as that is not known, it is looked at first, and for a while.
func (c *core) tell(w *watched, t dns.Type, now time.Time) {
	at := now
	if t == dns.TypeCDS && w.condition() == Unknown {
		if at = w.birth; at.Before(now) {
			at = now
		}
		at = at.Add(4*w.Delays.Often + 2*c.timeout)
	}
	if t == dns.TypeCDS && w.Push != nil && !w.Wanted.Unmanaged {
		c.dropPush(w)
		w.push = &job{zone: w, kind: pushing, place: w.Push.Server, at: -1}
		w.pushed = &Pushed{Server: w.Push.Server}
		c.later(w.push, at)
	}
	if i := slices.Index(tellTypes[:], t); i >= 0 && w.Notify {
		x := &w.tells[i]
		c.drop(x.job)
		*x = tell{round: now, job: &job{zone: w, kind: telling, at: -1}}
		c.later(x.job, at)
	}
	if at == now {
		c.watch(w, now)
	}
}

// watch has the servers looked at soon and often: the parent has just been told something.
func (c *core) watch(w *watched, now time.Time) {
	w.eager = now
	for _, l := range w.looks {
		if l.phase == rests && l.Failures == 0 {
			c.later(&l.job, now.Add(w.Delays.Often))
		}
	}
}

// hurry has done what waited for the parent to be known.
func (c *core) hurry(w *watched) {
	for _, j := range []*job{w.push, w.tells[0].job} {
		if j != nil && j.tries == 0 && j.phase == rests && !j.isBegun {
			c.now(j)
		}
	}
}

func (c *core) dropPush(w *watched) {
	c.drop(w.push)
	w.push = nil
}

// forget ends what is about a zone.
func (c *core) forget(id zone.ID) {
	w := c.zones[id]
	if w == nil {
		return
	}
	delete(c.zones, id)
	c.drop(w.find)
	for _, l := range w.looks {
		c.drop(&l.job)
	}
	for i := range w.tells {
		c.drop(w.tells[i].job)
	}
	c.dropPush(w)
}

// found is what came of looking for the parent.
type found struct {
	parent  dns.Name
	servers []foundServer
	err     string
}

type foundServer struct {
	name dns.Name
	addr netip.AddrPort
}

// found takes who serves the parent. Where that was not found, those that were known are.
func (c *core) found(j *job, f found, now time.Time) {
	w := j.zone
	w.findError = f.err
	if !f.parent.IsZero() {
		w.parent = f.parent
	}
	if len(f.servers) > 0 {
		w.found = now
		c.servers(w, f.servers, now)
	}
	if f.err == "" {
		j.tries = 0
		c.later(j, now.Add(c.jittered(w.Delays.Rest)))
	} else {
		j.tries++
		c.later(j, now.Add(c.jittered(backOff(c.timeout, j.tries, w.Delays.Rest))))
	}
	c.note(w, now)
}

// mostServers bounds the servers of a parent.
const mostServers = 64

// servers makes them the servers of w's parent. New ones are looked at from that time on.
func (c *core) servers(w *watched, servers []foundServer, at time.Time) {
	old := w.looks
	w.looks = make([]*look, 0, min(len(servers), mostServers))
	for _, s := range servers {
		s.addr = netip.AddrPortFrom(s.addr.Addr().Unmap(), s.addr.Port())
		if len(w.looks) == mostServers || w.look(s.addr) != nil {
			continue
		}
		if i := slices.IndexFunc(old, func(l *look) bool { return l.Addr == s.addr }); i >= 0 {
			w.looks = append(w.looks, old[i])
			old = slices.Delete(old, i, i+1)
			continue
		}
		l := &look{job: job{zone: w, kind: looking, place: s.addr, at: -1}, Server: Server{Addr: s.addr, Name: s.name}}
		w.looks = append(w.looks, l)
		c.later(&l.job, at)
	}
	for _, l := range old {
		c.drop(&l.job)
	}
}

func (w *watched) look(addr netip.AddrPort) *look {
	for _, l := range w.looks {
		if l.Addr == addr {
			return l
		}
	}
	return nil
}

// seen is what came of a look.
type seen struct {
	ds          []dns.DS
	ttl         time.Duration // of the set, or of the negative answer
	serial      uint32
	signed      bool
	parent      dns.Name // who says so, if it said
	err         string
	unreachable bool // nothing can be sent to such an address from here
}

// saw takes what a server said.
func (c *core) saw(j *job, s seen, now time.Time) {
	w := j.zone
	l := w.look(j.place)
	if l == nil {
		return
	}
	l.Asked = now
	isNews := false
	if s.err != "" {
		l.fail(s, now)
	} else {
		isNews = !l.Seen.IsZero() && !sameDS(l.DS, s.ds)
		l.learn(s, now)
		if w.parent.IsZero() {
			w.parent = s.parent
		}
		if len(s.ds) > 0 {
			w.ttl = max(w.ttl, s.ttl)
		} else {
			w.none = max(w.none, s.ttl)
		}
	}
	c.settle(w, now)
	if isNews {
		c.stir(w, l, now)
	}
	c.plan(w, l, now)
	c.note(w, now)
}

// stir has the other servers looked at, and all of them often: something is under way.
func (c *core) stir(w *watched, but *look, now time.Time) {
	w.eager = now
	for _, l := range w.looks {
		if l != but && now.Sub(l.Asked) > w.Delays.Often {
			c.now(&l.job)
		}
	}
}

func (l *look) fail(s seen, now time.Time) {
	if l.Failures == 0 {
		l.Failing = now
	}
	l.Failures++
	l.Error = s.err
	if s.unreachable {
		l.Error = unreachableText
	}
}

const unreachableText = "no way to it from here"

func (l *look) learn(s seen, now time.Time) {
	if l.Seen.IsZero() || !sameDS(l.DS, s.ds) {
		l.Since = now
	}
	l.DS, l.TTL, l.Signed, l.Seen = s.ds, s.ttl, s.signed, now
	if len(s.ds) == 0 {
		l.TTL = 0
	}
	if s.serial != 0 {
		l.Serial = s.serial
	}
	l.Error, l.Failures, l.Failing, l.Excused = "", 0, time.Time{}, ""
}

// settle notes whether the change is done.
func (c *core) settle(w *watched, now time.Time) {
	c.excuse(w, now)
	condition := w.condition()
	if condition != Secure && condition != Insecure {
		if w.isCalm = false; condition != Unknown {
			c.hurry(w)
		}
		return
	}
	if !w.isCalm {
		w.isCalm = true
		c.calm(w, now)
	}
	if w.delay == 0 {
		w.delay = max(now.Sub(w.begun), 1)
	}
	if condition == Secure && len(w.Wanted.DS) > 0 {
		w.was = true
	}
	w.report = nil
	c.dropPush(w)
	if t := &w.tells[0]; t.job != nil {
		c.drop(t.job) // it has done what it was to be told
		t.job = nil
	}
}

// calm has the servers that were looked at often looked at now and then.
func (c *core) calm(w *watched, now time.Time) {
	for _, l := range w.looks {
		if l.phase == rests && l.Failures == 0 {
			c.later(&l.job, now.Add(c.jittered(w.Delays.Rest)))
		}
	}
}

// plan sets when a server is looked at again.
func (c *core) plan(w *watched, l *look, now time.Time) {
	wait := w.pace(now)
	if l.Failures > 0 {
		wait = max(wait, backOff(w.Delays.Often, l.Failures, w.Delays.Rest))
	}
	c.later(&l.job, now.Add(c.jittered(wait)))
}

// pace is how long to wait between two looks: while a change is under way a fifth of the time that it has taken so far, so
// that its end is known soon, and a parent that never does anything is asked a few dozen times a day.
func (w *watched) pace(now time.Time) time.Duration {
	d := w.Delays
	switch w.condition() {
	case Secure, Insecure:
		return d.Rest
	}
	return min(max(now.Sub(w.eager)/5, d.Often), d.Rest)
}

// backOff doubles a delay with each try.
func backOff(first time.Duration, tries int, most time.Duration) time.Duration {
	return min(first<<min(max(tries-1, 0), 20), most)
}

// jittered spreads what would fall together: by a tenth.
func (c *core) jittered(d time.Duration) time.Duration {
	return d - d/20 + time.Duration(c.random(int64(d/10)+1))
}
