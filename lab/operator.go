package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

// operator runs servers that all serve the same zones: the files in its directory.
type operator struct {
	planned
	lab   *Lab
	dir   string
	addrs []netip.Addr // of its servers, in the plan's order
	auth  *authority.Server

	mu       sync.Mutex
	zones    map[dns.Name]bool // that are served, by folded name
	unsigned map[dns.Name]bool // that are not to be signed, likewise
}

// newOperator makes one that serves nothing yet.
func newOperator(l *Lab, p planned) *operator {
	op := &operator{planned: p, lab: l, dir: filepath.Join(l.dir, "zones", p.name), zones: map[dns.Name]bool{}}
	for _, s := range p.servers {
		op.addrs = append(op.addrs, l.block.addr(s.third, s.fourth))
	}
	op.auth = authority.New(authority.Options{View: p.name, NSID: []byte(p.name), ChildNotified: l.notified})
	return op
}

func (op *operator) signing() *signing { return op.lab.signing }

// id is what the pipeline calls a zone of the operator.
func (op *operator) id(origin dns.Name) zone.ID { return zone.IDOf(op.name, origin) }

// origins lists the zones that the operator has files of. Names of files that are
// no zones' are an error each.
func (op *operator) origins() (origins []dns.Name, err error) {
	entries, err := os.ReadDir(op.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the zones of %s: %w", op.name, err)
	}
	var bad []error
	for _, e := range entries {
		name, ok := zoneNameOf(e.Name())
		if !ok {
			continue
		}
		origin, err := dns.ParseName(name)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: the file's name is not a zone's: %w", filepath.Join(op.dir, e.Name()), err))
			continue
		}
		origins = append(origins, origin)
	}
	return origins, errors.Join(bad...)
}

// reload reads all zone files of the directory again and serves them. Files that
// cannot be served are an error each; what was served of them before stays.
func (op *operator) reload(ctx context.Context) error {
	origins, err := op.origins()
	bad := []error{err, op.readUnsigned()}
	for _, origin := range origins {
		v, err := readZone(op.file(origin), origin)
		if err == nil {
			_, err = op.publish(ctx, v, op.author())
		}
		bad = append(bad, err)
	}
	return errors.Join(append(bad, op.dropMissing(ctx))...)
}

// author says who has made a change: whoever edits the operator's files.
func (op *operator) author() zone.Author {
	return zone.Author{Door: zone.DoorFile, Name: "file:" + op.name}
}

// dropMissing ends the service of zones whose files are gone.
func (op *operator) dropMissing(ctx context.Context) error {
	var bad []error
	for _, n := range op.zoneNames() {
		if _, err := os.Stat(op.file(n)); errors.Is(err, fs.ErrNotExist) {
			op.auth.RemoveZone(n)
			op.mu.Lock()
			delete(op.zones, n)
			op.mu.Unlock()
			bad = append(bad, op.signing().drop(ctx, op.id(n)))
		}
	}
	return errors.Join(bad...)
}

// publish makes v, signed where that is due, the next version of its zone, which may
// be new.
func (op *operator) publish(ctx context.Context, v *zone.Version, by zone.Author) (zone.Receipt, error) {
	s, origin := op.signing(), v.Origin().Fold()
	if err := s.keep(ctx, op, v); err != nil {
		return zone.Receipt{}, err
	}
	v, err := op.complete(v)
	if err != nil {
		return zone.Receipt{}, err
	}
	receipts, err := s.pipe.Submit(ctx, zone.Change{Zone: op.id(origin), By: by, Replace: v})
	if err != nil {
		return zone.Receipt{}, fmt.Errorf("serving %s: %w", plain(origin), err)
	}
	op.mu.Lock()
	isNew := !op.zones[origin]
	op.zones[origin] = true
	op.mu.Unlock()
	if isNew {
		op.auth.AddZone(s.pipe.Zone(op.id(origin)))
	}
	s.lookups.resolver.Flush(origin, true)
	return receipts[0], s.keepChildren(ctx, op, v)
}

// file returns where a zone is kept.
func (op *operator) file(origin dns.Name) string {
	return filepath.Join(op.dir, zoneFileOf(origin.Fold().String()))
}

// zoneNames lists the zones, in canonical order.
func (op *operator) zoneNames() []dns.Name {
	op.mu.Lock()
	defer op.mu.Unlock()
	names := make([]dns.Name, 0, len(op.zones))
	for n := range op.zones {
		names = append(names, n)
	}
	slices.SortFunc(names, dns.Name.Compare)
	return names
}

// hosts reports whether the operator has the zone.
func (op *operator) hosts(origin dns.Name) bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.zones[origin.Fold()]
}

// runs reports whether host is one of the operator's name servers.
func (op *operator) runs(host dns.Name) bool {
	return slices.ContainsFunc(op.servers, func(s plannedServer) bool { return dns.MustName(s.name).Equal(host) })
}

func (op *operator) listensOn(a netip.Addr) bool { return slices.Contains(op.addrs, a) }

// parseUnsigned reads a list of zones, a line for each, with comments as in zone files.
func parseUnsigned(text string) (map[dns.Name]bool, error) {
	names := map[dns.Name]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		n, err := dns.ParseNameIDNA(line)
		if err != nil {
			return nil, fmt.Errorf("%q is not the name of a zone: %w", line, err)
		}
		names[n.Fold()] = true
	}
	return names, nil
}

// readZone reads a zone file that can be served as it is.
func readZone(file string, origin dns.Name) (*zone.Version, error) {
	v, findings, err := zone.LoadFile(file, origin)
	if err != nil {
		return nil, err
	}
	return v, serious(file, findings)
}

// serious makes an error of the findings that forbid serving a zone.
func serious(what string, findings []zone.Finding) error {
	var bad []error
	for _, f := range findings {
		if f.Severity == zone.Error {
			bad = append(bad, fmt.Errorf("%s: %s", what, f))
		}
	}
	return errors.Join(bad...)
}
