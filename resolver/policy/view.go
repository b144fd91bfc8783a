package policy

import (
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
		return Verdict{Action: a, Source: FromBlocks, IsFinal: true}
	}
	return byRPZ(v.RPZ.Question(client, name))
}

func byRPZ(m Match) Verdict {
	v := Verdict{Action: m.Action, IsFinal: m.IsFinal, Match: m}
	if m.Action != None {
		v.Source = FromRPZ
	}
	return v
}

// Answer returns what stands of a verdict in view of the answer. It does not allocate.
func (v *View) Answer(d Verdict, f Facts) Verdict {
	if d.IsFinal {
		return d
	}
	return byRPZ(v.RPZ.Answer(d.Match, f))
}

// Reply returns the answer that a verdict gives.
func (v *View) Reply(d Verdict, name dns.Name, t dns.Type) Reply {
	switch d.Source {
	case FromLocal:
		return v.Local.Reply(d.local, name, t)
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
		return dns.EDEBlocked, d.Source != FromLocal // RFC 8914 §4.16; what is local is nobody's censorship
	case Data:
		return dns.EDEForgedAnswer, d.Source != FromLocal // RFC 8914 §4.5
	}
	return 0, false
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
