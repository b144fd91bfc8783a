package policy

import (
	"fmt"

	"onoma/dns"
)

// Action is what a rule wants done.
type Action uint8

const (
	None     Action = iota // no rule says anything
	Passthru               // as if no rule were there; no other rule is asked
	Drop                   // no answer at all
	TCPOnly                // TC over UDP; as Passthru over anything else
	NXDomain               // the name does not exist
	NoData                 // the name exists without such records
	Data                   // records of the rule, or a CNAME to be followed
	Refuse                 // REFUSED
	numActions
)

var actionNames = [...]string{"none", "passthru", "drop", "tcp-only", "nxdomain", "nodata", "data", "refuse"}

// String returns the action's name as it stands in configurations and logs.
func (a Action) String() string { return actionNames[a] }

// MarshalText returns the action's name.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads it again.
func (a *Action) UnmarshalText(text []byte) error {
	got, ok := ParseAction(string(text))
	if !ok {
		return fmt.Errorf("%q is not an action of a rule", text)
	}
	*a = got
	return nil
}

// ParseAction reads the name of an action.
func ParseAction(s string) (a Action, ok bool) {
	for i, name := range actionNames {
		if name == s {
			return Action(i), true
		}
	}
	return None, false
}

// Reply is a rule's answer to one question.
type Reply struct {
	Action    Action
	RCode     dns.RCode
	Answer    []dns.Record
	Follow    dns.Name     // where Answer is a CNAME: the name to be looked up next, else zero
	Authority []dns.Record // the SOA of a negative answer
	Extra     []dns.Record // for the additional section
	ClearRA   bool         // RA is to be clear
	Again     bool         // the rules have a say about the name to Follow, too
}

// actionBits are those of a value that say the action; the others are the number of a set in dataSets.
const actionBits = 4

func valueOf(a Action, set uint32) uint32 { return uint32(a) | set<<actionBits }

func takeApart(value uint32) (a Action, set uint32) {
	return Action(value & (1<<actionBits - 1)), value >> actionBits
}

// Problems are what was wrong with rules; those rules are left out. Only the first are kept as text.
type Problems struct {
	Text  []string // "place: what, expected what"
	Count int
}

const maxProblems = 100

func (p *Problems) add(text func() string) {
	if p.Count++; len(p.Text) < maxProblems {
		p.Text = append(p.Text, text())
	}
}
