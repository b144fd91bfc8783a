package secondary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

func (l Limits) filled() Limits {
	if l.Records <= 0 {
		l.Records = 200_000_000
	}
	if l.Octets <= 0 {
		l.Octets = 64 << 30
	}
	if l.Idle <= 0 {
		l.Idle = time.Minute
	}
	if l.Total <= 0 {
		l.Total = 2 * time.Hour
	}
	return l
}

// fetching is one transfer.
type fetching struct {
	s      *Secondary
	a      action
	number uint64
	base   *zone.Version // what is here; nil: nothing
	x      exchange
	in     incoming
	diff   difference
	whole  *wholeZone // of AXFR
	report Report
}

// fetch asks for a zone, or for what has changed in it, and has it served.
func (s *Secondary) fetch(ctx context.Context, a action) result {
	if s.options.Turn != nil {
		done, ok := s.options.Turn(ctx, a.id)
		if !ok {
			r := result{elsewhere: true}
			s.head(a.id, a.signer, a.source, &r)
			return r
		}
		defer done()
	}
	f := &fetching{s: s, a: a, x: exchange{s: s, primary: a.primary}}
	began := s.options.Clock()
	f.a.limits = a.limits.filled()
	f.number, f.base, _ = s.options.Zones.Head(a.id)
	f.report = Report{Zone: a.id, Primary: a.primary, IXFR: a.task == taskIXFR}
	if f.base != nil {
		f.report.From = f.base.Serial()
		if a.signer != nil {
			f.a.source = a.source.from(s.options.Zones, a.id, f.number)
			f.report.From = f.a.source.serial
		}
	} else if a.task == taskIXFR {
		return result{whole: true} // somebody has taken the version away
	}
	if a.task == taskIXFR && a.signer != nil && !f.a.source.known {
		return result{whole: true} // nobody knows what the primary's version was
	}
	r := f.run(ctx)
	if ctx.Err() == nil { // else the server ends
		f.report.Kind, f.report.To, f.report.Err = f.in.kind, f.in.serial, r.err
		f.report.Messages, f.report.Records, f.report.Octets = f.in.messages, f.in.records, f.in.octets
		f.report.Took = s.options.Clock().Sub(began)
		s.ended(&f.report, r.whole)
	}
	return r
}

// run has the messages read, and what has come submitted.
func (f *fetching) run(ctx context.Context) result {
	total, cancel := context.WithTimeoutCause(ctx, f.a.limits.Total, fmt.Errorf("not finished after %s", f.a.limits.Total))
	defer cancel()
	err := f.receive(total, false)
	if f.in.messages == 0 && f.x.isStale(err) && total.Err() == nil {
		err = f.receive(total, true)
	}
	if err != nil {
		if cause := context.Cause(total); cause != nil && ctx.Err() == nil {
			err = cause
		}
		return f.failed(err)
	}
	r := f.submit(ctx)
	if f.in.hasExpire {
		r.expire, r.hasExpire = time.Duration(f.in.expire)*time.Second, true
	}
	return r
}

// receive reads the messages of the answer, one at a time.
func (f *fetching) receive(ctx context.Context, fresh bool) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(f.s.options.DialTime+f.a.limits.Idle, func() { cancel(errIdle) })
	defer idle.Stop()
	f.begin()
	defer f.x.close()
	if err = f.x.open(ctx, f.query(), fresh); err != nil {
		return err
	}
	f.in.id = f.x.id
	for f.in.state != stateDone {
		idle.Reset(f.a.limits.Idle)
		msg, err := f.x.next()
		if err != nil {
			return f.cut(ctx, err)
		}
		if err := f.in.message(msg); err != nil {
			return err
		}
	}
	if err := f.x.complete(); err != nil {
		return err
	}
	f.x.whole = true
	if f.whole == nil {
		f.whole = f.diff.whole
	}
	if f.whole != nil {
		return f.whole.build()
	}
	return nil
}

var errIdle = errors.New("no message for too long")

