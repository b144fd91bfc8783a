package preflight

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"onoma/config"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/signer/keystore"
	"onoma/signer/offline"
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
	for i := range c.Policies {
		k.policy(&c.Policies[i])
	}
	k.keyless(c)
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
// the server, if the directory above lets it.
func (k *checker) keyFolder(dir string) {
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if info, err = os.Stat(dir); err == nil && info.IsDir() {
			k.writable(dir)
			return
		}
	}
	switch {
	case err != nil:
		k.fail(config.Pos{}, "private keys: %v", err)
	case !info.IsDir():
		k.fail(config.Pos{}, "private keys: %s is no directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		k.warn(config.Pos{}, "private keys: others on this machine may look into %s: chmod 700 takes that away", dir)
		fallthrough
	default:
		k.writable(dir)
	}
}

func (k *checker) writable(dir string) {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		k.fail(config.Pos{}, "private keys: %s cannot be written by this user (%v), and keys are made in it", dir, err)
	}
}

// tooLate is how long before the end of a response there should be another one.
const tooLate = 14 * 24 * time.Hour

// policy looks at the signed key responses that a policy names.
func (k *checker) policy(p *config.Policy) {
	if p.OfflineKSK == "" {
		return
	}
	f, err := offline.Read(p.OfflineKSK)
	if err == nil {
		err = f.Verify(nil)
	}
	if err == nil {
		_, err = f.Bundle(k.o.Now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.warn(p.At, "policy %s: %s is not there: zones stay unsigned until it is; \"onoma zone ksr\" and \"onoma zone skr\" make it", p.Name, p.OfflineKSK)
	case err != nil:
		k.fail(p.At, "policy %s: %v", p.Name, err)
	case f.Until().Before(k.o.Now.Add(tooLate)):
		k.warn(p.At, "policy %s: %s ends on %s: have the next request signed", p.Name, p.OfflineKSK, f.Until().Format(time.DateTime))
	}
}

// keyless tells of zones that must be signed where there is no place for private keys.
func (k *checker) keyless(c *config.Config) {
	if !c.IsKeyless() {
		return
	}
	look := func(zones []config.Zone) {
		for i := range zones {
			z := &zones[i]
			if z.DNSSEC == config.PolicyAuto || z.DNSSEC == config.PolicyOff {
				continue
			}
			if p, ok := c.FindPolicy(z.DNSSEC); ok && p.Token == "" {
				k.fail(z.At, "zone %s: dnssec: %s: %s", z.Name, z.DNSSEC, config.WhereKeys)
			}
		}
	}
	look(c.Zones)
	for _, v := range c.Views {
		look(v.Zones)
	}
}
