package zone

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"onoma/zone/qp"
)

// A snapshot is a version in a file, to be served again without reading text.
// The tries and arenas of a version have no Go pointers, so it is these as they
// are, and a head that says where what is:
//
//	octets   snapshotMagic
//	u32      snapshotFormat
//	u32      snapshotOrder, in the machine's byte order
//	u64      length of the file
//	u32      length of the description
//	u32      checksum of all before it and of the description
//	...      description: see snapshotHead
//	...      cells, chunk by chunk
//	...      octets, chunk by chunk
//	...      host numbers
//
// Numbers are little-endian but for cells and host numbers, which are as the
// machine has them. Each chunk has its own checksum (CRC-32C), which stands in
// the description, so that damage is found wherever it is and by several CPUs.
//
// Snapshots are a cache: another format, byte order or program means that the
// text is read once more, so there is nothing to convert.
//
// A snapshot is read into memory and not mapped. The checksums touch every page
// in any case, so a mapping would save one copy, which costs less than the
// check; and the process would be killed (SIGBUS) when somebody truncates the
// file under it or the disk fails.
const (
	snapshotMagic  = "\x89onoma\r\n" // no text, and damaged by who takes it for text
	snapshotFormat = 1               // to be raised whenever an entry, a cell or this file changes its layout
	snapshotOrder  = 0x01020304
	headLen        = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteSnapshot writes v to the file at path, all or nothing: it writes to path
// with ".new" behind it and gives that its name when it is on the disk. One
// program at a time may write to a directory.
//
// It lets others run between two chunks, so that answers do not wait for it.
func (v *Version) WriteSnapshot(path string) error {
	err := v.writeSnapshot(path)
	if err != nil {
		return fmt.Errorf("writing snapshot of %s: %w", v.origin, err)
	}
	return nil
}

func (v *Version) writeSnapshot(path string) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = v.writeTo(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the first error is the one to tell
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir sees to it that a new name in dir outlives a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// writeTo writes the head and then all chunks.
func (v *Version) writeTo(w io.Writer) error {
	chunks := v.image()
	h := v.head()
	for _, c := range chunks {
		h.sums = append(h.sums, crc32.Checksum(c, castagnoli))
		h.size += int64(len(c))
		runtime.Gosched()
	}
	if _, err := w.Write(h.append(nil)); err != nil {
		return err
	}
	for _, c := range chunks {
		if _, err := w.Write(c); err != nil {
			return err
		}
		runtime.Gosched()
	}
	return nil
}

// image returns the memory of v in the order of the file.
func (v *Version) image() (chunks [][]byte) {
	m := v.sp.Image()
	cells, octets := m.Chunks()
	for i := range cells {
		chunks = append(chunks, m.Cells(i))
	}
	for i := range octets {
		chunks = append(chunks, m.Octets(i))
	}
	for _, p := range v.hosts.pages {
		chunks = append(chunks, pageOctets(p))
	}
	return chunks
}

// pageOctets returns host numbers as a snapshot has them.
func pageOctets(page []uint32) []byte {
	b := make([]byte, 0, 4*len(page))
	for _, ref := range page {
		b = binary.NativeEndian.AppendUint32(b, ref)
	}
	return b
}

// tries returns the tries of v in the order of the file.
func (v *Version) tries() []*qp.Trie { return []*qp.Trie{&v.names, &v.nsec3, &v.spare, &v.absent} }

// snapshotHead is what stands before the chunks.
type snapshotHead struct {
	size    int64 // of the chunks
	source  Source
	origin  string // in wire form
	class   uint16
	serial  uint32
	records int
	live    int
	tries   [4]struct {
		root [3]uint32
		n    int
	}
	cells, octets, hosts []int    // lengths of chunks
	sums                 []uint32 // checksums of all chunks
}

func (v *Version) head() *snapshotHead {
	h := &snapshotHead{
		origin: v.origin.Wire(), class: uint16(v.class), serial: v.serial,
		records: v.records, live: v.live,
	}
	if v.source != nil {
		h.source = *v.source
	}
	for i, t := range v.tries() {
		h.tries[i].root, h.tries[i].n = t.Root(), t.Len()
	}
	m := v.sp.Image()
	cells, octets := m.Chunks()
	for i := range cells {
		h.cells = append(h.cells, len(m.Cells(i))/qp.CellSize)
	}
	for i := range octets {
		h.octets = append(h.octets, len(m.Octets(i)))
	}
	for _, p := range v.hosts.pages {
		h.hosts = append(h.hosts, len(p))
	}
	return h
}

// append appends the head in the form of the file.
func (h *snapshotHead) append(b []byte) []byte {
	start := len(b)
	b = append(b, snapshotMagic...)
	b = le.AppendUint32(b, snapshotFormat)
	b = binary.NativeEndian.AppendUint32(b, snapshotOrder)
	b = append(b, make([]byte, headLen-len(snapshotMagic)-8)...)
	b = h.describe(b)
	n := len(b) - start
	le.PutUint64(b[start+16:], uint64(int64(n)+h.size))
	le.PutUint32(b[start+24:], uint32(n-headLen))
	le.PutUint32(b[start+28:], headSum(b[start:start+28], b[start+headLen:]))
	return b
}

func headSum(fixed, description []byte) uint32 {
	return crc32.Update(crc32.Checksum(fixed, castagnoli), castagnoli, description)
}

func (h *snapshotHead) describe(b []byte) []byte {
	b = appendText(b, h.origin)
	b = le.AppendUint16(b, h.class)
	b = le.AppendUint32(b, h.serial)
	b = le.AppendUint64(b, uint64(h.records))
	b = le.AppendUint64(b, uint64(h.live))
	b = le.AppendUint64(b, uint64(h.source.Read))
	b = le.AppendUint32(b, uint32(len(h.source.Files)))
	for _, f := range h.source.Files {
		b = appendText(b, f.Path)
		b = le.AppendUint64(b, uint64(f.Size))
		b = le.AppendUint64(b, uint64(f.ModTime))
	}
	for _, t := range h.tries {
		for _, word := range t.root {
			b = le.AppendUint32(b, word)
		}
		b = le.AppendUint64(b, uint64(t.n))
	}
	for _, lens := range [][]int{h.cells, h.octets, h.hosts} {
		b = le.AppendUint32(b, uint32(len(lens)))
		for _, n := range lens {
			b = le.AppendUint32(b, uint32(n))
		}
	}
	for _, sum := range h.sums {
		b = le.AppendUint32(b, sum)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(le.AppendUint16(b, uint16(len(text))), text...)
}
