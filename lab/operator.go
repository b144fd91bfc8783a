package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

// operator runs servers that all serve the same zones: the files in its directory.
type operator struct {
	planned
	dir   string
	addrs []netip.Addr // of its servers, in the plan's order
	auth  *authority.Server

	mu    sync.Mutex
	zones map[dns.Name]*zone.Zone // by folded name
}

// newOperator reads the operator's zones.
func newOperator(p planned, b block, dir string) (*operator, error) {
	op := &operator{planned: p, dir: filepath.Join(dir, "zones", p.name), zones: map[dns.Name]*zone.Zone{}}
	for _, s := range p.servers {
		op.addrs = append(op.addrs, b.addr(s.third, s.fourth))
	}
	op.auth = authority.New(authority.Options{NSID: []byte(p.name)})
	if err := op.load(); err != nil {
		return nil, err
	}
	return op, nil
}

// load reads all zone files of the directory and serves them. Files that cannot
// be served are an error each; what was served of them before stays.
func (op *operator) load() error {
	entries, err := os.ReadDir(op.dir)
	if err != nil {
		return fmt.Errorf("reading the zones of %s: %w", op.name, err)
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
		v, err := readZone(filepath.Join(op.dir, e.Name()), origin)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		op.publish(v)
	}
	op.dropMissing()
	return errors.Join(bad...)
}

// dropMissing ends the service of zones whose files are gone.
func (op *operator) dropMissing() {
	for _, n := range op.zoneNames() {
		if _, err := os.Stat(op.file(n)); errors.Is(err, fs.ErrNotExist) {
			op.auth.RemoveZone(n)
			op.mu.Lock()
			delete(op.zones, n)
			op.mu.Unlock()
		}
	}
}

// publish makes v the current version of its zone, which may be new.
func (op *operator) publish(v *zone.Version) {
	op.mu.Lock()
	defer op.mu.Unlock()
	key := v.Origin().Fold()
	z, ok := op.zones[key]
	if !ok {
		z = zone.New(v.Origin())
	}
	z.Publish(v)
	if ok {
		return
	}
	op.auth.AddZone(z)
	op.zones[key] = z
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
	return op.zones[origin.Fold()] != nil
}

// runs reports whether host is one of the operator's name servers.
func (op *operator) runs(host dns.Name) bool {
	return slices.ContainsFunc(op.servers, func(s plannedServer) bool { return dns.MustName(s.name).Equal(host) })
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