// cut says why there is no further message.
func (f *fetching) cut(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case f.in.state == stateSecond && f.in.question.Type == dns.TypeIXFR:
		return errOnly
	case errors.Is(err, io.EOF) && f.in.messages > 0:
		return fmt.Errorf("the answer ends in the middle, behind %d records", f.in.records)
	case errors.Is(err, io.EOF):
		return errors.New("the connection was closed without an answer")
	}
	return err
}

// begin makes ready for the first message.
func (f *fetching) begin() {
	q := dns.Question{Name: f.a.id.Name, Type: dns.TypeAXFR, Class: dns.ClassIN}
	if f.base != nil {
		q.Class = f.base.Class()
	}
	f.in = incoming{question: q, limits: f.a.limits}
	f.diff, f.whole = difference{origin: f.a.id.Name}, nil
	if f.a.task == taskIXFR {
		f.in.question.Type, f.in.ours, f.in.sink = dns.TypeIXFR, f.report.From, &f.diff
		return
	}
	f.whole = newWholeZone(f.a.id.Name)
	f.in.sink = f.whole
}

// query: RFC 1995 §3 has the SOA record of our version in the authority section.
func (f *fetching) query() *dns.Message {
	m := newQuery(f.in.question, true)
	if f.a.task == taskIXFR {
		soa := f.base.SOA()
		data := slices.Clone(soa.First())
		dns.SetSOASerial(data, f.report.From)
		m.Authority = []dns.Record{{Name: f.a.id.Name, Type: dns.TypeSOA, Class: f.base.Class(), TTL: soa.TTL(), Data: data}}
	}
	return m
}

// failed decides what follows from an error. What is wrong with a difference need
// not be wrong with the whole zone.
func (f *fetching) failed(err error) result {
	var code rcodeError
	var down unreachable
	r := result{err: err, isDown: errors.As(err, &down)}
	if f.a.task == taskIXFR && !r.isDown {
		switch {
		case errors.As(err, &code):
			r.whole = slices.Contains([]dns.RCode{dns.RCodeFormErr, dns.RCodeServFail, dns.RCodeNotImp}, dns.RCode(code))
		case f.in.messages > 0 && f.in.kind == authority.Incremental:
			r.whole = true
		default:
			r.whole = errors.Is(err, errOnly)
		}
	}
	return r
}

// submit hands over what has come.
func (f *fetching) submit(ctx context.Context) result {
	r := result{serial: f.in.serial}
	if f.in.kind == authority.UpToDate {
		return r
	}
	var bad error
	change := zone.Change{
		Zone: f.a.id, Base: f.number, First: f.number == 0, KeepSerial: true,
		By: zone.Author{Door: zone.DoorTransfer, Name: "primary:" + f.a.primary.Addr.String()},
	}
	if f.a.signer != nil {
		change.By.Comment = remarkOf(r.serial)
	}
	if f.whole != nil {
		change.Replace = f.whole.version
	} else {
		change.Edit = func(e *zone.Editor) error {
			bad = f.diff.apply(e, f.a.signer)
			return bad
		}
	}
	receipts, err := f.s.options.Zones.Submit(ctx, change)
	now := f.a.source
	if err == nil {
		now = source{number: receipts[0].Version, serial: r.serial, known: true}
	}
	f.s.head(f.a.id, f.a.signer, now, &r)
	var refusal *zone.Refusal
	switch {
	case err == nil:
		r.done = true
	case bad != nil:
		r.whole, r.err = true, bad
	case change.Edit != nil && errors.Is(err, zone.ErrUnfit): // whose digest cannot be checked, say
		r.whole, r.err = true, err
	case errors.Is(err, zone.ErrConflict):
		r.overrun, r.err = true, err
	case errors.As(err, &refusal):
		r.refused, r.err = true, err
	default:
		r.local, r.err = true, err
	}
	return r
}

// head notes what is here. Of a zone that is signed here, before is what was known of
// where a version came from.
func (s *Secondary) head(id zone.ID, signer Signer, before source, r *result) {
	number, v, ok := s.options.Zones.Head(id)
	if !ok || v == nil {
		return
	}
	r.have, r.ours, r.times = true, v.Serial(), timesOf(v)
	if signer != nil {
		r.source = before.from(s.options.Zones, id, number)
		r.ours = r.source.serial
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
