package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// signPolicy is how TLDs of this size are signed: P-256, NSEC3 with opt-out, no extra iterations, no salt (RFC 9276).
// The signatures outlive the cache.
const signPolicy = `server:
  rundir: %[1]q
database:
  storage: %[1]q
policy:
  - id: bench
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-opt-out: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
    rrsig-lifetime: 3650d
    rrsig-refresh: 30d
zone:
  - domain: %[2]s
    file: %[3]q
    dnssec-policy: bench
`

// signedTLD is the TLD of that size, signed once by Knot's kzonesign and kept.
func (h *harness) signedTLD(n int) (dataset, error) {
	plain, err := tldData(h.cache, n)
	if err != nil {
		return dataset{}, err
	}
	dir, err := h.cache.open(fmt.Sprintf("tld-signed-%d", n), func(dir string) error {
		work, err := os.MkdirTemp(h.scratch, "sign-")
		if err != nil {
			return err
		}
		conf := filepath.Join(work, "knot.conf")
		text := fmt.Sprintf(signPolicy, work, tldOrigin, plain.zones[0].path)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return err
		}
		if err := h.tool("kzonesign", "-c", conf, "-o", dir, tldOrigin); err != nil {
			return err
		}
		signed, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(signed) != 1 {
			return fmt.Errorf("kzonesign left %v, expected one file", signed)
		}
		return os.Rename(signed[0], filepath.Join(dir, "zone"))
	})
	d := single(dir, tldOrigin)
	d.queries, d.nsec3 = plain.queries, true
	return d, err
}
