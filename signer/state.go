package signer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"onoma/signer/keys"
)

// stateFormat is the number of the form in which states are kept.
const stateFormat = 1

// state is what is kept of a zone beside its keys.
type state struct {
	Format int        `json:"format"`
	Ring   *keys.Ring `json:"ring"`
	Salt   []byte     `json:"salt,omitempty"`
	Fresh  bool       `json:"fresh,omitempty"`  // nobody has seen the zone unsigned
	Served served     `json:"served,omitzero"`  // the keys that it is served with
	Whole  served     `json:"signed,omitzero"`  // and the signers
	First  time.Time  `json:"expires,omitzero"` // when the first signature expires
	// WasTTL is the longest TTL of what was signed since the ring last went on: it may be in caches, and in the zone no more.
	WasTTL time.Duration `json:"was-ttl,omitempty"`
	Next   time.Time     `json:"next,omitzero"` // when there is something to sign anew
}

// served is since when all servers of a zone have it as the ring wanted it.
type served struct {
	Generation uint64    `json:"generation"`
	Serial     uint32    `json:"serial"`         // from this one on
	Since      time.Time `json:"since,omitzero"` // zero: not all have it
}

func (s *state) encode() ([]byte, error) {
	s.Format = stateFormat
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the key ring of %s: %w", s.Ring.Zone(), err)
	}
	return data, nil
}

func (s *state) decode(data []byte) error {
	if err := json.Unmarshal(data, s); err != nil {
		return fmt.Errorf("reading the key ring: %w", err)
	}
	if s.Format != stateFormat || s.Ring == nil {
		return fmt.Errorf("reading the key ring: its form is %d, expected %d: another version of this program has written it", s.Format, stateFormat)
	}
	return nil
}

// imprint tells one state that is kept from another, at a fraction of its size; nil: none is kept.
type imprint [sha256.Size]byte

func imprintOf(data []byte) *imprint {
	if data == nil {
		return nil
	}
	sum := imprint(sha256.Sum256(data))
	return &sum
}

// isOf reports whether it is that of data, which may be nil.
func (i *imprint) isOf(data []byte) bool {
	if i == nil || data == nil {
		return i == nil && data == nil
	}
	return *i == sha256.Sum256(data)
}

// save has the state on the disk, if it is not as it was. The caller holds z.making.
func (z *Zone) save(ctx context.Context) error {
	z.mu.Lock()
	data, err := z.st.encode()
	same := z.saved.isOf(data)
	z.mu.Unlock()
	if err != nil || same {
		return err
	}
	if err := z.swap(ctx, data); err != nil {
		return fmt.Errorf("keeping the key ring of %s: %w", z.id, err)
	}
	z.mu.Lock()
	z.saved = imprintOf(data)
	z.mu.Unlock()
	return nil
}
