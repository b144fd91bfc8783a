package keys

import (
	"bytes"
	"encoding/binary"
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
	e.share()
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

// share has all mentions of a key's id be the one string, in lists that are no longer than they must be: many rings are in memory.
func (e *encoded) share() {
	ids := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		ids[i] = k.ID
	}
	one := func(set []string) []string {
		if len(set) == 0 {
			return nil
		}
		out := make([]string, len(set))
		for i, id := range set {
			out[i] = ids[slices.Index(ids, id)] // checkVersions has seen to it that it is there
		}
		return out
	}
	for _, v := range e.Versions {
		v.Keys, v.KeySigners, v.Signers, v.DS = one(v.Keys), one(v.KeySigners), one(v.Signers), one(v.DS)
	}
	e.Keys, e.Versions, e.Parent.DS = slices.Clip(slices.Clone(e.Keys)), slices.Clip(slices.Clone(e.Versions)), slices.Clip(slices.Clone(e.Parent.DS))
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

// AppendUndated appends all that MarshalJSON encodes, without the times that each Step moves although nothing happens: that of the
// Step itself, and that of the last look at the parent. Two rings of which that is the same have the same to do. It is for comparing
// them often, and nothing reads it.
func (r *Ring) AppendUndated(dst []byte) []byte {
	u := undated(dst)
	u.texts(r.zone.Wire())
	u.numbers(bit(r.unsigned), int64(len(r.keys)))
	for _, k := range r.keys {
		u.key(k)
	}
	u.numbers(int64(len(r.versions)))
	for _, v := range r.versions {
		u.version(v)
	}
	p := &r.parent
	u.numbers(bit(p.Watched), int64(p.Asked), int64(p.Answered), int64(p.TTL), int64(p.NegativeTTL), int64(p.Delay), int64(len(p.DS)))
	for _, d := range p.DS {
		u.data(d.DS.RData())
		u.numbers(int64(d.Servers))
	}
	return u
}

// undated is what AppendUndated appends to. Each part says how long it is.
type undated []byte

func (u *undated) data(data []byte) {
	*u = append(binary.AppendUvarint(*u, uint64(len(data))), data...)
}

func (u *undated) texts(texts ...string) {
	for _, t := range texts {
		*u = append(binary.AppendUvarint(*u, uint64(len(t))), t...)
	}
}

func (u *undated) numbers(numbers ...int64) {
	for _, n := range numbers {
		*u = binary.AppendVarint(*u, n)
	}
}

func (u *undated) times(times ...time.Time) {
	for _, t := range times {
		u.numbers(t.Unix(), int64(t.Nanosecond()))
	}
}

func bit(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func (u *undated) key(k *Key) {
	u.texts(k.ID, k.Foreign)
	u.data(k.RData)
	u.numbers(int64(k.Algorithm), int64(k.Tag), int64(k.Bits), int64(k.Role), int64(k.Goal), bit(k.Standby), bit(k.Lost), bit(k.Urgent), bit(k.NoDS), int64(k.TTL))
	u.times(k.Created, k.Active, k.Retired, k.Removed, k.Elsewhere, k.Until)
	for _, rec := range k.Records {
		u.numbers(int64(rec.State))
		u.times(rec.Since)
	}
	at := &k.Parent
	u.numbers(bit(at.Wanted), bit(at.IsDenied), int64(at.TTL), int64(at.Servers))
	u.times(at.Changed, at.Everyone, at.Nobody)
	u.numbers(int64(len(k.At)))
	for _, provider := range slices.Sorted(maps.Keys(k.At)) {
		u.texts(provider)
		u.times(k.At[provider].Since)
		u.numbers(int64(k.At[provider].TTL))
	}
}

func (u *undated) version(v *version) {
	for _, set := range [][]string{v.Keys, v.KeySigners, v.Signers, v.DS} {
		u.numbers(int64(len(set)))
		u.texts(set...)
	}
	u.numbers(int64(v.Generation), bit(v.Fresh), int64(v.KeyTTL), int64(v.ZoneTTL), int64(v.KeyMargin), int64(v.ZoneMargin))
	u.times(v.Made, v.KeysOut, v.SignersOut)
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
