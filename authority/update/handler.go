package update

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

// Pipeline makes changes. Enqueue never waits; done is called once, when the
// changes are on the disk and served, or refused.
type Pipeline interface {
	Enqueue(changes []zone.Change, done func([]zone.Receipt, error))
}

// Options say how a Handler behaves.
type Options struct {
	Pipeline Pipeline
	// Most is how many requests may wait for the pipeline at once, and MostOctets
	// how long they may be together: 0 means 10,000 and 64 MiB. Others are told to
	// try again (SERVFAIL).
	Most, MostOctets int
	// MostSIG0 is how many signatures with public keys are checked in a second, all
	// clients together: 0 means 1,000. Each takes as long as fifty answers.
	MostSIG0 int
	// MostForwards is how many requests may wait for primaries at once, 0 means 100.
	MostForwards int
	Log          *slog.Logger // nil: none
}

// Settings are those of a zone.
type Settings struct {
	Policy Policy
	// Signed says that a signer of this server makes the zone's DNSSEC records:
	// updates of RRSIG, NSEC, NSEC3 and NSEC3PARAM are refused.
	Signed bool
	// Forward, where the zone's primary is another server, says which; nil: this one.
	Forward *Forward
}

// Handler decides about the updates of zones. See [authority.Options].
type Handler struct {
	o        Options
	zones    sync.Map // zone.ID to *Settings
	inFlight atomic.Int64
	octets   atomic.Int64
	sig0     pace
	told     pace // refusals that are logged for everybody
	forwards forwards
	counts   counts
}

// New returns a Handler that refuses the updates of all zones, until it is told of
// some.
func New(o Options) *Handler {
	for _, x := range []struct {
		n       *int
		without int
	}{{&o.Most, 10_000}, {&o.MostOctets, 64 << 20}, {&o.MostSIG0, 1000}, {&o.MostForwards, 100}} {
		if *x.n <= 0 {
			*x.n = x.without
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{o: o}
	h.sig0.every, h.told.every = perSecond(o.MostSIG0), perSecond(toldEach)
	return h
}

// Set says who may change a zone. What is under way goes on as it has begun.
func (h *Handler) Set(id zone.ID, s Settings) { h.zones.Store(id, &s) }

// Remove makes updates of the zone refused.
func (h *Handler) Remove(id zone.ID) { h.zones.Delete(id) }

func (h *Handler) settings(u *authority.UpdateRequest) (zone.ID, *Settings) {
	id := zone.IDOf(u.View, u.Zone.Origin())
	if s, ok := h.zones.Load(id); ok {
		return id, s.(*Settings)
	}
	return id, nil
}

// toldEach is how many refusals a second are worth a line to everybody: clients of
// UPDATE mostly get no reason, so their operators ask ours.
const toldEach = 5

// level says how important it is that a request has got a code. Prerequisites that
// do not hold are how clients find out.
func (h *Handler) level(code dns.RCode, now time.Time) slog.Level {
	switch {
	case code == dns.RCodeServFail:
		return slog.LevelWarn
	case (code == dns.RCodeRefused || code == dns.RCodeNotAuth) && h.told.take(now):
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Update is that of [authority.Updates].
func (h *Handler) Update(u *authority.UpdateRequest) (dns.RCode, *dns.EDE) {
	if err := h.update(u); err != nil {
		h.counts.add(err.Code)
		h.o.Log.Log(context.Background(), h.level(err.Code, u.Now), "update refused", "zone", u.Zone.Origin(), "client", u.Client, "key", u.Key, "error", err)
		return err.Code, &err.EDE
	}
	return dns.RCodeNoError, nil
}

// update judges a request, and hands it to the pipeline.
func (h *Handler) update(u *authority.UpdateRequest) *Error {
	id, s := h.settings(u)
	if s == nil {
		return errClosed
	}
	j := &job{policy: s.Policy, signed: s.Signed}
	var err *Error
	if j.client, err = h.identify(u, s); err != nil {
		return err
	}
	if !s.Policy.knows(&j.client) {
		return errDenied
	}
	if j.request, err = readRequest(u.Msg, u.Query.End, u.Query.Header, u.Zone.Origin()); err != nil {
		return err
	}
	if err := j.permit(); err != nil {
		return err
	}
	if !h.enter(len(u.Msg)) {
		return errBusy
	}
	h.enqueue(j, id, u)
	return nil
}

// enter counts a request of so many octets in, if there is room.
func (h *Handler) enter(octets int) bool {
	n, sum := h.inFlight.Add(1), h.octets.Add(int64(octets))
	if n <= int64(h.o.Most) && sum <= int64(h.o.MostOctets) {
		return true
	}
	h.leave(octets)
	return false
}

func (h *Handler) leave(octets int) {
	h.inFlight.Add(-1)
	h.octets.Add(int64(-octets))
}

func (h *Handler) enqueue(j *job, id zone.ID, u *authority.UpdateRequest) {
	reply, octets, author := u.Later(), len(u.Msg), j.client.author()
	change := zone.Change{Zone: id, By: zone.Author{Door: zone.DoorUpdate, Name: author}, Edit: j.edit}
	h.o.Pipeline.Enqueue([]zone.Change{change}, func(_ []zone.Receipt, err error) {
		h.leave(octets)
		h.done(reply, id, author, err)
	})
}

// done answers. It is called by the goroutine that commits.
func (h *Handler) done(reply *authority.UpdateReply, id zone.ID, client string, err error) {
	if err == nil {
		h.counts.add(dns.RCodeNoError)
		reply.Answer(dns.RCodeNoError, nil)
		return
	}
	answer := answerTo(err)
	h.counts.add(answer.Code)
	h.o.Log.Log(context.Background(), h.level(answer.Code, time.Now()), "update refused", "zone", id, "client", client, "error", err)
	reply.Answer(answer.Code, &answer.EDE)
}

// author returns who the client is, for the zone's history.
func (c *Client) author() string {
	switch {
	case c.Key.IsZero():
		return "address:" + c.Addr.String()
	case c.Kind == SIG0:
		return "sig0:" + c.Key.String()
	}
	return "key:" + c.Key.String()
}

// identify says who asks.
func (h *Handler) identify(u *authority.UpdateRequest, s *Settings) (Client, *Error) {
	c := Client{Addr: u.Client.Addr().Unmap().WithZone(""), Proto: u.Proto, Key: u.Key, Kind: TSIG}
	if !c.Key.IsZero() || !s.Policy.usesSIG0() {
		return c, nil
	}
	key, err := h.checkSIG0(u)
	c.Key, c.Kind = key, SIG0
	return c, err
}
