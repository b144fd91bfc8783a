package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
)

// Explanation is an answer with all that led to it. Its JSON form is kept stable:
// names and records are presentation text, times are in milliseconds.
type Explanation struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	RCode     string   `json:"rcode"`
	IsSecure  bool     `json:"secure"`
	Answer    []string `json:"answer"`
	Authority []string `json:"authority"`
	Errors    []string `json:"extended_errors"`
	TTL       uint32   `json:"ttl"` // seconds that all of it may be kept
	ElapsedMS float64  `json:"elapsed_ms"`
	Steps     []Step   `json:"steps"` // in their order
	Proofs    []Proof  `json:"proofs"`
	Policy    []Ruling `json:"policy"` // what rules decided, in order
	Spent     []Spent  `json:"spent"`  // of the one budget that the question has
}

// Step is one thing that was done to find the answer, or its proof.
type Step struct {
	AtMS     float64  `json:"at_ms"` // since the question
	Depth    int      `json:"depth"` // 0 for the question itself, more for look-ups on its behalf
	For      string   `json:"for"`   // the question that this was done for
	What     string   `json:"what"`  // as iterator.EventKind has it
	Text     string   `json:"text"`  // in a sentence
	Zone     string   `json:"zone,omitempty"`
	Server   string   `json:"server,omitempty"`
	Address  string   `json:"address,omitempty"`
	Protocol string   `json:"protocol,omitempty"`
	Sent     string   `json:"sent,omitempty"`
	Outcome  string   `json:"outcome,omitempty"`
	RCode    string   `json:"rcode,omitempty"`
	RTTMS    float64  `json:"rtt_ms,omitempty"`
	Octets   int      `json:"octets,omitempty"`
	Records  []string `json:"records,omitempty"`
	TTL      uint32   `json:"ttl,omitempty"` // seconds that it is remembered for
}

// Proof is what validation found, in one attempt: the chain of trust from the
// anchor down, then the sets of the answer.
type Proof struct {
	Status string      `json:"status"`
	Why    string      `json:"why,omitempty"`
	Zones  []ProofZone `json:"zones"`
	Sets   []ProofSet  `json:"sets"`
}

// ProofZone is one link of a chain of trust.
type ProofZone struct {
	Zone     string   `json:"zone"`
	Status   string   `json:"status"`
	Why      string   `json:"why,omitempty"`
	IsAnchor bool     `json:"anchor"` // trusted because it was told to
	DS       []string `json:"ds"`     // tag, algorithm, digest type
	Keys     []string `json:"keys"`   // tag, algorithm, what it does
}

// ProofSet is a set of records of the answer and who signed it.
type ProofSet struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Status string   `json:"status"`
	Why    string   `json:"why,omitempty"`
	By     []string `json:"by"` // good signatures: zone, tag, algorithm, until when
}

// Spent is what was used of a part of the budget.
type Spent struct {
	What  string `json:"what"`
	Used  int    `json:"used"`
	Limit int    `json:"limit"`
}

// Explain answers a question as Resolve does, and tells why the answer is what it
// is. What is in the cache is used, and shown as such; proofs are made anew.
func (r *Resolver) Explain(ctx context.Context, q dns.Question, opts Options) (*Explanation, error) {
	x := &explainer{start: r.cfg.Env.Now(), also: opts.Tracer}
	opts.Tracer, opts.explain, opts.budget = x, x, r.iterator.NewBudget()
	res, err := r.Resolve(ctx, q, opts)
	if err != nil {
		return nil, err
	}
	e := &x.e
	e.Name, e.Type, e.RCode, e.IsSecure, e.TTL = q.Name.String(), q.Type.String(), res.RCode.String(), res.IsSecure, res.TTL
	e.Answer, e.Authority = recordTexts(res.Answer), recordTexts(res.Authority)
	e.Errors, e.Policy = []string{}, append([]Ruling{}, res.Rulings...)
	for _, ede := range res.EDE {
		e.Errors = append(e.Errors, ede.String())
	}
	e.ElapsedMS = milliseconds(r.cfg.Env.Now().Sub(x.start))
	e.Spent = spentOf(opts.budget.Cost(), &r.cfg.Limits)
	if e.Steps == nil {
		e.Steps = []Step{}
	}
	if e.Proofs == nil {
		e.Proofs = []Proof{}
	}
	return e, nil
}

func spentOf(c Cost, l *Limits) []Spent {
	return []Spent{
		{"questions to servers", c.Queries, l.Queries}, {"octets received", c.Bytes, l.Bytes}, {"aliases followed", c.Aliases, l.Aliases},
		{"look-ups of servers' addresses", c.NSLookups, l.NSLookups}, {"signatures checked", c.Checks, l.Signatures}, {"rounds of NSEC3 hashing", c.Rounds, l.Rounds},
	}
}

// explainer writes an Explanation while a question is looked up.
type explainer struct {
	e        Explanation
	start    time.Time
	also     Tracer
	question dns.Question // of the look-up at hand
}

