package parent

import (
	"errors"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// Child is a zone that signals its keys below the names of its name servers, so that a parent can take a first DS that is proven
// (RFC 9615).
type Child struct {
	Name dns.Name
	NS   []dns.Name // of its delegation
	// CDS and CDNSKEY are the sets at the zone's apex. None, or those that ask for deletion: there is nothing to signal, and
	// what was signalled goes.
	CDS, CDNSKEY []dns.RData
	TTL          uint32
}

// Provider is a zone of this server that may hold signals.
type Provider struct {
	ID       zone.ID
	Version  *zone.Version
	IsSigned bool
}

// Problem is a signal that cannot be given.
type Problem struct {
	Child, Host dns.Name
	Err         error
}

// Error names both.
func (p Problem) Error() string {
	return fmt.Sprintf("no signal for %s at %s: %v", p.Child, p.Host, p.Err)
}

// Unwrap returns the cause.
func (p Problem) Unwrap() error { return p.Err }

// Why a signal cannot be given.
var (
	ErrNotOurs   = errors.New("no zone of this server holds that name")
	ErrNotSigned = errors.New("the zone that holds that name is not signed, so that a signal there would prove nothing")
)

// mostSignals bounds the names that one change touches.
const mostSignals = 500

// SignalName returns the name below a name server at which child signals (RFC 9615 §4.1).
func SignalName(child, host dns.Name) (dns.Name, error) {
	below, err := host.Child("_signal")
	if err != nil {
		return dns.Name{}, err
	}
	name, err := child.Rebase(dns.Root, below)
	if err != nil {
		return dns.Name{}, err
	}
	return name.Child("_dsboot")
}

// signal is what should stand at a name.
type signal struct {
	owner        dns.Name
	ttl          uint32
	cds, cdnskey []dns.RData
}

// SignalChanges returns what is to be changed in the zones of the name servers of children, so that their signals are there, or
// are gone: nothing where all is as it should be. find returns the zone of this server that is closest above a name. A name
// server below its child is left out: it proves nothing (RFC 9615 §4.2).
//
// It costs a few look-ups for each child and name server; many children are best given in portions.
func SignalChanges(children []Child, find func(dns.Name) (Provider, bool)) (changes []zone.Change, problems []Problem) {
	todo := make(map[zone.ID][]signal)
	var order []zone.ID
	for i := range children {
		c := &children[i]
		for _, host := range c.NS {
			if host.IsSubdomainOf(c.Name) {
				continue
			}
			p, s, err := c.signalAt(host, find)
			if err != nil {
				if !c.isSilent() {
					problems = append(problems, Problem{c.Name, host, err})
				}
				continue
			}
			if s.isThere(p.Version) {
				continue
			}
			if todo[p.ID] == nil {
				order = append(order, p.ID)
			}
			todo[p.ID] = append(todo[p.ID], s)
		}
	}
	for _, id := range order {
		for part := range slices.Chunk(todo[id], mostSignals) {
			changes = append(changes, change(id, part))
		}
	}
	return changes, problems
}

// isSilent reports whether there is nothing to signal: bootstrapping never ends a delegation's security.
func (c *Child) isSilent() bool {
	return len(c.CDS)+len(c.CDNSKEY) == 0 || slices.ContainsFunc(c.CDS, dnssec.IsCDSDelete) || slices.ContainsFunc(c.CDNSKEY, dnssec.IsCDNSKEYDelete)
}

// signalAt returns what should stand below a host, and in which zone.
func (c *Child) signalAt(host dns.Name, find func(dns.Name) (Provider, bool)) (Provider, signal, error) {
	s := signal{ttl: c.TTL}
	if !c.isSilent() {
		s.cds, s.cdnskey = c.CDS, c.CDNSKEY
	}
	var err error
	if s.owner, err = SignalName(c.Name, host); err != nil {
		return Provider{}, s, err
	}
	p, ok := find(s.owner)
	switch {
	case !ok || p.Version == nil || !s.owner.IsSubdomainOf(p.Version.Origin()):
		return p, s, ErrNotOurs
	case !p.IsSigned && !c.isSilent():
		return p, s, ErrNotSigned
	}
	var m zone.Match
	p.Version.Lookup(&m, []byte(s.owner.Fold().Wire()))
	if !m.Cut.IsZero() || !m.DName.IsZero() {
		return p, s, ErrNotOurs // RFC 9615 §4.1: it may well be a zone of its own, but then not of this server
	}
	return p, s, nil
}

// isThere reports whether a version has it as it should be.
func (s *signal) isThere(v *zone.Version) bool {
	node := v.Find([]byte(s.owner.Fold().Wire()))
	return s.hasSet(node, dns.TypeCDS, s.cds) && s.hasSet(node, dns.TypeCDNSKEY, s.cdnskey)
}

func (s *signal) hasSet(node zone.Node, t dns.Type, want []dns.RData) bool {
	var set zone.RRset
	if !node.IsZero() {
		set, _ = node.RRset(t)
	}
	if set.IsZero() || len(want) == 0 {
		return set.IsZero() && len(want) == 0
	}
	if set.Count() != len(want) || set.TTL() != s.ttl {
		return false
	}
	for data := range set.RData() {
		if !slices.ContainsFunc(want, func(d dns.RData) bool { return string(d) == string(data) }) {
			return false
		}
	}
	return true
}

// change puts signals where they belong, whatever is there by then.
func change(id zone.ID, signals []signal) zone.Change {
	return zone.Change{
		Zone: id,
		By:   zone.Author{Door: zone.DoorSigner, Name: "signals", Comment: fmt.Sprintf("signals of %d zones for their parents (RFC 9615)", len(signals))},
		Edit: func(e *zone.Editor) error {
			for i := range signals {
				if err := signals[i].put(e); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (s *signal) put(e *zone.Editor) error {
	for t, set := range map[dns.Type][]dns.RData{dns.TypeCDS: s.cds, dns.TypeCDNSKEY: s.cdnskey} {
		e.RemoveRRset(s.owner, t)
		for _, data := range set {
			if _, err := e.Add(dns.Record{Name: s.owner, Type: t, Class: dns.ClassIN, TTL: s.ttl, Data: data}); err != nil {
				return fmt.Errorf("signal %s: %w", s.owner, err)
			}
		}
	}
	return nil
}

// Keep says how long a zone signals.
type Keep uint8

// Until its parent has the DS, which is all that signals are for; or always.
const (
	UntilSecure Keep = iota
	Always
)

// NeedsSignals reports whether a zone whose parent stands like that should signal.
func (k Keep) NeedsSignals(v *View) bool {
	return k == Always || v.Condition != Secure && v.Condition != Insecure
}

// Sweep returns a change that removes signals that nobody should give any more from p, at most so many, and whether it removes
// any: those of name servers that a zone has left, and of zones that are gone. keep is asked about each; it must keep those of
// zones that somebody else signs. It walks the whole zone.
func Sweep(p Provider, keep func(child, host dns.Name) bool, most int) (zone.Change, bool) {
	var gone []signal
	for node := range p.Version.Nodes() {
		if len(gone) == most {
			break
		}
		name := node.Name()
		child, host, ok := splitSignal(name)
		if ok && (node.Has(dns.TypeCDS) || node.Has(dns.TypeCDNSKEY)) && !keep(child, host) {
			gone = append(gone, signal{owner: name})
		}
	}
	return change(p.ID, gone), len(gone) > 0
}

// splitSignal takes a signal's name apart.
func splitSignal(name dns.Name) (child, host dns.Name, ok bool) {
	name = name.Fold()
	labels := slices.Collect(name.Labels())
	i := slices.Index(labels, "_signal")
	if i < 2 || labels[0] != "_dsboot" {
		return child, host, false
	}
	child, err := name.Parent().Rebase(name.Ancestor(i), dns.Root)
	return child, name.Ancestor(i + 1), err == nil
}
