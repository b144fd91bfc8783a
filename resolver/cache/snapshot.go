package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync/atomic"

	"onoma/dns"
)

// Snapshot is what both caches hold, as a file. It begins with
//
//	"onomacch" | version (4) | Origin (8) | Trust (8) | time of writing (4) | CRC (4)
//
// and goes on with blocks, the last of which is empty:
//
//	length of the entries (4) | CRC-32C of length and entries (4) | entries
//
// An entry is
//
//	'M' or 'R' | mark (1) | length of key (2), of value (2) | expiry (4) | key | value
//
// Keys and values are those of the store. All times are absolute, so an entry is
// no younger for having been in a file. Failures, bogus answers and answers to
// groups of clients are not written: they are of the moment, or of a configuration.
type Snapshot struct {
	Messages *Messages
	Records  *Records
	// Origin stands for where data comes from: what another one wrote is not read.
	Origin uint64
	// Trust stands for what data was validated by: of what another one wrote, whole
	// answers and the status of RRsets are left out.
	Trust uint64
}

// ErrSnapshot is why a snapshot is not read, or not to its end.
var ErrSnapshot = errors.New("not a usable cache file")

const (
	snapshotMagic   = "onomacch"
	snapshotVersion = 1 // another one for any change of the form of keys and values
	snapshotHead    = len(snapshotMagic) + 4 + 8 + 8 + 4 + 4
	blockSize       = 64 << 10 // of entries, or one that is longer
	maxBlock        = blockSize + entryHead + maxKeyLen + 1<<16
	entryHead       = 10
	// maxAhead is how far the clock may have gone back since the file was written.
	maxAhead = 300
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes what is not expired at time now, and returns how much that is.
func (s *Snapshot) Write(w io.Writer, now uint32) (entries int, err error) {
	be := binary.BigEndian
	h := append(make([]byte, 0, snapshotHead), snapshotMagic...)
	h = be.AppendUint32(h, snapshotVersion)
	h = be.AppendUint64(h, s.Origin)
	h = be.AppendUint64(h, s.Trust)
	h = be.AppendUint32(h, now)
	h = be.AppendUint32(h, crc32.Checksum(h, castagnoli))
	if _, err := w.Write(h); err != nil {
		return 0, fmt.Errorf("writing the cache: %w", err)
	}
	b := blockWriter{w: w, b: make([]byte, 8, maxBlock)}
	s.Messages.s.each(func(key, value []byte, e head) bool {
		return len(value) < trailerLen || !s.Messages.lasts(key, value, e, now) || b.add('M', key, value, e)
	})
	s.Records.s.each(func(key, value []byte, e head) bool {
		return e.expire() <= now || !lastingKind(key) || b.add('R', key, value, e)
	})
	b.flush()
	b.flush() // an empty one
	if b.err != nil {
		return b.entries, fmt.Errorf("writing the cache: %w", b.err)
	}
	return b.entries, nil
}

// lasts reports whether an answer is worth keeping: it is good, or may be given as
// stale.
func (m *Messages) lasts(key, value []byte, e head, now uint32) bool {
	if len(key) < 5 || binary.BigEndian.Uint16(key[len(key)-3:]) != 0 {
		return false // of a group of clients
	}
	ended, valid := staleness(value, e.expire())
	return valid > now && (e.expire() > now || uint64(ended)+uint64(m.stale.For) > uint64(now))
}

// lastingKind reports whether a record entry's kind is kept.
func lastingKind(key []byte) bool {
	if len(key) < 3 {
		return false
	}
	switch kind(key[len(key)-1]) {
	case kindRRset, kindNoData, kindNXDomain, kindDelegation:
		return true
	}
	return false
}

// blockWriter gathers entries into blocks.
type blockWriter struct {
	w       io.Writer
	b       []byte // 8 octets for length and CRC first
	entries int
	err     error
}

func (b *blockWriter) add(cache byte, key, value []byte, e head) bool {
	be := binary.BigEndian
	b.b = append(b.b, cache, e.mark())
	b.b = be.AppendUint16(b.b, uint16(len(key)))
	b.b = be.AppendUint16(b.b, uint16(len(value)))
	b.b = be.AppendUint32(b.b, e.expire())
	b.b = append(append(b.b, key...), value...)
	b.entries++
	if len(b.b)-8 >= blockSize {
		b.flush()
	}
	return b.err == nil
}

func (b *blockWriter) flush() {
	binary.BigEndian.PutUint32(b.b, uint32(len(b.b)-8))
	binary.BigEndian.PutUint32(b.b[4:], blockSum(b.b[:4], b.b[8:]))
	if b.err == nil {
		_, b.err = b.w.Write(b.b)
	}
	b.b = b.b[:8]
}

func blockSum(length, entries []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, entries)
}

