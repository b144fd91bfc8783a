package inspect

import (
	"context"
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/resolver/iterator"
)

// TraceOptions say where and how a journey goes. The zero value needs an Env.
type TraceOptions struct {
	Env      iterator.Env
	Hints    []iterator.Hint // nil: the root servers of the Internet
	Port     uint16          // of the servers asked; 0: 53
	Loopback bool            // servers on loopback addresses may be asked, as in a lab
	Minimise bool            // send each server only the labels that it needs (RFC 9156)
	NoIPv4   bool
	NoIPv6   bool
}

// Trace follows the question from the root with a resolver of its own, whose
// cache is empty. A question that cannot be resolved is a journey with its
// reason and no error: the error is for one that could not be made at all.
func Trace(ctx context.Context, q dns.Question, o TraceOptions) (*Journey, error) {
	r := &recorder{journey: Journey{Question: q}, side: map[int]dns.Name{}}
	it := iterator.New(iterator.Config{
		Env: o.Env, Hints: o.Hints, UpstreamPort: o.Port, AllowLoopbackServers: o.Loopback,
		NoMinimise: !o.Minimise, NoIPv4: o.NoIPv4, NoIPv6: o.NoIPv6, Tracer: r,
	})
	defer it.Close()
	start := o.Env.Now()
	a, err := it.Resolve(ctx, q, iterator.Options{})
	j := &r.journey
	j.Elapsed = o.Env.Now().Sub(start)
	var failed *iterator.Failure
	switch {
	case errors.As(err, &failed):
		j.RCode, j.EDE = dns.RCodeServFail, failed.EDE
	case err != nil:
		return j, fmt.Errorf("following %s: %w", q.Name, err)
	default:
		j.RCode, j.Answer, j.EDE = a.RCode, r.answer, a.EDE
	}
	return j, nil
}

// recorder writes the resolver's steps down as hops.
type recorder struct {
	journey Journey
	answer  []dns.Record
	side    map[int]dns.Name // at which depth which name server is looked for
}

// Trace implements iterator.Tracer.
func (r *recorder) Trace(e iterator.Event) {
	switch e.Kind {
	case iterator.EventNSLookup:
		r.side[e.Depth+1] = e.Server
	case iterator.EventReply:
		r.journey.Hops = append(r.journey.Hops, r.hop(e))
	case iterator.EventEnd:
		r.answer = e.Answer
	}
}

func (r *recorder) hop(e iterator.Event) Hop {
	h := Hop{
		Role: RoleOf(e.Zone), Zone: e.Zone, Server: e.Server, Address: e.Addr, Proto: e.Proto.String(),
		Asked: e.Sent, RCode: e.RCode, RTT: e.RTT, Records: e.Answer,
	}
	if e.Depth > 0 {
		h.Side = r.side[e.Depth]
	}
	switch e.Outcome {
	case iterator.OutcomeReferral:
		h.Outcome, h.Records = OutcomeReferral, referral(e)
		h.keep(fmt.Sprintf("%s NS", e.Child), e.TTL)
	case iterator.OutcomeAnswer:
		h.Outcome = OutcomeAnswer
		h.keep(fmt.Sprintf("%s %s", e.Sent.Name, e.Sent.Type), e.TTL)
	case iterator.OutcomeAlias:
		h.Outcome = OutcomeAlias
		h.keep(aliasKept(e), e.TTL)
	case iterator.OutcomeNoData:
		h.Outcome = OutcomeNoData
		h.keep(fmt.Sprintf("that %s has no %s", e.Sent.Name, e.Sent.Type), e.TTL)
	case iterator.OutcomeNXDomain:
		h.Outcome = OutcomeNXDomain
		h.keep(fmt.Sprintf("that %s does not exist", e.Sent.Name), e.TTL)
	default:
		h.Outcome, h.Error = OutcomeError, failure(e)
	}
	return h
}

func (h *Hop) keep(what string, seconds uint32) {
	h.Keeps = append(h.Keeps, Keep{what, secondsToDuration(seconds)})
}

func aliasKept(e iterator.Event) string {
	if len(e.Answer) == 0 {
		return "the alias"
	}
	return fmt.Sprintf("%s %s", e.Answer[0].Name, e.Answer[0].Type)
}

// referral returns the NS records that a reply led on with.
func referral(e iterator.Event) []dns.Record {
	var rs []dns.Record
	for _, s := range e.Servers {
		rs = append(rs, dns.Record{Name: e.Child, Type: dns.TypeNS, Class: dns.ClassIN, TTL: e.TTL, Data: s.Append(nil)})
	}
	return rs
}

// failure tells why a reply did not help, or that there was none.
func failure(e iterator.Event) string {
	switch {
	case e.Outcome == iterator.OutcomeTruncated:
		return "the reply does not fit a datagram; asked again over TCP"
	case errors.Is(e.Err, context.DeadlineExceeded):
		return "no reply within " + Duration(e.RTT)
	case e.Err != nil:
		return e.Err.Error()
	case e.Reason != "":
		return e.Reason
	}
	return e.RCode.String()
}
