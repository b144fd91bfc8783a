package peers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/miekg/dns"
)

// NSD with one server process. Its answers are minimal by option; ANY over UDP it answers with TC by default.
var NSD = &Peer{
	Name: "nsd", Package: "nsd", Binary: "nsd", version: []string{"-v"},
	configure: func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		lines := []string{
			"server:",
			fmt.Sprintf("  ip-address: %s@%d", addr.Addr(), addr.Port()),
			"  server-count: 1",
			"  tcp-count: 100",
			`  username: ""`,
			`  chroot: ""`,
			`  database: ""`,
			`  pidfile: ""`,
			fmt.Sprintf("  zonesdir: %q", dir),
			fmt.Sprintf("  xfrdir: %q", dir),
			fmt.Sprintf("  xfrdfile: %q", filepath.Join(dir, "xfrd.state")),
			fmt.Sprintf("  zonelistfile: %q", filepath.Join(dir, "zone.list")),
			"  minimal-responses: yes",
			"  round-robin: no",
			"  hide-version: yes",
			"  rrl-ratelimit: 0", // loopback tests look like a flood
			"  rrl-whitelist-ratelimit: 0",
			"  ipv4-edns-size: 4096",
			"remote-control:",
			"  control-enable: no",
		}
		for _, z := range zones {
			lines = append(lines, "zone:", fmt.Sprintf("  name: %q", z.Name), fmt.Sprintf("  zonefile: %q", z.File))
		}
		conf, err := writeFile(dir, "nsd.conf", lines...)
		return []string{"-d", "-c", conf}, err
	},
}

// Knot with one worker of each kind and no journal: zones come from their files alone.
var Knot = &Peer{
	Name: "knot", Package: "knot", Binary: "knotd", version: []string{"-V"},
	configure: func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		lines := []string{
			"server:",
			fmt.Sprintf("    rundir: %q", dir),
			fmt.Sprintf("    listen: \"%s@%d\"", addr.Addr(), addr.Port()),
			"    udp-workers: 1",
			"    tcp-workers: 1",
			"    background-workers: 1",
			"    udp-max-payload: 4096",
			"database:",
			fmt.Sprintf("    storage: %q", dir),
			"log:",
			"  - target: stderr",
			"    any: info",
			"template:",
			"  - id: default",
			"    zonefile-sync: -1",
			"    journal-content: none",
			"zone:",
		}
		for _, z := range zones {
			lines = append(lines, fmt.Sprintf("  - domain: %q", z.Name), fmt.Sprintf("    file: %q", z.File))
		}
		conf, err := writeFile(dir, "knot.conf", lines...)
		return []string{"-c", conf}, err
	},
}

// BIND as an authoritative server only. Its checks are off, since they would keep zones with
// unusual but legal content from being served.
var BIND = &Peer{
	Name: "bind", Package: "bind9", Binary: "named", version: []string{"-v"}, onInterface: true,
	configure: func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		lines := []string{
			"options {",
			fmt.Sprintf("  directory %q;", dir),
			fmt.Sprintf("  listen-on port %d { %s; };", addr.Port(), addr.Addr()),
			"  listen-on-v6 { none; };",
			"  recursion no; allow-query { any; }; notify no;",
			"  minimal-responses yes; minimal-any yes; rrset-order { order none; };",
			"  zero-no-soa-ttl no;", // else BIND departs from RFC 2308 §3 for SOA questions
			"  check-names primary ignore; check-integrity no; check-mx ignore; check-mx-cname ignore;",
			"  check-srv-cname ignore; check-sibling no; check-wildcard no; check-spf ignore; check-dup-records ignore;",
			"  empty-zones-enable no; dnssec-validation no; max-udp-size 4096; edns-udp-size 4096;",
			`  pid-file none; session-keyfile none; tcp-clients 100;`,
			"};",
			"controls { };",
		}
		for _, z := range zones {
			lines = append(lines, fmt.Sprintf("zone %q { type primary; file %q; };", z.Name, z.File))
		}
		conf, err := writeFile(dir, "named.conf", lines...)
		return []string{"-g", "-n", "1", "-c", conf}, err
	},
}

// PowerDNS with the bind backend and without its caches. Signed zones must be declared so in its database.
var PowerDNS = &Peer{
	Name: "powerdns", Package: "pdns-server", Binary: "pdns_server", version: []string{"--version"},
	configure: configurePowerDNS,
}

func configurePowerDNS(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
	lines := make([]string, 0, len(zones))
	for _, z := range zones {
		lines = append(lines, fmt.Sprintf("zone %q { type master; file %q; };", z.Name, z.File))
	}
	named, err := writeFile(dir, "named.conf", lines...)
	if err != nil {
		return nil, err
	}
	database := filepath.Join(dir, "dnssec.sqlite3")
	_, err = writeFile(dir, "pdns.conf",
		"launch=bind",
		"bind-config="+named,
		"bind-dnssec-db="+database,
		"local-address="+addr.Addr().String(),
		fmt.Sprintf("local-port=%d", addr.Port()),
		"socket-dir="+dir,
		"daemon=no",
		"guardian=no",
		"disable-syslog=yes",
		"write-pid=no",
		"security-poll-suffix=",
		"dname-processing=yes",
		"8bit-dns=yes",
		"cache-ttl=0",
		"query-cache-ttl=0",
		"negquery-cache-ttl=0",
		"max-nsec3-iterations=500",
		"udp-truncation-threshold=4096",
		"distributor-threads=1",
		"max-tcp-connections=100",
		"no-shuffle=yes",
	)
	if err != nil {
		return nil, err
	}
	if err := declareSigned(dir, database, zones); err != nil {
		return nil, err
	}
	return []string{"--config-dir=" + dir}, nil
}

// declareSigned tells PowerDNS which zones come with signatures, and the NSEC3 parameters of those that have them.
func declareSigned(dir, database string, zones Zones) error {
	pdnsutil := func(args ...string) error {
		cmd := exec.Command("pdnsutil", append([]string{"--config-dir=" + dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
		return nil
	}
	if err := pdnsutil("create-bind-db", database); err != nil {
		return err
	}
	for _, z := range zones {
		signed, param, err := signing(z)
		if err != nil {
			return err
		}
		if !signed {
			continue
		}
		if err := pdnsutil("set-presigned", z.Name); err != nil {
			return err
		}
		if param != "" {
			if err := pdnsutil("set-nsec3", z.Name, param); err != nil {
				return err
			}
		}
	}
	return nil
}

// signing reads from a zone's file whether it is signed, and its NSEC3 parameters with the opt-out flag
// (which is clear in NSEC3PARAM, RFC 5155 §4.1.2, and set in the NSEC3 records).
func signing(z Zone) (signed bool, param string, err error) {
	text, err := os.Open(z.File)
	if err != nil {
		return false, "", err
	}
	defer text.Close()
	parser := dns.NewZoneParser(text, z.Name, z.File)
	optOut := uint8(0)
	var found *dns.NSEC3PARAM
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		switch rr := rr.(type) {
		case *dns.RRSIG:
			signed = true
		case *dns.NSEC3:
			optOut |= rr.Flags & 1
		case *dns.NSEC3PARAM:
			found = rr
		}
	}
	if err := parser.Err(); err != nil {
		return false, "", err
	}
	if found != nil {
		salt := found.Salt
		if salt == "" {
			salt = "-"
		}
		param = strings.ToLower(fmt.Sprintf("%d %d %d %s", found.Hash, optOut, found.Iterations, salt))
	}
	return signed, param, nil
}
