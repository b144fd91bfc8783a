package policy

import (
	"fmt"
	"net/netip"
)

// Table has a value for each prefix of clients: who may ask, which view or which tags they have. The longest prefix counts.
// A nil Table has nothing.
type Table[T any] struct {
	prefixes prefixes
	values   []T
}

// Entry is a prefix and its value.
type Entry[T any] struct {
	Prefix netip.Prefix
	Value  T
}

// NewTable makes a table. Two entries for one prefix are a mistake.
func NewTable[T any](entries []Entry[T]) (*Table[T], error) {
	t := &Table[T]{}
	seen := make(map[netip.Prefix]bool, len(entries))
	for i, e := range entries {
		if !e.Prefix.IsValid() || e.Prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("entry %d: prefix %v, expected one such as 192.0.2.0/24 or 2001:db8::/32", i+1, e.Prefix)
		}
		if p := e.Prefix.Masked(); seen[p] {
			return nil, fmt.Errorf("entry %d: prefix %v has an entry already, expected one for each prefix", i+1, p)
		} else {
			seen[p] = true
		}
		t.prefixes.add(e.Prefix, uint32(i))
		t.values = append(t.values, e.Value)
	}
	t.prefixes.compile(func(first, _ uint32) uint32 { return first })
	return t, nil
}

// Find returns the value of the longest prefix that a lies in. It does not allocate.
func (t *Table[T]) Find(a netip.Addr) (value T, ok bool) {
	if t == nil || !a.IsValid() {
		return value, false
	}
	p := t.prefixes.find(a.Unmap().WithZone(""))
	if p == nil {
		return value, false
	}
	return t.values[p.value], true
}

// MapTable returns a table with what f makes of the values of t; nil of nil.
func MapTable[A, B any](t *Table[A], f func(A) B) *Table[B] {
	if t == nil {
		return nil
	}
	out := &Table[B]{prefixes: t.prefixes, values: make([]B, len(t.values))}
	for i, v := range t.values {
		out.values[i] = f(v)
	}
	return out
}

// Len returns the number of prefixes.
func (t *Table[T]) Len() int {
	if t == nil {
		return 0
	}
	return t.prefixes.len()
}

// Access is what a client may do.
type Access uint8

const (
	Refused   Access = iota // it gets REFUSED
	Denied                  // it gets nothing
	LocalOnly               // it gets what local data and other rules answer, REFUSED for all else
	CacheOnly               // it gets REFUSED for what is not in the cache, too
	Allowed
	AllowedSetRD // as if it had set RD, whether it did or not
)

var accessNames = [...]string{"refuse", "deny", "local-only", "cache-only", "allow", "allow-set-rd"}

// String returns the name as it stands in configurations.
func (a Access) String() string { return accessNames[a] }

// ParseAccess reads the name of an access.
func ParseAccess(s string) (a Access, ok bool) {
	for i, name := range accessNames {
		if name == s {
			return Access(i), true
		}
	}
	return Refused, false
}
