package keyfile

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"onoma/dns"
)

// maxFound bounds the keys of one zone.
const maxFound = 100

// plain takes their meaning from the signs of patterns.
var plain = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// Find returns the paths of the private keys of a zone in a directory of BIND's that are in the zone at a time, as their files
// say.
func Find(dir string, zone dns.Name, now time.Time) (paths []string, err error) {
	name := strings.ReplaceAll(zone.Fold().String(), "/", "%2F")
	pattern := filepath.Join(plain.Replace(dir), "K"+plain.Replace(name)+"+*.private")
	all, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("looking for keys of %s in %s: %w", zone, dir, err)
	}
	if len(all) > maxFound {
		return nil, fmt.Errorf("looking for keys of %s in %s: there are %d, expected %d at most", zone, dir, len(all), maxFound)
	}
	for _, path := range all {
		_, _, meta, err := Read(path)
		if err != nil {
			return nil, err
		}
		if !meta.Publish.After(now) && (meta.Delete.IsZero() || meta.Delete.After(now)) {
			paths = append(paths, path)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("looking for keys of %s in %s: there is none, expected K%s+ALGORITHM+TAG.private and .key", zone, dir, name)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("looking for keys of %s in %s: none of the %d there is in use by its times, expected one at least", zone, dir, len(all))
	}
	return paths, nil
}
