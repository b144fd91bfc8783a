package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/telemetry/control"
	"onoma/zone"
)

// importKeys takes over keys with which the zone is signed already.
func (d *Daemon) importKeys(ctx context.Context, id zone.ID, r control.KeyRequest) (string, error) {
	if len(r.Files) == 0 {
		return "", badKeys(mistake("no file of a key was named"))
	}
	var all []taken
	for _, path := range r.Files {
		k, warnings, err := d.readKey(path, id)
		if err != nil {
			return "", badKeys(err)
		}
		for _, w := range warnings {
			d.log.Warn("key file", "file", path, "what", w)
		}
		all = append(all, taken{k: k})
	}
	return d.takeKeys(ctx, id, all, !r.NoDS)
}

// takeKeys has a zone signed by keys that have signed it elsewhere. ds says that the parent has theirs.
func (d *Daemon) takeKeys(ctx context.Context, id zone.ID, all []taken, ds bool) (string, error) {
	if err := d.hasSigners(id, all); err != nil {
		return "", badKeys(err)
	}
	had, err := d.privates.List(ctx, id.Name)
	if err != nil {
		return "", err
	}
	isRefused := true
	defer func() {
		if isRefused {
			d.putBack(ctx, all, had)
		}
	}()
	for i := range all {
		if all[i].id, err = d.privates.Import(ctx, id.Name, all[i].k); err != nil {
			return "", err
		}
	}
	text, err := d.signer.Adopt(ctx, id, func(ring *keys.Ring, _ *keys.Policy, now time.Time) (string, error) {
		text, err := adopt(ring, all, ds, now)
		isRefused = err != nil // what comes after may have been written, whatever is said of it: then keys stay
		return text, err
	})
	return text, badKeys(err)
}

// putBack removes keys from the store again that no ring has, but those that it had before.
func (d *Daemon) putBack(ctx context.Context, all []taken, had []keystore.Info) {
	for _, t := range all {
		if t.id == "" || slices.ContainsFunc(had, func(i keystore.Info) bool { return i.ID == t.id }) {
			continue
		}
		if err := d.privates.Remove(context.WithoutCancel(ctx), t.id); err != nil {
			d.log.Warn("a key that was not taken over stays in the store", "key", t.id, "error", err)
		}
	}
}

// taken is a key that is imported.
type taken struct {
	id string
	k  *dnssec.Key
}

// adopt has a ring begin with imported keys.
func adopt(ring *keys.Ring, all []taken, ds bool, now time.Time) (string, error) {
	split := slices.ContainsFunc(all, func(t taken) bool { return !t.k.DNSKEY().IsSEP() })
	var tags []string
	for _, t := range all {
		role := keys.CSK
		switch {
		case !t.k.DNSKEY().IsSEP():
			role = keys.ZSK
		case split:
			role = keys.KSK
		}
		if err := ring.Import(t.id, t.k.DNSKEY(), role, false, ds && role&keys.KSK != 0, now); err != nil {
			return "", err
		}
		tags = append(tags, fmt.Sprintf("%s %d", role, t.k.Tag()))
	}
	return "this server signs the zone from now on, with " + strings.Join(tags, " and "), nil
}

// hasSigners reports an error if the zone is signed by a key that is not among those that are brought. Without it what it has
// signed would be bogus for all who have that cached.
func (d *Daemon) hasSigners(id zone.ID, all []taken) error {
	z := d.pipe.Zone(id)
	if v, ok := d.signer.View(id, time.Time{}); !ok || !v.IsPassive || z == nil || z.Latest() == nil {
		return nil
	}
	for _, t := range []dns.Type{dns.TypeSOA, dns.TypeDNSKEY} {
		set, _ := z.Latest().Apex().RRset(t)
		sigs, _ := set.Sigs()
		for data := range sigs.RData() {
			s, err := dns.ParseRRSIG(data)
			if err != nil || slices.ContainsFunc(all, func(t taken) bool { return t.k.Tag() == s.KeyTag && t.k.Algorithm() == s.Algorithm }) {
				continue
			}
			return mistake("key %d (%s) signs the %s of %s, too, and is not among those: bring all keys that sign the zone in one command", s.KeyTag, dnssec.AlgorithmName(s.Algorithm), t, id.Name)
		}
	}
	return nil
}

// readKey reads a key of a zone, in either form. PEM does not say what a key is for: the zone's DNSKEY set does.
func (d *Daemon) readKey(path string, id zone.ID) (*dnssec.Key, []string, error) {
	if filepath.Ext(path) == ".pem" {
		return d.readPEM(path, id)
	}
	name, k, meta, err := keyfile.Read(path)
	switch {
	case err != nil:
		return nil, nil, mistaken{err}
	case !name.Equal(id.Name):
		return nil, nil, mistake("%s is a key of %s, expected one of %s", path, name, id.Name)
	}
	return k, meta.Warnings, nil
}

func (d *Daemon) readPEM(path string, id zone.ID) (*dnssec.Key, []string, error) {
	var set zone.RRset
	if z := d.pipe.Zone(id); z != nil && z.Latest() != nil {
		set, _ = z.Latest().Apex().RRset(dns.TypeDNSKEY)
	}
	if set.Count() == 0 {
		return nil, nil, mistake("%s: PEM does not say what a key is for. That is taken from the zone's DNSKEY set, and %s has none here: have it served as it was signed first, or bring the key in BIND's form", path, id.Name)
	}
	for data := range set.RData() {
		want, err := dns.ParseDNSKEY(data)
		if err != nil {
			continue
		}
		k, warnings, err := keyfile.ReadPEM(path, want.Algorithm, want.Flags)
		if errors.As(err, new(*fs.PathError)) {
			return nil, nil, mistaken{err}
		}
		if err == nil && bytes.Equal(k.DNSKEY().PublicKey, want.PublicKey) {
			return k, warnings, nil
		}
	}
	return nil, nil, mistake("%s is none of the keys in the DNSKEY set of %s as it is served here", path, id.Name)
}

// exportKey returns a private key, as text.
func (d *Daemon) exportKey(ctx context.Context, id zone.ID, r control.KeyRequest) (string, error) {
	v, ok := d.signer.View(id, time.Time{})
	if !ok {
		return "", fmt.Errorf("zone %s is not signed by this server: %w", id, zone.ErrUnknown)
	}
	form := keystore.Format(r.Format)
	if form == "" {
		form = keystore.PEM
	}
	for i := range v.Keys {
		if k := &v.Keys[i]; k.ID == r.Key || strconv.Itoa(int(k.Tag)) == r.Key {
			var text bytes.Buffer
			err := d.privates.Export(ctx, k.ID, form, &text)
			d.log.Warn("a private key was exported", "zone", id, "key", k.ID)
			return text.String(), err
		}
	}
	return "", badKeys(fmt.Errorf("key %q: %w", r.Key, keys.ErrNoKey))
}
