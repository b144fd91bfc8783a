package peers

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
)

// KnotOnline is Knot that signs answers when they are asked for (its module onlinesign), with ECDSA P-256 and keys of its own.
var KnotOnline = &Peer{
	Name: "knot-onlinesign", Package: "knot", Binary: "knotd", version: []string{"--version"},
	configure: func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		args, err := Knot.configure(dir, zones, addr)
		if err != nil {
			return nil, err
		}
		err = rewrite(filepath.Join(dir, "knot.conf"), [2]string{"template:\n  - id: default\n", strings.Join([]string{
			"policy:",
			"  - id: online",
			"    algorithm: ecdsap256sha256",
			"    single-type-signing: on",
			"mod-onlinesign:",
			"  - id: online",
			"    policy: online",
			"template:",
			"  - id: default",
			"    module: mod-onlinesign/online",
			"",
		}, "\n")})
		return args, err
	},
}

// PowerDNSLive is PowerDNS that signs answers when they are asked for, with ECDSA P-256, keys of its own and NSEC records that cover next
// to nothing ("narrow" NSEC3); it keeps signatures.
var PowerDNSLive = &Peer{
	Name: "powerdns-live", Package: "pdns-server", Binary: "pdns_server", version: []string{"--version"},
	configure: func(dir string, zones Zones, addr netip.AddrPort) ([]string, error) {
		args, err := configurePowerDNS(dir, zones, addr)
		if err != nil {
			return nil, err
		}
		for _, z := range zones {
			for _, command := range [][]string{
				{"add-zone-key", z.Name, "ksk", "active", "ecdsa256"},
				{"set-nsec3", z.Name, "1 0 0 -", "narrow"},
			} {
				out, err := exec.Command("pdnsutil", append([]string{"--config-dir=" + dir}, command...)...).CombinedOutput()
				if err != nil {
					return nil, fmt.Errorf("pdnsutil %s: %w\n%s", strings.Join(command, " "), err, out)
				}
			}
		}
		return args, nil
	},
}
