package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// maxFound bounds the keys of one zone.
const maxFound = 100

// plain takes their meaning from the signs of patterns.
var plain = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// Found is a private key and the file that it was read from.
type Found struct {
	Path     string
	Key      *dnssec.Key
	Warnings []string // as in Meta
	Times
}

// isIn reports whether the key is in the zone.
func (f *Found) isIn(now time.Time) bool {
	return !f.Publish.After(now) && (f.Delete.IsZero() || f.Delete.After(now))
}

// Find returns the private keys of a zone in a directory that are in the zone at a time, as their files say: BIND's
// K<zone>+<algorithm>+<tag>.private, or else those that Knot has listed in <zone>.json (example.com.json, which
// 'keymgr -j example.com list' has printed), <id>.pem each.
func Find(dir string, zone dns.Name, now time.Time) ([]Found, error) {
	name := strings.ReplaceAll(zone.Fold().String(), "/", "%2F")
	all, err := findPairs(dir, name)
	if err == nil && len(all) == 0 {
		all, err = findListed(filepath.Join(dir, name+"json"), zone, now)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for keys of %s in %s: %w", zone, dir, err)
	}
	var found []Found
	for _, f := range all {
		if f.isIn(now) {
			found = append(found, f)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("looking for keys of %s in %s: there is none, expected K%s+ALGORITHM+TAG.private, or %sjson by 'keymgr -j' with ID.pem", zone, dir, name, name)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("looking for keys of %s in %s: none of the %d there is in use by its times, expected one at least", zone, dir, len(all))
	}
	return found, nil
}

// findPairs reads BIND's files.
func findPairs(dir, name string) (all []Found, err error) {
	paths, err := filepath.Glob(filepath.Join(plain.Replace(dir), "K"+plain.Replace(name)+"+*.private"))
	if err != nil {
		return nil, err
	}
	if len(paths) > maxFound {
		return nil, fmt.Errorf("there are %d, expected %d at most", len(paths), maxFound)
	}
	for _, path := range paths {
		_, k, meta, err := Read(path)
		if err != nil {
			return nil, err
		}
		all = append(all, Found{path, k, meta.Warnings, meta.Times})
	}
	return all, nil
}

// findListed reads the keys in Knot's listing. Those that Knot has not published yet, or no longer, may be without a file.
func findListed(list string, zone dns.Name, now time.Time) (all []Found, err error) {
	text, err := readList(list)
	if err != nil || text == nil {
		return nil, err
	}
	keys, err := ParseKnotList(list, text)
	if err != nil {
		return nil, err
	}
	if len(keys) > maxFound {
		return nil, fmt.Errorf("%s has %d, expected %d at most", list, len(keys), maxFound)
	}
	for i := range keys {
		k := &keys[i]
		if !k.Zone.Equal(zone) {
			return nil, mistake(list, 0, "lists a key of %s, expected those of %s", k.Zone, zone)
		}
		f := Found{Path: filepath.Join(filepath.Dir(list), k.ID+".pem"), Times: k.Times}
		if f.Publish.IsZero() {
			f.Publish = now.Add(1) // which with BIND means that nobody has noted it, and here that there is no such time
		}
		if f.isIn(now) {
			var meta Meta
			if f.Key, meta, err = k.Read(filepath.Dir(list)); err != nil {
				return nil, err
			}
			f.Warnings = meta.Warnings
		}
		all = append(all, f)
	}
	return all, nil
}

// readList returns nil where there is no such file.
func readList(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Size() > maxList:
		return nil, mistake(path, 0, "is larger than %d octets", maxList)
	}
	return os.ReadFile(path)
}