// Read fills the caches, which should be empty. It stops early, without an error,
// when stop says so between two blocks. After an error the caches are empty: what is
// damaged in one place is believed in none.
func (s *Snapshot) Read(r io.Reader, now uint32, stop func() bool) (entries int, err error) {
	entries, err = s.read(r, now, stop)
	if err != nil {
		s.Messages.FlushAll()
		s.Records.FlushAll()
		return 0, err
	}
	return entries, nil
}

func (s *Snapshot) read(r io.Reader, now uint32, stop func() bool) (entries int, err error) {
	trusted, err := s.readHead(r, now)
	if err != nil {
		return 0, err
	}
	block := make([]byte, maxBlock)
	for !stop() {
		b, err := readBlock(r, block)
		if err != nil || len(b) == 0 {
			return entries, err
		}
		for len(b) > 0 {
			var kept bool
			if b, kept, err = s.take(b, now, trusted); err != nil {
				return entries, err
			}
			if kept {
				entries++
			}
		}
	}
	return entries, nil
}

// readHead reports whether what was validated counts.
func (s *Snapshot) readHead(r io.Reader, now uint32) (trusted bool, err error) {
	var h [snapshotHead]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return false, fmt.Errorf("%w: its head: %w", ErrSnapshot, err)
	}
	be := binary.BigEndian
	rest := h[len(snapshotMagic):]
	switch {
	case string(h[:len(snapshotMagic)]) != snapshotMagic:
		return false, fmt.Errorf("%w: it is something else", ErrSnapshot)
	case be.Uint32(rest) != snapshotVersion:
		return false, fmt.Errorf("%w: its form is version %d, this program has %d", ErrSnapshot, be.Uint32(rest), snapshotVersion)
	case be.Uint32(h[snapshotHead-4:]) != crc32.Checksum(h[:snapshotHead-4], castagnoli):
		return false, fmt.Errorf("%w: its head is damaged", ErrSnapshot)
	case be.Uint64(rest[4:]) != s.Origin:
		return false, fmt.Errorf("%w: it was learnt from other servers than those of the configuration", ErrSnapshot)
	case uint64(be.Uint32(rest[20:])) > uint64(now)+maxAhead:
		return false, fmt.Errorf("%w: it is from the future", ErrSnapshot)
	}
	return be.Uint64(rest[12:]) == s.Trust, nil
}

// readBlock reads a block into buf.
func readBlock(r io.Reader, buf []byte) ([]byte, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, fmt.Errorf("%w: it ends too soon: %w", ErrSnapshot, err)
	}
	n := binary.BigEndian.Uint32(h[:])
	if int64(n) > int64(len(buf)) {
		return nil, fmt.Errorf("%w: a block of %d octets", ErrSnapshot, n)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, fmt.Errorf("%w: it ends too soon: %w", ErrSnapshot, err)
	}
	if binary.BigEndian.Uint32(h[4:]) != blockSum(h[:4], buf[:n]) {
		return nil, fmt.Errorf("%w: a block is damaged", ErrSnapshot)
	}
	return buf[:n], nil
}

// take puts the first entry of b into its cache, if it is still good, and returns
// the rest of b.
func (s *Snapshot) take(b []byte, now uint32, trusted bool) (rest []byte, kept bool, err error) {
	be := binary.BigEndian
	if len(b) < entryHead || len(b) < entryHead+int(be.Uint16(b[2:]))+int(be.Uint16(b[4:])) {
		return nil, false, fmt.Errorf("%w: an entry is cut short", ErrSnapshot)
	}
	cache, mark, expire := b[0], b[1], be.Uint32(b[6:])
	keyLen, valueLen := int(be.Uint16(b[2:])), int(be.Uint16(b[4:]))
	key := b[entryHead : entryHead+keyLen]
	value := b[entryHead+keyLen : entryHead+keyLen+valueLen]
	rest = b[entryHead+keyLen+valueLen:]
	if keyLen > maxKeyLen || mark > uint8(Secure) {
		return nil, false, fmt.Errorf("%w: an entry has a strange key or mark", ErrSnapshot)
	}
	switch e := newHead(key, value, mark, expire); cache {
	case 'M':
		if !isMessage(key, value) {
			return nil, false, fmt.Errorf("%w: an answer is malformed", ErrSnapshot)
		}
		kept = trusted && s.Messages.lasts(key, value, e, now) && s.Messages.s.put(s.Messages.s.hash(key), key, value, mark, now, expire)
	case 'R':
		if !isRecord(key, value) {
			return nil, false, fmt.Errorf("%w: a record entry is malformed", ErrSnapshot)
		}
		if !trusted {
			mark = 0
		}
		kept = expire > now && s.Records.s.put(s.Records.s.hash(key), key, value, mark, now, expire)
	default:
		return nil, false, fmt.Errorf("%w: an entry of kind %d", ErrSnapshot, cache)
	}
	return rest, kept, nil
}

