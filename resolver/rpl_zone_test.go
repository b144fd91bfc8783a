package resolver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/resolver/iterator"
	"onoma/zone"
)

// rplZone is a clause "auth-zone": a zone in a file that is answered from.
type rplZone struct {
	zone    *zone.Zone
	version *zone.Version
	check   bool // by ZONEMD
	require bool
}

// zonesOf reads the zones of a head, and adds their routes.
func (s *scenario) zonesOf(t *testing.T, cfg *Config) (zones []rplZone) {
	dir := t.TempDir()
	for _, c := range s.clauses {
		if c.kind != "auth-zone" {
			continue
		}
		origin := dns.MustName(c.last("name", "."))
		file := filepath.Join(dir, "zone")
		if err := os.WriteFile(file, []byte(s.included(c.last("zonefile", ""))), 0o600); err != nil {
			t.Fatal(err)
		}
		z := rplZone{zone: zone.New(origin), check: isYes(c.last("zonemd-check", "no")), require: isYes(c.last("zonemd-reject-absence", "no"))}
		v, findings, err := zone.LoadFile(file, origin)
		if err != nil {
			t.Logf("zone %s: %v %v", origin, err, findings)
		}
		z.version = v
		cfg.Routes = append(cfg.Routes, Route{Zone: origin, Kind: iterator.RouteLocal, Local: z.zone, Fallback: isYes(c.last("fallback-enabled", "no"))})
		zones = append(zones, z)
	}
	return zones
}

// included is a file of the head, with those that it includes.
func (s *scenario) included(name string) string {
	var b strings.Builder
	for _, line := range s.files[name] {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "$INCLUDE_TEMPFILE" {
			line = s.included(words[1])
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// serveZones judges the zones that are to be, and has the good ones answered from.
func (p *player) serveZones(zones []rplZone) {
	for _, z := range zones {
		if z.version == nil {
			continue
		}
		if z.check {
			if err := p.w.r.CheckZone(p.t.Context(), z.version, z.require); err != nil {
				p.t.Logf("zone %s: %v", z.zone.Origin(), err)
				continue
			}
		}
		p.w.r.PublishLocal(z.zone, z.version)
	}
}

// lacksZone says what a clause "auth-zone" needs that is not here.
func lacksZone(c *rplClause) string {
	known := []string{"name", "zonefile", "for-downstream", "for-upstream", "fallback-enabled", "zonemd-check", "zonemd-reject-absence"}
	for _, o := range c.options {
		if o.name == "master" || o.name == "primary" || o.name == "url" || o.name == "allow-notify" {
			return "a zone that is transferred: here package daemon/localzone fetches zones, not the resolver"
		}
		if o.name == "for-upstream" && isNo(o.args) {
			return "a zone that clients alone are answered from (for-upstream: no); here it takes the place of its servers"
		}
		if !slices.Contains(known, o.name) {
			return "the option " + o.name + " of auth-zone"
		}
	}
	return ""
}
