package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"onoma/config"
	"onoma/dns"
	"onoma/dns/dnssec/keyfile"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/signer/keystore"
	"onoma/signer/offline"
	"onoma/zone"
)

// signing looks at what private keys are protected by, and at what policies name.
func (k *checker) signing(c *config.Config) {
	if _, err := keystore.SealFrom(c.DNSSEC.Seal, k.o.Getenv); err != nil {
		k.fail(config.Pos{}, "dnssec.seal: %v", err)
	}
	for _, t := range c.DNSSEC.Tokens {
		k.readable("dnssec.tokens: "+t.Name, t.Module)
		if t.PIN == "" {
			continue
		}
		if _, err := keystore.Secret(t.PIN, k.o.Getenv); err != nil {
			k.fail(config.Pos{}, "dnssec.tokens: %s: %v", t.Name, err)
		}
	}
	if c.DNSSEC.Keys == "" {
		k.keyFolder(filepath.Join(c.Data, "keys"))
	} else {
		k.keyFolder(c.DNSSEC.Keys)
	}
	if path := c.Lookups.TrustAnchor; path != "" {
		if _, err := validator.ReadAnchors(path); err != nil {
			k.fail(config.Pos{}, "lookups.trust-anchor: %v", err)
		}
	}
	k.hints(c.Lookups.RootHints)
	where := make(map[dns.Name]*config.Zone)
	look := func(zones []config.Zone) {
		for i := range zones {
			z := &zones[i]
			k.signed(z)
			if !isSigned(z) {
				continue
			}
			if other := where[z.Name.Fold()]; other != nil && (len(z.Signers) == 0 || len(other.Signers) == 0) {
				k.warn(z.At, "zone %s is signed here and in another view (%s), by keys of its own each: resolvers that meet both refuse one of them, unless each names the other in signers, and the parent has the DS of both", z.Name, other.At)
			}
			where[z.Name.Fold()] = z
		}
	}
	look(c.Zones)
	for _, v := range c.Views {
		look(v.Zones)
	}
}

func (k *checker) hints(path string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		k.fail(config.Pos{}, "lookups.root-hints: %v", err)
		return
	}
	defer f.Close()
	if _, err := iterator.ParseHints(f, path); err != nil {
		k.fail(config.Pos{}, "lookups.root-hints: %v", err)
	}
}

// keyFolder tells of a directory that keys cannot be written into, or that others see into. One that is not there is made by
// the server, if the directory above lets it. Who checks may be another user than the server.
func (k *checker) keyFolder(dir string) {
	info, err := os.Stat(dir)
	isThere := err == nil
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	switch {
	case errors.Is(err, unix.ENOTDIR): // the data directory, of which that is told
	case err != nil:
		k.warn(config.Pos{}, "private keys: %v", err)
	case !info.IsDir():
		k.fail(config.Pos{}, "private keys: %s is no directory", dir)
	case isThere && info.Mode().Perm()&0o077 != 0:
		k.warn(config.Pos{}, "private keys: others on this machine may look into %s: chmod 700 takes that away", dir)
	case unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		k.warn(config.Pos{}, "private keys: this user may not write into %s; the one that runs the server must", dir)
	}
}

// tooLate is how long before the end of a response there should be another one.
const tooLate = 14 * 24 * time.Hour

// isSigned reports whether this server signs a zone.
func isSigned(z *config.Zone) bool {
	isAuto := z.DNSSEC == config.PolicyAuto
	return z.DNSSEC != config.PolicyOff && !z.Catalog.Produce && (!isAuto || len(z.Primaries) == 0 && z.Catalog.Consume == nil)
}

// signed looks at what the policy of a zone names.
func (k *checker) signed(z *config.Zone) {
	if z.DNSSEC == config.PolicyOff {
		return
	}
	name := z.DNSSEC
	if name == config.PolicyAuto {
		name = config.PolicyDefault
	}
	p, ok := k.c.FindPolicy(name)
	if !ok {
		return
	}
	if p.Token == "" && name == z.DNSSEC && k.c.IsKeyless() {
		k.fail(z.At, "zone %s: dnssec: %s: %s", z.Name, z.DNSSEC, config.WhereKeys)
	}
	if z.KeysFrom != "" {
		if _, err := keyfile.Find(config.ExpandFile(z.KeysFrom, z.Name, z.View), z.Name, k.o.Now); err != nil {
			k.warn(z.At, "zone %s: keys-from: %v; they are needed until the server has taken them over", z.Name, err)
		}
	}
	if p.OfflineKSK != "" {
		k.response(z, config.ExpandFile(p.OfflineKSK, z.Name, z.View))
	}
}

// response looks at signed key responses of a zone.
func (k *checker) response(z *config.Zone, path string) {
	f, err := offline.Read(path)
	if err == nil {
		err = f.Verify(nil)
	}
	if err == nil {
		_, err = f.Bundle(k.o.Now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.warn(z.At, "zone %s: %s is not there, and the zone is signed once it is: \"onoma zone ksr\" and \"onoma zone skr\" make it", z.Name, path)
	case err != nil:
		k.fail(z.At, "zone %s: %v", z.Name, err)
	case !f.Zone.Equal(z.Name):
		k.fail(z.At, "zone %s: %s is a response for %s", z.Name, path, f.Zone)
	case f.Until().Before(k.o.Now.Add(tooLate)):
		k.warn(z.At, "zone %s: %s ends on %s: have the next request signed", z.Name, path, f.Until().UTC().Format(time.DateTime))
	}
}

// tooLong says that a zone has TTLs for which signatures are made too late: those in caches would end before the records do.
func tooLong(v *zone.Version, policy string, c *config.Config) string {
	if policy == config.PolicyAuto {
		policy = config.PolicyDefault
	}
	p, ok := c.FindPolicy(policy)
	if !ok || v == nil {
		return ""
	}
	var most uint32
	for n := range v.Nodes() {
		for set := range n.RRsets() {
			most = max(most, set.TTL())
		}
	}
	if ttl := time.Duration(most) * time.Second; ttl > p.Refresh {
		return fmt.Sprintf("a TTL of %v is longer than what is left of a signature when policy %s makes it anew (refresh: %v): caches keep less than that", ttl, p.Name, p.Refresh)
	}
	return ""
}
