package peers

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Serving is how a peer gives zones away whose files change.
type Serving struct {
	Zones  Zones
	Key    *Key           // that transfers and NOTIFY are signed with; nil: unsigned, for everybody
	Notify netip.AddrPort // whom it tells of changes
	// TLS is where it also listens with a certificate; the zero AddrPort: nowhere. See Peer.CanServeTLS.
	TLS       netip.AddrPort
	Cert, PEM string // files of the certificate and its key
}

// CanServeTLS says whether the version of Debian 12 gives zones over TLS.
func (p *Peer) CanServeTLS() bool { return p == NSD || p == BIND }

// servings configure peers so that zone files which change become new versions with differences, where the peer makes any.
var servings = map[*Peer]func(dir string, addr netip.AddrPort, s Serving) ([]string, error){
	NSD: servingNSD, Knot: servingKnot, BIND: servingBIND, PowerDNS: servingPowerDNS,
}

// Serve runs the peer at addr (see [Peer.Addr]) as a primary until the test ends. It skips the test when the peer is not
// installed.
func (p *Peer) Serve(t testing.TB, addr netip.AddrPort, s Serving) *Server {
	t.Helper()
	Need(t, p.Binary)
	dir := tempDir(t, p.Name)
	args, err := servings[p](dir, addr, s)
	if err != nil {
		t.Fatalf("configuring %s: %v", p.Name, err)
	}
	binary, err := find(p.Binary)
	if err != nil {
		t.Fatal(err)
	}
	server := start(t, p.Name, dir, addr, binary, args)
	server.awaitZones(t, s.Zones)
	return server
}

