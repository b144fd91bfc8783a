package keyfile

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// KnotKey is a key as 'keymgr -j ZONE list' describes it. Its private half is in a
// file of Knot's key store, <id>.pem.
type KnotKey struct {
	Zone       dns.Name
	ID         string
	Tag        uint16
	Algorithm  uint8
	KSK, ZSK   bool
	PublicOnly bool // Knot has no private half either
	Times
}

// Flags is what the DNSKEY record has.
func (k *KnotKey) Flags() uint16 {
	flags := uint16(dns.DNSKEYZone)
	if k.KSK {
		flags |= dns.DNSKEYSEP
	}
	if !k.Revoke.IsZero() {
		flags |= dns.DNSKEYRevoke
	}
	return flags
}

// knotLine is a key in the listing; times are seconds since 1970, and 0 none.
type knotLine struct {
	Zone       string `json:"zone"`
	ID         string `json:"id"`
	KSK        bool   `json:"ksk"`
	ZSK        bool   `json:"zsk"`
	Tag        uint16 `json:"tag"`
	Algorithm  uint8  `json:"algorithm"`
	PublicOnly bool   `json:"public-only"`
	Publish    int64  `json:"publish"`
	Active     int64  `json:"active"`
	Ready      int64  `json:"ready"`
	Retire     int64  `json:"retire"`
	Revoke     int64  `json:"revoke"`
	Remove     int64  `json:"remove"`
}

// maxList bounds a listing: some thousands of keys.
const maxList = 4 << 20

// ParseKnotList reads what 'keymgr -j ZONE list' prints; errors name it file.
func ParseKnotList(file string, text []byte) ([]KnotKey, error) {
	if len(text) > maxList {
		return nil, mistake(file, 0, "is larger than %d octets", maxList)
	}
	var lines []knotLine
	if err := json.Unmarshal(text, &lines); err != nil {
		return nil, mistake(file, 0, "what 'keymgr -j ZONE list' prints was expected: %v", err)
	}
	keys := make([]KnotKey, 0, len(lines))
	for i, l := range lines {
		zone, err := dns.ParseName(l.Zone)
		if err != nil {
			return nil, mistake(file, 0, "zone %q of key %d: %v", clip(l.Zone), i+1, err)
		}
		if !isKnotID(l.ID) {
			return nil, mistake(file, 0, "id %q of key %d: hex digits were expected", clip(l.ID), i+1)
		}
		k := KnotKey{Zone: zone, ID: l.ID, Tag: l.Tag, Algorithm: l.Algorithm, KSK: l.KSK, ZSK: l.ZSK, PublicOnly: l.PublicOnly}
		k.Times = Times{Publish: knotTime(l.Publish), Activate: knotTime(l.Active), DSPublish: knotTime(l.Ready), Inactive: knotTime(l.Retire), Revoke: knotTime(l.Revoke), Delete: knotTime(l.Remove)}
		keys = append(keys, k)
	}
	return keys, nil
}

func knotTime(seconds int64) time.Time {
	if seconds <= 0 || seconds > 1<<38 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// isKnotID: an id becomes part of a path.
func isKnotID(id string) bool {
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(id) > 0 && len(id) <= 64
}

// Read reads the private half from the folder of Knot's key store, and holds it to
// the tag of the listing.
func (k *KnotKey) Read(dir string) (*dnssec.Key, Meta, error) {
	meta := Meta{Times: k.Times}
	path := filepath.Join(dir, k.ID+".pem")
	if k.PublicOnly {
		return nil, meta, fmt.Errorf("reading a key: Knot has only the public half of %s", k.ID)
	}
	key, warnings, err := ReadPEM(path, k.Algorithm, k.Flags())
	if err != nil {
		return nil, meta, err
	}
	if key.Tag() != k.Tag {
		return nil, meta, mistake(path, 1, "holds the key with tag %d; %d was expected, as Knot lists it", key.Tag(), k.Tag)
	}
	meta.Warnings = warnings
	return key, meta, nil
}
