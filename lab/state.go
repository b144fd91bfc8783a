package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"onoma/console"
	"onoma/dns"
)

// State is DIR/lab.json: where everything is, for scripts and people. It is
// there while the lab runs, from the moment that everything answers.
type State struct {
	Port  uint16                  `json:"port"`  // of every server
	Roots map[string]netip.Addr   `json:"roots"` // by letter
	TLDs  map[string][]netip.Addr `json:"tlds"`  // by name, without dots
	// Authorities are the providers' name servers by the zone that they serve:
	// "thedns.guru" and so on, A-labels, without a final dot.
	Authorities map[string][]netip.Addr `json:"authorities"`
	Resolver    netip.AddrPort          `json:"resolver"`
	Console     string                  `json:"console"`      // URL of the page
	RootHints   string                  `json:"root_hints"`   // file
	TrustAnchor string                  `json:"trust_anchor"` // file; "": the root is not signed
}

func stateFile(dir string) string { return filepath.Join(dir, "lab.json") }

// ReadState reads what the lab that runs in dir has written.
func ReadState(dir string) (State, error) {
	var s State
	text, err := os.ReadFile(stateFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("no lab is running in %s: start one with onoma lab --dir %s", dir, dir)
	}
	if err != nil {
		return s, fmt.Errorf("reading the lab's addresses: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w", stateFile(dir), err)
	}
	return s, nil
}

// State tells where everything is.
func (l *Lab) State() State {
	s := State{
		Port: l.port, Roots: map[string]netip.Addr{}, TLDs: map[string][]netip.Addr{}, Authorities: map[string][]netip.Addr{},
		Resolver:  netip.AddrPortFrom(l.block.addr(rootOctet, resolverHost), l.port),
		Console:   "http://" + l.pageAt.Addr().String() + "/",
		RootHints: l.hintsFile(),
	}
	if len(l.rootKeys()) > 0 {
		s.TrustAnchor = l.anchorFile()
	}
	for _, op := range l.operators {
		switch op.role {
		case console.RoleRoot:
			for i, a := range op.addrs {
				s.Roots[op.servers[i].name[:1]] = a
			}
		case console.RoleTLD:
			s.TLDs[op.name] = op.addrs
		default:
			for _, z := range op.zoneNames() {
				name := plain(z)
				s.Authorities[name] = append(s.Authorities[name], op.addrs...)
			}
		}
	}
	return s
}

// writeState replaces lab.json.
func (l *Lab) writeState() error {
	text, err := json.MarshalIndent(l.State(), "", "  ")
	if err == nil {
		err = writeFile(stateFile(l.dir), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the lab's addresses: %w", err)
	}
	return nil
}

// saveState is writeState after a change that is done, whatever becomes of the file.
func (l *Lab) saveState() {
	if l.ctx.Err() != nil {
		return // the lab ends: no file is to be left
	}
	if err := l.writeState(); err != nil {
		l.log.Error("lab.json is out of date", "error", err)
	}
}

func (l *Lab) removeState() error {
	if l.lock == nil {
		return nil
	}
	l.change.Lock()
	defer l.change.Unlock()
	if err := os.Remove(stateFile(l.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the lab's addresses: %w", err)
	}
	return nil
}

// Topology draws the lab for its page.
func (l *Lab) Topology() console.Topology {
	self := l.block.addr(rootOctet, resolverHost)
	t := console.Topology{Port: int(l.port), Resolver: console.Server{Name: "resolver", Address: self.String()}}
	var all []dns.Name
	for _, op := range l.operators {
		all = append(all, op.zoneNames()...)
	}
	security := l.securities(all)
	for _, op := range l.operators {
		o := console.Operator{Name: op.title}
		for i, a := range op.addrs {
			o.Servers = append(o.Servers, console.Server{Name: op.servers[i].name + ".", Address: a.String()})
		}
		for _, z := range op.zoneNames() {
			o.Zones, o.Security = append(o.Zones, z.Unicode()), append(o.Security, security[z])
		}
		switch op.role {
		case console.RoleRoot:
			t.Roots = o.Servers
		case console.RoleTLD:
			t.TLDs = append(t.TLDs, o)
		default:
			t.Providers = append(t.Providers, o)
		}
	}
	return t
}
