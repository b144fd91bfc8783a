package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
	type taken struct {
		id string
		k  *dnssec.Key
	}
	var all []taken
	split := false
	for _, path := range r.Files {
		k, warnings, err := d.readKey(path, id)
		if err != nil {
			return "", badKeys(err)
		}
		for _, w := range warnings {
			d.log.Warn("key file", "file", path, "what", w)
		}
		kept, err := d.privates.Import(ctx, id.Name, k)
		if err != nil {
			return "", err
		}
		all = append(all, taken{kept, k})
		split = split || !k.DNSKEY().IsSEP()
	}
	text, err := d.signer.Adopt(ctx, id, func(ring *keys.Ring, _ *keys.Policy, now time.Time) (string, error) {
		var tags []string
		for _, t := range all {
			role := keys.CSK
			switch {
			case !t.k.DNSKEY().IsSEP():
				role = keys.ZSK
			case split:
				role = keys.KSK
			}
			if err := ring.Import(t.id, t.k.DNSKEY(), role, false, !r.NoDS && role&keys.KSK != 0, now); err != nil {
				return "", err
			}
			tags = append(tags, fmt.Sprintf("%s %d", strings.ToUpper(role.String()), t.k.Tag()))
		}
		return "this server signs the zone from now on, with " + strings.Join(tags, " and "), nil
	})
	return text, badKeys(err)
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
