package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// A part of a catalog's state is a version octet and a list of zones. Strings
// have their length before them, as a varint.
const (
	stateVersion = 1

	stateListed  = 1 << 0 // else: its data is kept for a while
	stateOwned   = 1 << 1
	stateFresh   = 1 << 2
	stateStopped = 1 << 3
)

var errState = errors.New("malformed state of a catalog")

// touch notes that the part with a zone must be written.
func (s *source) touch(name dns.Name) { s.dirty[part(name)] = true }

// Dirty returns the parts of a catalog's state that have changed since the last
// call. A part without zones is empty.
func (c *Consumer) Dirty(catalog zone.ID) map[uint8][]byte {
	s := c.catalogs[catalog]
	if s == nil {
		return nil
	}
	parts := make(map[uint8][]byte)
	for p, dirty := range s.dirty {
		if !dirty {
			continue
		}
		var b []byte
		for _, e := range s.members[p] {
			b = c.appendEntry(b, e)
		}
		parts[uint8(p)] = b
	}
	if len(parts) == 0 {
		return nil
	}
	for id, l := range c.leaving {
		if p := part(id.Name); l.source == s && s.dirty[p] {
			parts[p] = appendLeave(parts[p], id.Name, l)
		}
	}
	for p, b := range parts {
		if len(b) > 0 {
			parts[p] = append([]byte{stateVersion}, b...)
		}
	}
	s.dirty = [Parts]bool{}
	return parts
}

// Spoil notes that all of a catalog's state must be written, as what Dirty has
// returned is lost.
func (c *Consumer) Spoil(catalog zone.ID) {
	if s := c.catalogs[catalog]; s != nil {
		for p := range s.dirty {
			s.dirty[p] = true
		}
	}
}

func (c *Consumer) appendEntry(b []byte, e *entry) []byte {
	flags := byte(stateListed)
	if c.owned[e.id()] == e {
		flags |= stateOwned
	}
	if e.fresh != 0 {
		flags |= stateFresh
	}
	b = appendString(append(b, flags), e.Zone.Wire())
	b = appendString(b, e.Label)
	b = appendString(b, e.NewOwner.Wire())
	return appendGroups(b, e.Groups)
}

func appendGroups(b []byte, groups []string) []byte {
	b = append(b, byte(len(groups)))
	for _, g := range groups {
		b = appendString(b, g)
	}
	return b
}

func appendLeave(b []byte, name dns.Name, l *leave) []byte {
	flags := byte(0)
	if l.stopped {
		flags |= stateStopped
	}
	b = appendString(append(b, flags), name.Wire())
	b = appendString(b, l.label)
	return binary.AppendVarint(b, l.until.Unix())
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Restore takes a part of the state of a catalog that has been added and not yet
// updated. On an error some of it is taken.
func (c *Consumer) Restore(catalog zone.ID, data []byte) error {
	s := c.catalogs[catalog]
	if s == nil {
		return zone.ErrUnknown
	}
	if len(data) == 0 {
		return nil
	}
	if data[0] != stateVersion {
		return fmt.Errorf("restoring %s: version %d: %w", catalog, data[0], errState)
	}
	r := stateReader{b: data[1:]}
	for len(r.b) > 0 && !r.bad {
		flags := r.octet()
		name, label := r.name(), r.string()
		if flags&stateListed == 0 {
			l := &leave{source: s, label: label, until: time.Unix(r.varint(), 0), stopped: flags&stateStopped != 0}
			if !r.bad && !name.IsZero() {
				c.leaving[zone.ID{View: s.Catalog.View, Name: name}] = l
			}
			continue
		}
		e := &entry{source: s, Member: Member{Zone: name, Label: label, NewOwner: r.name(), Groups: r.groups()}}
		if !r.bad && !name.IsZero() {
			c.restore(e, flags)
		}
	}
	if r.bad {
		return fmt.Errorf("restoring %s: %w", catalog, errState)
	}
	return nil
}

func (c *Consumer) restore(e *entry, flags byte) {
	e.Member = c.interned(e.Member)
	if flags&stateFresh != 0 {
		c.refresh(e)
	}
	e.source.members.put(e)
	id := e.id()
	if flags&stateOwned != 0 && c.owned[id] == nil {
		c.owned[id] = e
	} else {
		c.clashes[id] = append(c.clashes[id], e)
	}
}

// stateReader reads a part. Once it is bad, it returns zero values.
type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) octet() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *stateReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stateReader) string() string {
	n, k := binary.Uvarint(r.b)
	if k <= 0 || n > uint64(len(r.b)-k) {
		r.bad = true
		return ""
	}
	s := string(r.b[k : k+int(n)])
	r.b = r.b[k+int(n):]
	return s
}

// name reads a name; an empty string is none.
func (r *stateReader) name() dns.Name {
	s := r.string()
	if s == "" {
		return dns.Name{}
	}
	name, err := dns.NameFromWire([]byte(s))
	if err != nil || name.Len() != len(s) {
		r.bad = true
		return dns.Name{}
	}
	return name
}

func (r *stateReader) groups() (groups []string) {
	for n := r.octet(); n > 0 && !r.bad; n-- {
		groups = append(groups, r.string())
	}
	return groups
}