// isName reports whether b is a name in wire form and nothing else.
func isName(b []byte) bool {
	_, err := dns.NameFromWire(b)
	return err == nil
}

// isMessage reports whether an entry of Messages is as Put or Revive makes it.
func isMessage(key, value []byte) bool {
	if len(key) < 6 || key[len(key)-1] >= NumVariants || !isName(key[:len(key)-5]) || len(value) < trailerLen {
		return false
	}
	be := binary.BigEndian
	t := value[len(value)-trailerLen:]
	nTTL, nOpt := int(be.Uint16(t[8:])), int(be.Uint16(t[10:]))
	records := int(be.Uint16(t[2:])) + int(be.Uint16(t[4:])) + int(be.Uint16(t[6:]))
	body := len(value) - trailerLen - nOpt - 2*nTTL
	isStale := be.Uint16(t)&staleFlag != 0
	if body < 0 || isStale && nTTL != 0 || !isStale && nTTL != records {
		return false
	}
	start := dns.HeaderLen + len(key) - 1
	msg := append(make([]byte, start, start+body), value[:body]...)
	copy(msg[dns.HeaderLen:], key[:len(key)-1])
	off := start
	for i := range records {
		at, next, err := ttlOffset(msg, off)
		if err != nil || nTTL > 0 && int(be.Uint16(value[body+2*i:])) != at-start {
			return false
		}
		off = next
	}
	return off == len(msg) && isOptions(value[body+2*nTTL:len(value)-trailerLen])
}

// isOptions reports whether b is a list of EDNS options.
func isOptions(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			return false
		}
		b = b[4+int(binary.BigEndian.Uint16(b[2:])):]
	}
	return true
}

// isRecord reports whether an entry of Records is one that is kept, as putEntry or
// PutDelegation makes it.
func isRecord(key, value []byte) bool {
	if !lastingKind(key) || !isName(key[:len(key)-3]) {
		return false
	}
	rd := reader{b: value}
	switch kind(key[len(key)-1]) {
	case kindDelegation:
		d := rd.delegation()
		rd.bad = rd.bad || d.Zone.IsZero() || d.Parent.IsZero()
	default:
		rd.u8()
		rd.name()
		sets := rd.sets()
		isRRset := kind(key[len(key)-1]) == kindRRset
		isEmpty := func(s RRset) bool { return len(s.Data) == 0 }
		rd.bad = rd.bad || isRRset && (len(sets) == 0 || slices.ContainsFunc(sets, isEmpty))
	}
	return !rd.bad && len(rd.b) == 0
}

// each calls f with the entries, those of a shard in the order in which they were
// put, until it returns false. It takes no lock: what changes meanwhile is seen
// before or after it. Key and value are good until f returns.
func (s *store) each(f func(key, value []byte, e head) bool) {
	var positions []uint64
	var buf []byte
	for i := range s.shards {
		h := &s.shards[i]
		positions = positions[:0]
		for j := range h.slots {
			if slot := atomic.LoadUint64(&h.slots[j]); slot != 0 {
				positions = append(positions, slot&posMask)
			}
		}
		slices.Sort(positions)
		for _, pos := range positions {
			var e head
			if buf, e = h.entry(buf[:0], pos); len(buf) > 0 && !f(buf[:e.keyLen()], buf[e.keyLen():], e) {
				return
			}
		}
	}
}

// entry appends key and value of the entry at pos to dst, or nothing if it is gone.
func (h *shard) entry(dst []byte, pos uint64) ([]byte, head) {
	c := h.at(pos)
	e, hash := head(c.next()), c.next()
	if pos < h.tail.Load() {
		return dst, 0
	}
	dst = c.appendOctets(dst, e.keyLen())
	dst = c.appendOctets(dst, e.valueLen())
	if h.slotAt(hash, pos) < 0 || pos < h.tail.Load() {
		return dst[:0], 0
	}
	return dst, e
}
