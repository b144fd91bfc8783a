package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone/qp"
)

// SnapshotError says what is wrong with a snapshot, and where.
type SnapshotError struct {
	File   string
	Offset int64 // in octets from the start of the file
	What   string
	Want   string
}

func (e *SnapshotError) Error() string {
	return fmt.Sprintf("%s: snapshot, octet %d: %s, expected %s", e.File, e.Offset, e.What, e.Want)
}

// Snapshot is a snapshot whose head has been read. Load may be called once.
type Snapshot struct {
	file   io.ReaderAt
	closer io.Closer
	name   string
	length int64
	start  int64 // of the chunks
	head   snapshotHead
}

// OpenSnapshot opens the snapshot of the zone origin at path and reads its head.
func OpenSnapshot(path string, origin dns.Name) (*Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening snapshot of %s: %w", origin, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("opening snapshot of %s: %s is not a regular file", origin, path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s, err := readSnapshot(f, path, info.Size(), origin)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s.closer = f
	return s, nil
}

// readSnapshot reads the head of the snapshot that f has length octets of.
func readSnapshot(f io.ReaderAt, name string, length int64, origin dns.Name) (*Snapshot, error) {
	s := &Snapshot{file: f, name: name, length: length}
	if err := s.readHead(origin); err != nil {
		return nil, err
	}
	return s, nil
}

// LoadSnapshot reads the snapshot of the zone origin at path.
func LoadSnapshot(path string, origin dns.Name) (*Version, error) {
	s, err := OpenSnapshot(path, origin)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Load()
}

// Source returns the files that the version was read from.
func (s *Snapshot) Source() *Source { return &s.head.source }

// Close closes the file.
func (s *Snapshot) Close() error { return s.closer.Close() }

func (s *Snapshot) fault(off int64, what, want string) error {
	return &SnapshotError{s.name, off, what, want}
}

// readHead reads all that stands before the chunks.
func (s *Snapshot) readHead(origin dns.Name) error {
	fixed, err := s.read(0, headLen)
	if err != nil {
		return err
	}
	switch {
	case string(fixed[:8]) != snapshotMagic:
		return s.fault(0, "no snapshot", "the mark of a snapshot")
	case le.Uint32(fixed[8:]) != snapshotFormat:
		return s.fault(8, fmt.Sprintf("format %d", le.Uint32(fixed[8:])), fmt.Sprintf("%d: it is of another version of this program", snapshotFormat))
	case binary.NativeEndian.Uint32(fixed[12:]) != snapshotOrder:
		return s.fault(12, "numbers of another byte order", "those of this machine")
	case le.Uint64(fixed[16:]) != uint64(s.length):
		return s.fault(16, fmt.Sprintf("%d octets noted", le.Uint64(fixed[16:])), fmt.Sprintf("%d, the length of the file: it may be cut off", s.length))
	}
	n := int64(le.Uint32(fixed[24:]))
	description, err := s.read(headLen, n)
	if err != nil {
		return err
	}
	if headSum(fixed[:28], description) != le.Uint32(fixed[28:]) {
		return s.fault(28, "checksum of the head is wrong", "that of an undamaged file")
	}
	s.start = headLen + n
	p := &headReader{b: description}
	p.head(&s.head)
	switch {
	case p.bad || len(p.b) > 0:
		return s.fault(s.start-int64(len(p.b)), "malformed description", "as many fields as there are")
	case s.head.size != s.length-s.start:
		return s.fault(headLen, fmt.Sprintf("chunks of %d octets described", s.head.size), fmt.Sprintf("%d, which is the rest of the file", s.length-s.start))
	case s.head.origin != origin.Wire() && !dns.EqualNames([]byte(s.head.origin), []byte(origin.Wire())):
		return s.fault(headLen, "snapshot of another zone", "one of "+origin.String())
	}
	return nil
}

// read returns n octets at off. It allocates no more than the file has.
func (s *Snapshot) read(off, n int64) ([]byte, error) {
	if n > s.length-off {
		return nil, s.fault(s.length, "end of file", fmt.Sprintf("%d more octets", n-(s.length-off)))
	}
	b := make([]byte, n)
	return b, s.fill(b, off)
}

func (s *Snapshot) fill(b []byte, off int64) error {
	n, err := s.file.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return s.fault(off+int64(n), "end of file", fmt.Sprintf("%d more octets", len(b)-n))
	default:
		return fmt.Errorf("%s: reading snapshot at octet %d: %w", s.name, off+int64(n), err)
	}
}

// headReader takes fields from a description. bad stays true once one was missing.
type headReader struct {
	b   []byte
	bad bool
}

