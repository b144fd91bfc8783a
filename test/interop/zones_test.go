// Package interop asks onoma and the other name servers of this distribution the same questions about the same zones, and
// wants the same answers. Every accepted difference is a row of a table with the RFC section that supports us. It also asks
// about the whole root zone, and sends malformed messages. It runs its servers as children (see test/peers) on loopback
// addresses; its tests may run beside those of other packages.
package interop

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

// zoneSet is a directory of testdata: one or more zones that exercise one behaviour together.
type zoneSet struct {
	name    string
	zones   peers.Zones
	records map[string][]dns.RR // by origin
}

// loadSets reads all of testdata. A zone's origin is the name of its file without ".zone".
func loadSets(t *testing.T) []*zoneSet {
	t.Helper()
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var sets []*zoneSet
	for _, dir := range dirs {
		set := &zoneSet{name: dir.Name(), records: make(map[string][]dns.RR)}
		files, err := filepath.Glob(filepath.Join("testdata", dir.Name(), "*.zone"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			set.add(t, file)
		}
		if len(set.zones) == 0 {
			t.Errorf("testdata/%s has no zone", dir.Name())
		}
		sets = append(sets, set)
	}
	return sets
}

func (s *zoneSet) add(t *testing.T, file string) {
	t.Helper()
	origin := dns.Fqdn(strings.TrimSuffix(filepath.Base(file), ".zone"))
	abs, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	s.zones = append(s.zones, peers.Zone{Name: origin, File: abs})
	s.records[origin] = readZone(t, origin, file)
}

// readZone parses a file of testdata, whose first line must say what it is there for.
func readZone(t *testing.T, origin, file string) []dns.RR {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("; ")) {
		t.Errorf("%s: the first line must be a comment that says what the zone exercises", file)
	}
	return parseZone(t, origin, file)
}

// parseZone parses a master file with the oracle.
func parseZone(t *testing.T, origin, file string) []dns.RR {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	parser := dns.NewZoneParser(text, origin, file)
	var records []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

// baseTypes are asked for every name, whether it has them or not.
var baseTypes = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeTXT,
	dns.TypeCNAME, dns.TypeDNAME, dns.TypeNSEC, dns.TypeANY,
}

// question is one question about a set, and how it is asked.
type question struct {
	set  string
	name string
	typ  uint16
	mode mode
}

// mode is how a question is asked over UDP.
type mode uint8

const (
	plain mode = iota // no EDNS: 512 octets
	edns              // EDNS, 1232 octets
	do                // the same with DNSSEC OK
)

// room is how large an answer over UDP may be.
func (m mode) room() int {
	if m == plain {
		return 512
	}
	return 1232
}

func (m mode) String() string { return [...]string{"plain", "edns", "do"}[m] }

// questions are all questions about a set: its names with all its types, and their neighbours with the base types.
func (s *zoneSet) questions() []question {
	types := slices.Clone(baseTypes)
	names := make(map[string]bool) // true: of the set itself; false: a neighbour
	for origin, records := range s.records {
		if above := parentOf(origin); !names[above] {
			names[above] = false
		}
		for _, rr := range records {
			types = append(types, rr.Header().Rrtype)
			for name := rr.Header().Name; dns.IsSubDomain(origin, name); name = parentOf(name) {
				names[name] = true
				if name == origin {
					break
				}
			}
			if target, ok := targetOf(rr); ok && !names[target] {
				names[target] = false
			}
		}
	}
	for _, name := range slices.Collect(maps.Keys(names)) {
		for _, neighbour := range neighbours(name) {
			if _, known := names[neighbour]; !known {
				names[neighbour] = false
			}
		}
	}
	slices.Sort(types)
	types = slices.Compact(types)

	var all []question
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, s.questionsFor(name, names[name], types)...)
	}
	return all
}

func (s *zoneSet) questionsFor(name string, own bool, types []uint16) []question {
	var list []question
	for _, typ := range types {
		if !own && !slices.Contains(baseTypes, typ) || typ == dns.TypeRRSIG {
			continue
		}
		modes := []mode{edns, do}
		if own && typ != dns.TypeANY {
			modes = append(modes, plain)
		}
		for _, m := range modes {
			list = append(list, question{set: s.name, name: name, typ: typ, mode: m})
		}
	}
	return list
}

func parentOf(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// targetOf is the name that a record points to.
func targetOf(rr dns.RR) (string, bool) {
	switch rr := rr.(type) {
	case *dns.CNAME:
		return rr.Target, true
	case *dns.DNAME:
		return rr.Target, true
	case *dns.NS:
		return rr.Ns, true
	case *dns.MX:
		return rr.Mx, true
	case *dns.SRV:
		return rr.Target, true
	case *dns.PTR:
		return rr.Ptr, true
	}
	return "", false
}

// neighbours are names near a name: below it, the wildcard below it, and siblings just before and after it.
// Those that would be too long are left out.
func neighbours(name string) []string {
	if name == "." {
		return nil
	}
	labels := dns.SplitDomainName(name)
	first, rest := labels[0], parentOf(name)
	join := func(label string) string {
		if rest == "." {
			return label + "."
		}
		return label + "." + rest
	}
	candidates := []string{"nx." + name, "a.nx." + name, "*." + name, join(first + `\000`), join(first + "-a")}
	if last := first[len(first)-1]; len(first) > 1 && !strings.Contains(first, `\`) {
		candidates = append(candidates, join(first[:len(first)-1]+string(last-1)+"z"))
	}
	var valid []string
	for _, c := range candidates {
		if _, ok := dns.IsDomainName(c); ok && packs(c) {
			valid = append(valid, c)
		}
	}
	return valid
}

// packs says whether a name fits into 255 octets; IsDomainName is not strict about it.
func packs(name string) bool {
	n, err := dns.PackDomainName(name, make([]byte, 300), 0, nil, false)
	return err == nil && n <= 255
}
