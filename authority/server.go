// Package authority answers from zones: the algorithm of RFC 1034 §4.3.2 with
// what came later (RFC 2308, 4035, 4592, 5155, 6604, 6672, 8482, 9471).
//
// A Server holds its zones in an immutable table behind an atomic pointer, and
// reads each zone's current version once for a question. Its workers belong to
// one goroutine each; answering allocates nothing and takes no lock.
package authority

import (
	"fmt"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// Options are what a Server may have of its own. The zero value is good.
type Options struct {
	NSID     []byte // name of this server, for clients that ask (RFC 5001); none if empty
	Version  string // answer to CH TXT version.bind and version.server; refused if empty
	Hostname string // answer to CH TXT hostname.bind and id.server; refused if empty
	MaxUDP   uint16 // largest answer over UDP in octets; 0: 1232 (RFC 9715 §3.2)
}

// Server is a transport.Handler that answers from its zones.
type Server struct {
	opts  Options
	zones atomic.Pointer[table]

	mu      sync.Mutex // guards changes of zones, and workers
	workers []*worker
}

// table has the zones by their names in lower case. It does not change.
type table map[string]*zone.Zone

// New returns a Server without zones: it refuses everything.
func New(o Options) *Server {
	if o.MaxUDP == 0 {
		o.MaxUDP = 1232
	}
	s := &Server{opts: o}
	s.zones.Store(&table{})
	return s
}

func tableKey(n dns.Name) string { return n.Fold().Wire() }

// SetZones replaces all zones at once.
func (s *Server) SetZones(zones ...*zone.Zone) error {
	next := make(table, len(zones))
	for _, z := range zones {
		key := tableKey(z.Origin())
		if next[key] != nil {
			return fmt.Errorf("zone %s: given twice", z.Origin())
		}
		next[key] = z
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones.Store(&next)
	return nil
}

// AddZone adds a zone, or replaces the one of the same name.
func (s *Server) AddZone(z *zone.Zone) error {
	s.change(func(t table) { t[tableKey(z.Origin())] = z })
	return nil
}

// RemoveZone removes a zone; its names are refused, or answered by a parent.
func (s *Server) RemoveZone(origin dns.Name) {
	s.change(func(t table) { delete(t, tableKey(origin)) })
}

func (s *Server) change(edit func(table)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(table)
	for k, z := range *s.zones.Load() {
		next[k] = z
	}
	edit(next)
	s.zones.Store(&next)
}

// Zone returns the zone of exactly this name, nil if there is none.
func (s *Server) Zone(origin dns.Name) *zone.Zone { return (*s.zones.Load())[tableKey(origin)] }

// NewWorker implements transport.Handler.
func (s *Server) NewWorker() transport.Worker {
	return &worker{server: s}
}

// find returns the zone that the name in lower case is in: the one with the
// longest name. With above, a zone of the name itself does not count.
func (t table) find(name []byte, above bool) *zone.Zone {
	off := 0
	if above {
		off = int(name[0]) + 1
	}
	for off < len(name) {
		if z := t[string(name[off:])]; z != nil {
			return z
		}
		if name[off] == 0 {
			return nil
		}
		off += int(name[off]) + 1
	}
	return nil
}
