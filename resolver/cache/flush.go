package cache

import (
	"encoding/binary"

	"onoma/dns"
)

// Scope is what is to be forgotten.
type Scope struct {
	list  []dns.Name
	names map[string]bool // their wire forms, folded
	tree  bool
	typ   dns.Type // 0: all types
}

// At is all of name, At(...).Type(t) of one type only.
func At(name dns.Name) Scope {
	s := Below(name)
	s.tree = false
	return s
}

// Below is all of these names and of the names below them.
func Below(names ...dns.Name) Scope {
	s := Scope{list: names, names: make(map[string]bool, len(names)), tree: true}
	for _, n := range names {
		s.names[n.Fold().Wire()] = true
	}
	return s
}

// Type is what of the scope is of one type: also that there is none, or no such
// name, or that the name is an alias.
func (s Scope) Type(t dns.Type) Scope {
	s.typ = t
	return s
}

// has reports whether a name in wire form, folded, is in scope.
func (s *Scope) has(name []byte) bool {
	for {
		if s.names[string(name)] {
			return true
		}
		if !s.tree || len(name) < 2 || int(name[0]) >= len(name)-1 {
			return false
		}
		name = name[1+name[0]:]
	}
}

// Forget forgets the answers in scope: those to questions for its names, and those
// to others whose aliases lead there.
func (m *Messages) Forget(s Scope) int {
	var buf []byte
	return m.s.dropFunc(func(key []byte, value func([]byte) []byte) bool {
		if len(key) < 5 {
			return false
		}
		if t := dns.Type(binary.BigEndian.Uint16(key[len(key)-5:])); s.typ != 0 && s.typ != t && s.typ != dns.TypeCNAME {
			return false
		}
		if s.has(key[:len(key)-5]) {
			return true
		}
		buf = value(buf[:0])
		return s.isLedTo(key, buf)
	})
}

// isLedTo reports whether an answer has an alias whose name or target is in scope.
func (s *Scope) isLedTo(key, value []byte) bool {
	be := binary.BigEndian
	if len(value) < trailerLen+12 {
		return false
	}
	t := value[len(value)-trailerLen:]
	answers := be.Uint16(t[2:])
	if typ := dns.Type(be.Uint16(value[2:])); answers == 0 || value[0] >= 0xC0 && typ != dns.TypeCNAME && typ != dns.TypeDNAME {
		return false // as nearly all: it begins with a record of the name that was asked for
	}
	body := len(value) - trailerLen - int(be.Uint16(t[10:])) - 2*int(be.Uint16(t[8:]))
	h := dns.Header{Questions: 1, Answers: answers, Authority: be.Uint16(t[4:]), Additional: be.Uint16(t[6:])}
	msg := append(h.Append(nil), key[:len(key)-3]...)
	msg = be.AppendUint16(msg, uint16(dns.ClassIN))
	msg = append(msg, value[:max(body, 0)]...)
	parsed, err := dns.ParseMessage(msg)
	if err != nil {
		return true // it cannot be known
	}
	for _, r := range parsed.Answer {
		if s.has([]byte(r.Name.Fold().Wire())) || r.Type == dns.TypeCNAME && s.has([]byte(r.Data.Target(r.Type).Fold().Wire())) {
			return true
		}
	}
	return false
}

// Forget forgets what is in scope: RRsets, that there is none, delegations, failures.
// Of whatever type, nothing denies its names any more.
func (r *Records) Forget(s Scope) int {
	for _, name := range s.list {
		r.denials.flush(name, s.tree)
	}
	return r.s.dropFunc(func(key []byte, _ func([]byte) []byte) bool {
		return len(key) >= 3 && s.hasRecord(key) && s.has(key[:len(key)-3])
	})
}

// hasRecord reports whether an entry's type is in scope.
func (s *Scope) hasRecord(key []byte) bool {
	t := dns.Type(binary.BigEndian.Uint16(key[len(key)-3:]))
	switch kind(key[len(key)-1]) {
	case kindNXDomain:
		return true
	case kindDelegation:
		t = dns.TypeNS
	}
	return s.typ == 0 || s.typ == t || t == dns.TypeCNAME
}