func (p *headReader) take(n int) []byte {
	if p.bad || n > len(p.b) {
		p.bad = true
		return make([]byte, min(n, 8))
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *headReader) u32() uint32 { return le.Uint32(p.take(4)) }
func (p *headReader) u64() uint64 { return le.Uint64(p.take(8)) }

// count reads a count that does not fit an int32 only in a wrong file.
func (p *headReader) count() int {
	n := p.u64()
	p.bad = p.bad || n > 1<<48
	return int(n & (1<<48 - 1))
}

func (p *headReader) text() string {
	n := int(le.Uint16(p.take(2)))
	if p.bad || n > len(p.b) {
		p.bad = true
		return ""
	}
	return string(p.take(n))
}

// list returns how many items of at least so many octets follow: never more
// than there is room for.
func (p *headReader) list(octets int) int {
	n := int64(p.u32())
	if p.bad || n*int64(octets) > int64(len(p.b)) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *headReader) head(h *snapshotHead) {
	h.origin = p.text()
	h.class = le.Uint16(p.take(2))
	h.serial = p.u32()
	h.records, h.live = p.count(), p.count()
	h.source.Read = int64(p.u64())
	for range p.list(2 + 8 + 8) {
		f := SourceFile{Path: p.text(), Size: int64(p.u64()), ModTime: int64(p.u64())}
		h.source.Files = append(h.source.Files, f)
	}
	for i := range h.tries {
		t := &h.tries[i]
		t.root = [3]uint32{p.u32(), p.u32(), p.u32()}
		t.n = p.count()
	}
	h.cells, h.octets, h.hosts = p.lens(), p.lens(), p.lens()
	for _, n := range h.cells {
		h.size += int64(n) * qp.CellSize
	}
	for _, n := range h.octets {
		h.size += int64(n)
	}
	for _, n := range h.hosts {
		h.size += int64(n) * 4
	}
	for range len(h.cells) + len(h.octets) + len(h.hosts) {
		h.sums = append(h.sums, p.u32())
		if p.bad {
			return
		}
	}
}

func (p *headReader) lens() (lens []int) {
	for range p.list(4) {
		lens = append(lens, int(p.u32()))
	}
	return lens
}

// Load reads all chunks and checks them, so that no answer can come to harm
// with what the file says. It uses all CPUs.
func (s *Snapshot) Load() (*Version, error) {
	v, chunks, err := s.blank()
	if err != nil {
		return nil, err
	}
	if err := s.readChunks(chunks); err != nil {
		return nil, err
	}
	m := len(s.head.cells) + len(s.head.octets)
	for i, c := range chunks[m:] {
		for j := range v.hosts.pages[i] {
			v.hosts.pages[i][j] = binary.NativeEndian.Uint32(c[4*j:])
		}
	}
	blocks, err := v.audit()
	if err != nil {
		return nil, s.fault(s.start, "checksums are right, but "+err.Error(), "what this program writes")
	}
	v.line = &lineage{blocks: blocks}
	v.source = &s.head.source
	v.derive()
	return v, nil
}

// blank returns a version with memory for all, and that memory in the order of
// the file.
func (s *Snapshot) blank() (*Version, [][]byte, error) {
	h := &s.head
	m, ok := qp.NewImage(h.cells, h.octets)
	if !ok {
		return nil, nil, s.fault(headLen, "chunks of impossible length", "what this program writes")
	}
	origin, err := dns.NameFromWire([]byte(h.origin))
	if err != nil {
		return nil, nil, s.fault(headLen, "malformed origin", "a domain name")
	}
	v := &Version{id: newVersionID(), origin: origin, class: dns.Class(h.class), serial: h.serial, records: h.records, live: h.live}
	v.sp = m.Space()
	for i, t := range v.tries() {
		*t = qp.NewTrie(h.tries[i].root, h.tries[i].n)
	}
	var chunks [][]byte
	for i := range h.cells {
		chunks = append(chunks, m.Cells(i))
	}
	for i := range h.octets {
		chunks = append(chunks, m.Octets(i))
	}
	for i, n := range h.hosts {
		if n > pageLen || n < pageLen && i < len(h.hosts)-1 {
			return nil, nil, s.fault(headLen, fmt.Sprintf("page of %d hosts", n), fmt.Sprintf("%d", pageLen))
		}
		v.hosts.pages = append(v.hosts.pages, make([]uint32, n))
		chunks = append(chunks, make([]byte, 4*n))
	}
	return v, chunks, nil
}

// readChunks fills the chunks and compares their checksums.
func (s *Snapshot) readChunks(chunks [][]byte) error {
	offs := make([]int64, len(chunks))
	off := s.start
	for i, c := range chunks {
		offs[i] = off
		off += int64(len(c))
	}
	var next atomic.Int64
	errs := make([]error, min(len(chunks), runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(chunks) {
					return
				}
				errs[w] = s.readChunk(chunks[i], offs[i], s.head.sums[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Snapshot) readChunk(b []byte, off int64, sum uint32) error {
	if err := s.fill(b, off); err != nil {
		return err
	}
	if crc32.Checksum(b, castagnoli) != sum {
		return s.fault(off, fmt.Sprintf("checksum of %d octets is wrong", len(b)), "that of an undamaged file")
	}
	return nil
}
