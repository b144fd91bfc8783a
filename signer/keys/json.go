package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"onoma/dns"
)

// format is the version of the encoding. Another one is refused, never guessed at: a key that is overlooked is a zone that goes dark.
const format = 1

// encoded is a ring as it is stored.
type encoded struct {
	Format   int        `json:"format"`
	Zone     string     `json:"zone"`
	Unsigned bool       `json:"unsigned,omitempty"`
	Keys     []*Key     `json:"keys"`
	Versions []*version `json:"versions"`
	Last     time.Time  `json:"last,omitzero"`
	Parent   Parent     `json:"parent,omitzero"`
}

// MarshalJSON encodes all that the ring knows.
func (r *Ring) MarshalJSON() ([]byte, error) {
	return json.Marshal(encoded{Format: format, Zone: r.zone.String(), Unsigned: r.unsigned,
		Keys: r.keys, Versions: r.versions, Last: r.last, Parent: r.parent})
}

// UnmarshalJSON decodes a ring, and refuses one that is not whole.
func (r *Ring) UnmarshalJSON(data []byte) error {
	var e encoded
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return fmt.Errorf("reading a key ring: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("reading a key ring: something follows it")
	}
	zone, err := e.check()
	if err != nil {
		return fmt.Errorf("reading a key ring: %w", err)
	}
	*r = Ring{zone: zone, unsigned: e.Unsigned, keys: e.Keys, versions: e.Versions, last: e.Last, parent: e.Parent}
	return nil
}

func (e *encoded) check() (dns.Name, error) {
	if e.Format != format {
		return dns.Root, fmt.Errorf("its format is %d, this program knows %d: it was written by another version", e.Format, format)
	}
	zone, err := dns.ParseName(e.Zone)
	if err != nil {
		return dns.Root, fmt.Errorf("zone %q: %w", e.Zone, err)
	}
	ids := map[string]bool{}
	for _, k := range e.Keys {
		if k == nil || k.ID == "" || ids[k.ID] {
			return dns.Root, fmt.Errorf("a key without an id of its own")
		}
		ids[k.ID] = true
		if err := k.check(); err != nil {
			return dns.Root, fmt.Errorf("key %q: %w", k.ID, err)
		}
	}
	return zone, e.checkVersions(ids)
}

func (k *Key) check() error {
	d, err := dns.ParseDNSKEY(dns.RData(k.RData))
	switch {
	case err != nil:
		return err
	case d.Algorithm != k.Algorithm || d.KeyTag() != k.Tag:
		return fmt.Errorf("its DNSKEY has tag %d and algorithm %d, not %d and %d", d.KeyTag(), d.Algorithm, k.Tag, k.Algorithm)
	case k.Role == 0 || k.Goal != Hidden && k.Goal != Omnipresent:
		return fmt.Errorf("role %v and goal %v make no sense", k.Role, k.Goal)
	}
	return nil
}

func (e *encoded) checkVersions(ids map[string]bool) error {
	if len(e.Versions) == 0 {
		return fmt.Errorf("no versions")
	}
	for i, v := range e.Versions {
		if v == nil || i > 0 && v.Generation <= e.Versions[i-1].Generation {
			return fmt.Errorf("versions are not in ascending order")
		}
		for _, set := range [][]string{v.Keys, v.KeySigners, v.Signers, v.DS} {
			for _, id := range set {
				if !ids[id] {
					return fmt.Errorf("version %d has key %q, which is not there", v.Generation, id)
				}
			}
		}
		if v.KeyTTL < 0 || v.ZoneTTL < 0 || v.KeyMargin < 0 || v.ZoneMargin < 0 {
			return fmt.Errorf("version %d has a negative time", v.Generation)
		}
	}
	return nil
}

// Undated returns r without the times that each Step moves although nothing happens: that of the Step itself, and that of the last
// look at the parent. Two rings whose undated forms are encoded the same have the same to do. It shares all else with r, and is
// only to be encoded.
func (r *Ring) Undated() *Ring {
	c := *r
	c.last, c.parent.At = time.Time{}, time.Time{}
	return &c
}

// Clone returns a ring that is independent of r.
func (r *Ring) Clone() *Ring {
	c := *r
	c.keys, c.versions = make([]*Key, len(r.keys)), make([]*version, len(r.versions))
	for i, k := range r.keys {
		n := *k
		n.RData, n.At = slices.Clone(k.RData), maps.Clone(k.At)
		c.keys[i] = &n
	}
	for i, v := range r.versions {
		c.versions[i] = v.clone()
	}
	c.waits, c.parent.DS = slices.Clone(r.waits), slices.Clone(r.parent.DS)
	return &c
}
