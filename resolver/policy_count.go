package resolver

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/resolver/policy"
)

// Ruling is what a rule decided about a question.
type Ruling struct {
	List    string        `json:"list"`              // the policy zone, the block list; "local" for local data
	Rule    string        `json:"rule,omitempty"`    // of a policy zone: the owner
	Trigger string        `json:"trigger,omitempty"` // of a policy zone
	Action  policy.Action `json:"action"`
}

// RuleCount is how often rules of a list decided.
type RuleCount struct {
	List   string
	Action policy.Action
	Count  uint64
}

// ruleCounts counts what rules decide, by list. What was counted stays when rules are replaced.
type ruleCounts struct{ all sync.Map } // of ruleKey to *atomic.Uint64

type ruleKey struct {
	list   string
	action policy.Action
}

func (c *ruleCounts) add(list string, a policy.Action) {
	n, ok := c.all.Load(ruleKey{list, a})
	if !ok {
		n, _ = c.all.LoadOrStore(ruleKey{list, a}, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// RuleCounts returns how often rules decided, in no order.
func (r *Resolver) RuleCounts() []RuleCount {
	var out []RuleCount
	r.policing.counts.all.Range(func(key, n any) bool {
		k := key.(ruleKey)
		out = append(out, RuleCount{k.list, k.action, n.(*atomic.Uint64).Load()})
		return true
	})
	return out
}

// ruling says which rule a verdict is by.
func (g *group) ruling(d policy.Verdict, name dns.Name, t dns.Type) Ruling {
	out := Ruling{List: g.View.List(d, name, t), Action: d.Action}
	if d.Source == policy.FromRPZ {
		out.Rule, out.Trigger = g.View.Rule(d, name, t), d.Match.Trigger.String()
	}
	return out
}

// note counts a verdict, and logs it where that is wanted.
func (g *group) note(r *Resolver, d policy.Verdict, client netip.Addr, q *dns.Query) {
	if name, err := dns.NameFromWire(q.Name); err == nil {
		g.noted(r, d, client, dns.Question{Name: name, Type: q.Type, Class: dns.ClassIN}, name)
	}
}

// noted is note for a name that the question led to; client is not valid where the answer is for many.
func (g *group) noted(r *Resolver, d policy.Verdict, client netip.Addr, q dns.Question, name dns.Name) {
	list := g.View.List(d, name, q.Type)
	g.counts.add(list, d.Action)
	if !g.Log {
		return
	}
	rule := g.ruling(d, name, q.Type)
	args := []any{"question", q.String(), "action", d.Action.String(), "list", rule.List}
	if rule.Rule != "" {
		args = append(args, "rule", rule.Rule, "trigger", rule.Trigger)
	}
	if client.IsValid() {
		args = append(args, "client", client)
	}
	r.cfg.Log.Info("policy", args...)
}
