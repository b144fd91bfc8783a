package signing

import (
	"fmt"
	"net/netip"
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

func pushTo(parent netip.AddrPort) string {
	return fmt.Sprintf(`{servers: ["%s"], push: ["%s+key:ds."]}`, parent, parent)
}

// TestChildOfBINDAndKnot: the DS comes by UPDATE, the zone is secure, and its keys roll, to another algorithm too.
func TestChildOfBINDAndKnot(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, p := range []*peers.Peer{peers.BIND, peers.Knot} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			addr := p.Addr(t)
			peers.Need(t, p.Binary)
			s := settings{policy: quick, parent: pushTo(addr)}
			child := newChild(t, s)
			parent := p.StartSignedParent(t, writeZone(t, parentName, fmt.Sprintf(parentText, addr.Addr(), child.Addr.Addr())), addr, dsKey)
			o := look(t, parent.Addr, child.Addr)
			t.Logf("secure after %v", o.secure(explain(t, child)))
			await(t, "settled", func() bool { return isSettled(keysOf(t, child)) }, explain(t, child))
			first := inUse(keysOf(t, child))
			do(t, child, control.KeyRequest{Do: "roll"})
			rolled(t, child, first)
			o.delv()
			second := inUse(keysOf(t, child))
			s.policy += ", algorithm: ed25519, keys: split"
			change(t, child, s)
			rolled(t, child, second)
			o.delv()
			if got := inUse(keysOf(t, child)); len(got) != 2 || !strings.Contains(strings.Join(got, " "), "ED25519") {
				t.Errorf("in use: %v", got)
			}
		})
	}
}

// rolled waits until none of the keys is in use any more and all is quiet.
func rolled(t *testing.T, n *peers.Node, old []string) {
	t.Helper()
	await(t, "rolled", func() bool {
		v := keysOf(t, n)
		now := inUse(v)
		return len(now) > 0 && isSettled(v) && !slices.ContainsFunc(now, func(k string) bool { return slices.Contains(old, k) })
	}, explain(t, n))
}

// TestChildByDNSSECCDS: an operator whose parent is BIND has a script of nothing but BIND's own tools: the first DS from what
// `onoma zone keys --ds` prints, all others from the zone's CDS by dnssec-cds and nsupdate.
func TestChildByDNSSECCDS(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, tool := range []string{"dnssec-cds", "nsupdate", "dig", peers.BIND.Binary} {
		peers.Need(t, tool)
	}
	addr := peers.BIND.Addr(t)
	child := newChild(t, settings{policy: quick + ", cds: [sha-256, sha-384]", parent: fmt.Sprintf(`{servers: ["%s"]}`, addr)})
	parent := peers.BIND.StartSignedParent(t, writeZone(t, parentName, fmt.Sprintf(parentText, addr.Addr(), child.Addr.Addr())), addr, dsKey)
	o := look(t, parent.Addr, child.Addr)
	s := &script{t: t, at: addr, dir: t.TempDir(), child: child}
	var ds []string
	await(t, "a DS to be wanted", func() bool { ds = keysOf(t, child).DS; return ds != nil }, explain(t, child))
	s.add(ds)
	o.secure(explain(t, child))
	await(t, "settled", func() bool { return isSettled(keysOf(t, child)) }, explain(t, child))
	first := inUse(keysOf(t, child))
	do(t, child, control.KeyRequest{Do: "roll"})
	await(t, "rolled", func() bool {
		s.run()
		v := keysOf(t, child)
		return isSettled(v) && !slices.Equal(inUse(v), first)
	}, explain(t, child))
	o.delv()
}

// script is what the operator of the parent has cron do.
type script struct {
	t     *testing.T
	at    netip.AddrPort // the parent
	dir   string
	child *peers.Node
}

// add puts DS records at the parent.
func (s *script) add(ds []string) {
	s.t.Helper()
	s.nsupdate(s.lines(ds))
}

func (s *script) lines(ds []string) (text string) {
	for _, line := range ds {
		text += "update add " + strings.Replace(line, " IN DS", " 1 IN DS", 1) + "\n"
	}
	return text
}

func (s *script) nsupdate(text string) {
	s.t.Helper()
	cmd := exec.Command("nsupdate", "-y", "hmac-sha256:"+dsKey.Name+":"+dsKey.Secret)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %d\nzone test.\n%ssend\n", s.at.Addr(), s.at.Port(), text))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("nsupdate: %v\n%s\n%s", err, out, text)
	}
}

// run takes over what the child asks for, if dnssec-cds believes it.
func (s *script) run() {
	s.t.Helper()
	var set strings.Builder
	for _, rr := range lookup(s.at, childName, dns.TypeDS) {
		set.WriteString(rr.String() + "\n")
	}
	args := []string{"@" + s.child.Addr.Addr().String(), "-p", fmt.Sprint(s.child.Addr.Port()), "+noall", "+answer", "+dnssec", "+norec"}
	for _, typ := range []string{"DNSKEY", "CDS", "CDNSKEY"} {
		args = append(args, childName, typ)
	}
	records, err := exec.Command("dig", args...).Output()
	if err != nil {
		s.t.Fatalf("dig: %v", err)
	}
	for name, text := range map[string]string{"dsset-child.test.": set.String(), "records": string(records)} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.Command("dnssec-cds", "-u", "-s", "-7200", "-T", "1", "-d", s.dir, "-f", filepath.Join(s.dir, "records"), "child.test")
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("dnssec-cds: %v\n%s", err, records)
	}
	if orders := strings.ReplaceAll(strings.TrimSpace(string(out)), "send", ""); strings.Contains(orders, "update") {
		s.nsupdate(orders + "\n")
	}
}
