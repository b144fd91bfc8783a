package zone

import (
	"errors"
	"fmt"
	"io"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// Load reads the zone origin from r to its end. A text with mistakes is read to
// its end too, so that the error is all of them ([zonefile.Errors]) and comes
// with what is wrong with the zone as far as it was read; there is no version then.
func Load(r *zonefile.Reader, origin dns.Name) (*Version, []Finding, error) {
	b := NewBuilder(origin)
	var mistakes zonefile.Errors
	for {
		e, err := r.NextEntry()
		if err == io.EOF {
			break
		}
		if one := (*zonefile.Error)(nil); errors.As(err, &one) {
			mistakes = append(mistakes, one)
			continue
		}
		if err == nil {
			err = b.add(e.Owner, e.Type, e.Class, e.TTL, e.Data)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("loading zone %s: %w", origin, err)
		}
	}
	v, found := b.Build()
	if len(mistakes) > 0 {
		return nil, found, mistakes
	}
	return v, found, nil
}

// LoadFile reads the master file at path for the zone origin. $INCLUDE takes
// files from path's directory and below.
func LoadFile(path string, origin dns.Name) (*Version, []Finding, error) {
	begun := time.Now()
	r, err := zonefile.Open(path, zonefile.Options{Origin: origin})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	v, found, err := Load(r, origin)
	if v != nil {
		v.source = sourceOf(r, begun)
	}
	return v, found, err
}