// Trace takes a step down.
func (x *explainer) Trace(ev Event) {
	if x.also != nil {
		x.also.Trace(ev)
	}
	switch ev.Kind {
	case iterator.EventStart:
		x.question = ev.Question
		return
	case iterator.EventAsk, iterator.EventEnd: // its reply says all; the end is the answer
		return
	}
	s := Step{
		AtMS: milliseconds(ev.Time.Sub(x.start)), Depth: ev.Depth, For: questionText(x.question), What: ev.Kind.String(), Text: stepText(&ev),
		Outcome: ev.Outcome.String(), RTTMS: milliseconds(ev.RTT), Octets: ev.Size, Records: recordTexts(ev.Answer), TTL: ev.TTL,
		Zone: ev.Zone.String(), Server: ev.Server.String(),
	}
	if ev.Addr != (netip.AddrPort{}) {
		s.Address, s.Protocol = ev.Addr.String(), ev.Proto.String()
	}
	if !ev.Sent.Name.IsZero() {
		s.Sent = questionText(ev.Sent)
	}
	if ev.Kind == iterator.EventReply && ev.Err == nil || ev.Kind == iterator.EventCached {
		s.RCode = ev.RCode.String()
	}
	x.e.Steps = append(x.e.Steps, s)
}

// stepText says in a sentence what happened.
func stepText(ev *Event) string {
	switch ev.Kind {
	case iterator.EventCached:
		from := "known from the cache: "
		if ev.Local {
			from = "known here, nobody is asked: "
		}
		return from + outcomeText(ev, ev.Question)
	case iterator.EventNSLookup:
		return fmt.Sprintf("the address of %s, a name server of %s, has to be found first", ev.Server, ev.Zone)
	case iterator.EventShared:
		return "another look-up asks that just now; its reply: " + outcomeText(ev, ev.Sent)
	}
	who := ev.Addr.String()
	if !ev.Server.IsZero() {
		who = ev.Server.String() + " (" + who + ")"
	}
	if ev.Err != nil {
		return fmt.Sprintf("%s gave no reply: %v", who, ev.Err)
	}
	return who + ": " + outcomeText(ev, ev.Sent)
}

func outcomeText(ev *Event, q dns.Question) string {
	switch ev.Outcome {
	case iterator.OutcomeAnswer:
		if len(ev.Answer) == 1 {
			return questionText(q) + " has 1 record"
		}
		return fmt.Sprintf("%s has %d records", questionText(q), len(ev.Answer))
	case iterator.OutcomeAlias:
		return fmt.Sprintf("%s is an alias of %s", q.Name, ev.Target)
	case iterator.OutcomeNoData:
		return fmt.Sprintf("%s exists and has no %s", q.Name, q.Type)
	case iterator.OutcomeNXDomain:
		return fmt.Sprintf("%s does not exist", q.Name)
	case iterator.OutcomeReferral:
		names := make([]string, 0, len(ev.Servers))
		for _, s := range ev.Servers {
			names = append(names, s.String())
		}
		return fmt.Sprintf("ask the servers of %s: %s", ev.Child, strings.Join(names, ", "))
	}
	return strings.TrimSpace(ev.Outcome.String() + " " + ev.Reason)
}

// judged takes down what validation came to.
func (x *explainer) judged(res *validator.Result) {
	p := Proof{Status: res.Status.String(), Why: res.Why, Zones: []ProofZone{}, Sets: []ProofSet{}}
	for i := range res.Chain {
		p.Zones = append(p.Zones, zoneProof(&res.Chain[i]))
	}
	for i := range res.Sets {
		s := &res.Sets[i]
		set := ProofSet{Name: s.Owner.String(), Type: s.Type.String(), Status: s.Status.String(), Why: s.Why, By: []string{}}
		for _, sig := range s.Sigs {
			if sig.IsGood {
				set.By = append(set.By, fmt.Sprintf("%s %d %s until %s", sig.Signer, sig.KeyTag, dnssec.AlgorithmName(sig.Algorithm), sig.Expiration.UTC().Format(time.RFC3339)))
			}
		}
		p.Sets = append(p.Sets, set)
	}
	x.e.Proofs = append(x.e.Proofs, p)
}

func zoneProof(l *validator.Link) ProofZone {
	z := ProofZone{Zone: l.Zone.String(), Status: l.Status.String(), Why: l.Why, IsAnchor: l.IsAnchor, DS: []string{}, Keys: []string{}}
	for _, ds := range l.DS {
		z.DS = append(z.DS, fmt.Sprintf("%d %s %d", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm), ds.DigestType))
	}
	for _, k := range l.Keys {
		text := fmt.Sprintf("%d %s", k.Tag, dnssec.AlgorithmName(k.Algorithm))
		if k.IsTrusted {
			text += " trusted"
		}
		if k.Signs {
			text += " signs"
		}
		z.Keys = append(z.Keys, text)
	}
	return z
}

func questionText(q dns.Question) string { return q.Name.String() + " " + q.Type.String() }

func recordTexts(list []dns.Record) []string {
	texts := make([]string, 0, len(list))
	for _, r := range list {
		texts = append(texts, fmt.Sprintf("%s %d %s %s", r.Name, r.TTL, r.Type, dns.AppendRDataText(nil, r.Type, r.Data)))
	}
	return texts
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
