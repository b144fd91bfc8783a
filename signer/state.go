package signer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
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

// dateEvery is how often the mere times of a ring are written, when all else is as it was.
//
// Each step of a ring moves the time of its last step, and that of the last look at the parent. With thousands of zones at rest,
// to write these is most of the work. They may be older on the disk than they were: every other time in a ring is that of something
// that happened, which is written before it is acted upon, with the time of that step. So none is later than the last step that is
// on the disk. A server that is started again with a clock behind that step finds the clock has gone back (keys.Ring.Step); one
// with a clock after it, though behind steps that were not written, finds no time that is yet to come, and waits for longer than
// it would have, never for less. Servers that share a database write all: who takes over from another one must not believe an
// older look at the parent of its own.
const dateEvery = time.Hour

// kept is the state of a zone as it is on the disk.
type kept struct {
	all     *imprint  // nil: there is none
	undated imprint   // without the times that each step moves
	last    time.Time // the last step of the ring
}

// keptOf is of data, from which st was decoded.
func keptOf(data []byte, st *state) kept {
	return kept{all: imprintOf(data), undated: st.undated(), last: st.Ring.Last()}
}

// undated is the imprint of the state without the times that each step of the ring moves.
func (s *state) undated() imprint {
	var room [1024]byte
	b := s.Ring.AppendUndated(room[:0])
	for _, n := range []uint64{s.Served.Generation, s.Whole.Generation, uint64(s.Served.Serial), uint64(s.Whole.Serial), uint64(s.WasTTL)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	for _, t := range []time.Time{s.Served.Since, s.Whole.Since, s.First, s.Next} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
		b = binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
	}
	b = strconv.AppendBool(b, s.Fresh)
	return sha256.Sum256(append(b, s.Salt...))
}

// hasAll reports whether nothing would be lost without another write.
func (k *kept) hasAll(undated imprint, last time.Time) bool {
	isLate := !last.Before(k.last) && last.Sub(k.last) < dateEvery
	return k.all != nil && k.undated == undated && isLate
}

// save has the state on the disk, if it is not as it was. The caller holds z.making.
func (z *Zone) save(ctx context.Context) error {
	z.mu.Lock()
	undated, last := z.st.undated(), z.st.Ring.Last()
	if !z.k.o.IsShared && z.saved.hasAll(undated, last) {
		z.mu.Unlock()
		return nil
	}
	data, err := z.st.encode()
	same := z.saved.all.isOf(data)
	z.mu.Unlock()
	if err != nil || same {
		return err
	}
	if err := z.swap(ctx, data); err != nil {
		return fmt.Errorf("keeping the key ring of %s: %w", z.id, err)
	}
	z.mu.Lock()
	z.saved = kept{all: imprintOf(data), undated: undated, last: last}
	z.mu.Unlock()
	return nil
}
