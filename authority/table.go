package authority

import (
	"fmt"
	"iter"
	"maps"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone"
)

// table is the zones that are served. It never changes.
type table struct {
	byName map[string]*zone.Zone // by folded wire name
	// Names longer or shorter than every origin are not looked up.
	longest  int
	shortest int
}

func newTable(byName map[string]*zone.Zone) *table {
	t := &table{byName: byName, shortest: dns.MaxNameLen}
	for name := range byName {
		t.longest = max(t.longest, len(name))
		t.shortest = min(t.shortest, len(name))
	}
	return t
}

// enclosing returns the zone with the longest origin that name[from:] is at or
// below, and where in name that origin begins. name is folded.
func (t *table) enclosing(name []byte, from int) (z *zone.Zone, at int) {
	for at = from; len(name)-at >= t.shortest; at += int(name[at]) + 1 {
		if len(name)-at <= t.longest {
			if z := t.byName[string(name[at:])]; z != nil {
				return z, at
			}
		}
		if name[at] == 0 {
			break
		}
	}
	return nil, 0
}

// zones is the table in use, and who may replace it.
type zones struct {
	mu      sync.Mutex // held by who makes the next table
	current atomic.Pointer[table]
}

// SetZones makes zs the zones that are served, all at once. Two zones of one
// name are an error, and then nothing changes.
//
// A zone without a version, because it has expired or could not be loaded, is
// this server's business nevertheless: its names get SERVFAIL, not REFUSED.
func (s *Server) SetZones(zs ...*zone.Zone) error {
	byName := make(map[string]*zone.Zone, len(zs))
	for _, z := range zs {
		key := z.Origin().Fold().Wire()
		if byName[key] != nil {
			return fmt.Errorf("two zones are named %s, expected one", z.Origin())
		}
		byName[key] = z
	}
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	s.zones.current.Store(newTable(byName))
	return nil
}

// AddZone serves z too, in the place of an earlier zone of its name. It costs
// as much as there are zones: use SetZones for many.
func (s *Server) AddZone(z *zone.Zone) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	byName := maps.Clone(s.zones.current.Load().byName)
	if byName == nil {
		byName = make(map[string]*zone.Zone)
	}
	byName[z.Origin().Fold().Wire()] = z
	s.zones.current.Store(newTable(byName))
}

// RemoveZone ends the service of a zone and reports whether it was served.
func (s *Server) RemoveZone(origin dns.Name) bool {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	key := origin.Fold().Wire()
	old := s.zones.current.Load().byName
	if old[key] == nil {
		return false
	}
	byName := maps.Clone(old)
	delete(byName, key)
	s.zones.current.Store(newTable(byName))
	return true
}

// Zone returns the zone with that origin, nil where it is not served.
func (s *Server) Zone(origin dns.Name) *zone.Zone {
	return s.zones.current.Load().byName[origin.Fold().Wire()]
}

// Zones yields the zones that are served, in no order.
func (s *Server) Zones() iter.Seq[*zone.Zone] {
	return maps.Values(s.zones.current.Load().byName)
}