// Reread has a server that [Peer.Serve] has started read a zone's file again, and tell of it.
func (p *Peer) Reread(t testing.TB, s *Server, zone string) {
	t.Helper()
	if p != PowerDNS {
		if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, words := range [][]string{{"bind-reload-now", zone}, {"notify", zone}} {
		cmd := exec.Command("pdns_control", append([]string{"--config-dir=" + s.Dir, "--socket-dir=" + s.Dir}, words...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
}

func servingNSD(dir string, addr netip.AddrPort, s Serving) ([]string, error) {
	lines := []string{
		"server:",
		fmt.Sprintf("  ip-address: %s@%d", addr.Addr(), addr.Port()),
		"  server-count: 1",
		`  username: ""`, `  chroot: ""`, `  database: ""`, `  pidfile: ""`,
		fmt.Sprintf("  zonesdir: %q", dir), fmt.Sprintf("  xfrdir: %q", dir),
		fmt.Sprintf("  xfrdfile: %q", filepath.Join(dir, "xfrd.state")),
		fmt.Sprintf("  zonelistfile: %q", filepath.Join(dir, "zone.list")),
		"  rrl-ratelimit: 0", "  rrl-whitelist-ratelimit: 0", "  xfrd-reload-timeout: 0",
	}
	if s.TLS.IsValid() {
		lines = append(lines, fmt.Sprintf("  ip-address: %s@%d", s.TLS.Addr(), s.TLS.Port()), fmt.Sprintf("  tls-port: %d", s.TLS.Port()),
			fmt.Sprintf("  tls-service-key: %q", s.PEM), fmt.Sprintf("  tls-service-pem: %q", s.Cert))
	}
	lines = append(lines, "remote-control:", "  control-enable: no")
	key := "NOKEY"
	if s.Key != nil {
		key = s.Key.Name
		lines = append(lines, "key:", fmt.Sprintf("  name: %q", key), "  algorithm: hmac-sha256", fmt.Sprintf("  secret: %q", s.Key.Secret))
	}
	for _, z := range s.Zones {
		lines = append(lines, "zone:", fmt.Sprintf("  name: %q", z.Name), fmt.Sprintf("  zonefile: %q", z.File),
			"  store-ixfr: yes", "  create-ixfr: yes", "  provide-xfr: 127.0.0.0/8 "+key)
		if s.Notify.IsValid() {
			lines = append(lines, fmt.Sprintf("  notify: %s@%d %s", s.Notify.Addr(), s.Notify.Port(), key), "  notify-retry: 20")
		}
	}
	conf, err := writeFile(dir, "nsd.conf", lines...)
	return []string{"-d", "-c", conf}, err
}

func servingKnot(dir string, addr netip.AddrPort, s Serving) ([]string, error) {
	lines := []string{
		"server:",
		fmt.Sprintf("    rundir: %q", dir), fmt.Sprintf("    listen: \"%s@%d\"", addr.Addr(), addr.Port()),
		"    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 1",
		"database:", fmt.Sprintf("    storage: %q", dir),
		"log:", "  - target: stderr", "    any: info",
	}
	key, notify := "", ""
	if s.Key != nil {
		lines = append(lines, "key:", "  - id: "+s.Key.Name, "    algorithm: hmac-sha256", "    secret: "+s.Key.Secret)
		key = "    key: " + s.Key.Name
	}
	if s.Notify.IsValid() {
		lines = append(lines, "remote:", "  - id: secondary", fmt.Sprintf("    address: \"%s@%d\"", s.Notify.Addr(), s.Notify.Port()), key)
		notify = "    notify: secondary"
	}
	lines = append(lines, "acl:", "  - id: transfer", "    address: 127.0.0.0/8", "    action: transfer", key, "zone:")
	for _, z := range s.Zones {
		lines = append(lines, fmt.Sprintf("  - domain: %q", z.Name), fmt.Sprintf("    file: %q", z.File), fmt.Sprintf("    storage: %q", dir),
			"    zonefile-sync: -1", "    zonefile-load: difference", "    journal-content: changes", "    acl: transfer", notify)
	}
	conf, err := writeFile(dir, "knot.conf", lines...)
	return []string{"-c", conf}, err
}

func servingBIND(dir string, addr netip.AddrPort, s Serving) ([]string, error) {
	lines := []string{
		"options {",
		fmt.Sprintf("  directory %q;", dir),
		fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
	}
	if s.TLS.IsValid() {
		lines = append(lines, fmt.Sprintf("  listen-on port %d tls own { %s; };", s.TLS.Port(), s.TLS.Addr()))
	}
	lines = append(lines, "  listen-on-v6 { none; };",
		"  recursion no; notify explicit; notify-delay 0; notify-rate 1000; dnssec-validation no; empty-zones-enable no; ixfr-from-differences yes;",
		"  check-names primary ignore; check-integrity no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore; check-sibling no;",
		"  pid-file none; session-keyfile none;",
		"};", "controls { };")
	if s.TLS.IsValid() {
		lines = append(lines, fmt.Sprintf("tls own { cert-file %q; key-file %q; };", s.Cert, s.PEM))
	}
	key, to := "", "127.0.0.0/8"
	if s.Key != nil {
		lines = append(lines, fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", s.Key.Name, s.Key.Secret))
		key, to = " key "+s.Key.Name, "key "+s.Key.Name
	}
	notify := ""
	if s.Notify.IsValid() {
		notify = fmt.Sprintf(" also-notify { %s port %d%s; };", s.Notify.Addr(), s.Notify.Port(), key)
	}
	for i, z := range s.Zones {
		lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; journal \"%d.jnl\"; allow-transfer { %s; };%s };", z.Name, z.File, i, to, notify))
	}
	conf, err := writeFile(dir, "named.conf", lines...)
	return []string{"-g", "-n", "1", "-c", conf}, err
}

func servingPowerDNS(dir string, addr netip.AddrPort, s Serving) ([]string, error) {
	args, err := configurePowerDNS(dir, s.Zones, addr)
	if err != nil {
		return nil, err
	}
	more := []string{"--primary=yes", "--allow-axfr-ips=127.0.0.0/8", "--only-notify=127.0.0.0/8", "--xfr-cycle-interval=3600"}
	if s.Notify.IsValid() {
		more = append(more, "--also-notify="+s.Notify.String())
	}
	if s.Key == nil {
		return append(args, more...), nil
	}
	more[1] = "--allow-axfr-ips="
	commands := [][]string{{"import-tsig-key", s.Key.Name, "hmac-sha256", s.Key.Secret}}
	for _, z := range s.Zones {
		commands = append(commands, []string{"activate-tsig-key", z.Name, s.Key.Name, "primary"})
	}
	for _, words := range commands {
		cmd := exec.Command("pdnsutil", append([]string{"--config-dir=" + dir}, words...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
	}
	return append(args, more...), nil
}
