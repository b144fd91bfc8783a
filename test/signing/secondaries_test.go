package signing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// zoneAt fetches the child's zone, and returns its records in order; nil where that does not work yet.
func zoneAt(s string) (records []string, serial uint32) {
	m := new(dns.Msg)
	m.SetAxfr(childName)
	in, err := new(dns.Transfer).In(m, s)
	if err != nil {
		return nil, 0
	}
	for e := range in {
		if e.Error != nil {
			return nil, 0
		}
		for _, rr := range e.RR {
			if soa, ok := rr.(*dns.SOA); ok {
				serial = soa.Serial
			}
			rr.Header().Name = strings.ToLower(rr.Header().Name) // Knot and NSD keep names so
			records = append(records, rr.String())
		}
	}
	slices.Sort(records)
	return slices.Compact(records), serial
}

// judges say whether a zone is signed as it should be.
var judges = [][]string{
	{"dnssec-verify", "-q", "-z", "-o", "child.test", "FILE"},
	{"kzonecheck", "-o", "child.test", "-d", "on", "FILE"},
	{"ldns-verify-zone", "FILE"},
}

// judge has all judges look at a zone.
func judge(t *testing.T, where string, records []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(strings.Join(records, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, j := range judges {
		if _, err := exec.LookPath(j[0]); err != nil {
			continue
		}
		args := slices.Clone(j[1:])
		args[len(args)-1] = file
		if out, err := exec.Command(j[0], args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", where, j[0], err, lastLines(string(out), 10))
		}
	}
}

// TestSecondaries: three other makes follow a signed zone by differences, through changes, a rollover and another kind of
// denial. Each has the same zone, and it is valid. The rollover waits for them: their lag is part of what is known.
func TestSecondaries(t *testing.T) {
	slow(t)
	t.Parallel()
	kinds := []*peers.Peer{peers.Knot, peers.NSD, peers.BIND}
	kinds = slices.DeleteFunc(kinds, func(p *peers.Peer) bool { return !p.Available() })
	if len(kinds) == 0 {
		t.Skip("neither Knot nor NSD nor BIND is installed")
	}
	var told []string
	child := peers.NewNode(t, "")
	var servers []*peers.Server
	for _, p := range kinds {
		s := p.StartSecondary(t, []string{childName}, p.Addr(t), peers.Primary{Addr: child.Addr})
		servers, told = append(servers, s), append(told, fmt.Sprintf("%q", s.Addr))
	}
	s := settings{policy: quick + ", keys: split, ds: by-hand", parent: "{}", more: "notify: [" + strings.Join(told, ", ") + "]"}
	child.Configure(t, s.configuration())
	child.Write(t, "zone", fmt.Sprintf(childText, child.Addr.Addr()))
	start(t, child, childName)
	f := &family{t: t, child: child, settings: s}
	all := func(what string) {
		t.Helper()
		for _, s := range servers {
			var want, got []string
			await(t, what+": the zone at "+s.Name, func() (isSame bool) {
				var serial, at uint32
				want, serial = zoneAt(child.Addr.String())
				got, at = zoneAt(s.Addr.String())
				return at == serial && want != nil
			}, s.Log, child.Log)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has another zone:\n%s\nnot\n%s", what, s.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			judge(t, what+" at "+s.Name, got)
		}
	}
	all("at first")
	for range 30 {
		f.edit()
	}
	all("after changes")
	do(t, child, control.KeyRequest{Do: "roll", Role: "zsk"})
	await(t, "the next ZSK", func() bool {
		n := 0
		for _, k := range keysOf(t, child).Keys {
			if k.Role == "ZSK" && k.Phase == "removed" {
				n++
			}
		}
		return n == 1
	}, explain(t, child))
	all("with another ZSK")
	f.settings.policy += ", denial: nsec3"
	change(t, child, f.settings)
	await(t, "NSEC3", func() bool { return keysOf(t, child).Denial == "nsec3" }, explain(t, child))
	f.edit()
	all("with NSEC3")
	for _, s := range servers {
		if s.Name == peers.Knot.Name && strings.Count(s.Log(), "AXFR, incoming, remote "+strings.Replace(child.Addr.String(), ":", "@", 1)+", started") > 1 {
			t.Errorf("%s has fetched the whole zone again:\n%s", s.Name, s.Log())
		}
	}
}
