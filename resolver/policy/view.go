package policy

import (
	"cmp"
	"net/netip"

	"onoma/dns"
)

// View are the rules for a group of clients, in the order in which they are heard: local data, block lists, policy zones.
// It is immutable once it is in use; its parts may be in several views. A nil View has no rules.
type View struct {
	Name   string
	Local  *Local
	Blocks *Blocks
	RPZ    RPZ
}

// Source says whose rule a verdict is.
type Source uint8

const (
	Nobody Source = iota
	FromLocal
	FromBlocks
	FromRPZ
)

var sourceNames = [...]string{"none", "local", "block-list", "rpz"}

// String returns the source's name as it stands in logs.
func (s Source) String() string { return sourceNames[s] }

// Verdict is what a view says about a question.
type Verdict struct {
	Action  Action
	Source  Source
	IsFinal bool  // the answer cannot change it; else the question is resolved, and View.Answer asked
	Match   Match // the rule where the Source is FromRPZ
	local   LocalMatch
	ede     dns.EDECode
}

// Question says what the rules have about a question before it is resolved. name is in wire form, in any case. It does not allocate.
//
// An exception in a block list is one from the block lists alone: policy zones are still heard.
func (v *View) Question(client netip.Addr, name []byte, t dns.Type) Verdict {
	if v == nil {
		return Verdict{IsFinal: true}
	}
	if m := v.Local.Ask(name, t); m.Action != None {
		return Verdict{Action: m.Action, Source: FromLocal, IsFinal: true, local: m}
	}
	if a := v.Blocks.Ask(name, t); a != None && a != Passthru {
		return Verdict{Action: a, Source: FromBlocks, IsFinal: true, ede: v.Blocks.ede}
	}
	return v.byRPZ(v.RPZ.Question(client, name))
}

func (v *View) byRPZ(m Match) Verdict {
	d := Verdict{Action: m.Action, IsFinal: m.IsFinal, Match: m}
	if m.Action != None {
		d.Source, d.ede = FromRPZ, v.RPZ[m.Zone].ede
	}
	return d
}

// Answer returns what stands of a verdict in view of the answer. It does not allocate.
func (v *View) Answer(d Verdict, f Facts) Verdict {
	if d.IsFinal {
		return d
	}
	return v.byRPZ(v.RPZ.Answer(d.Match, f))
}

// Reply returns the answer that a verdict gives.
func (v *View) Reply(d Verdict, name dns.Name, t dns.Type) Reply {
	switch d.Source {
	case FromLocal:
		reply := v.Local.Reply(d.local, name, t)
		reply.Again = true
		return reply
	case FromBlocks:
		return v.Blocks.Reply(d.Action, name, t)
	case FromRPZ:
		return v.RPZ.Reply(d.Match, name, t)
	}
	return Reply{}
}

// EDE returns the extended error that goes with a verdict's answer; ok is false where none does.
func (d Verdict) EDE() (code dns.EDECode, ok bool) {
	switch d.Action {
	case NXDomain, NoData, Refuse:
		return cmp.Or(d.ede, dns.EDEBlocked), d.Source != FromLocal // RFC 8914 §4.16 to §4.18; what is local is nobody's censorship
	case Data:
		return dns.EDEForgedAnswer, d.Source != FromLocal // RFC 8914 §4.5
	}
	return 0, false
}

// OnlyLocal returns a view with no rules but the local ones.
func (v *View) OnlyLocal() *View {
	if v == nil || v.Local == nil {
		return nil
	}
	return &View{Name: v.Name, Local: v.Local}
}

// HeedsAnswers says whether rules have a say about aliases, addresses or servers that come to light as a question is resolved.
func (v *View) HeedsAnswers() bool {
	return v != nil && (v.Local.Len() > 0 || v.Blocks.Len() > 0 || len(v.RPZ) > 0)
}

// List names the list that a verdict is by: the policy zone, the block list. name and t are those of the question.
func (v *View) List(d Verdict, name dns.Name, t dns.Type) string {
	switch d.Source {
	case FromLocal:
		return "local"
	case FromBlocks:
		return v.Blocks.List(name, t)
	case FromRPZ:
		return v.RPZ[d.Match.Zone].origin.String()
	}
	return ""
}

// Rule says which rule a verdict is by, for logs: the owner in a policy zone, the block list. name and t are those of the question.
func (v *View) Rule(d Verdict, name dns.Name, t dns.Type) string {
	switch d.Source {
	case FromBlocks:
		return v.Blocks.List(name, t)
	case FromRPZ:
		return v.RPZ.Rule(d.Match, name)
	}
	return ""
}
