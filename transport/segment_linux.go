package transport

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// segments puts answers for one client together, so that they pass the kernel's network stack as one packet that is cut
// apart at its end (UDP_SEGMENT, generic segmentation offload). All parts but the last must have the same length and the
// last may be shorter: sorted by length, any two answers for one client make a pair at least. Front ends, forwarders and
// resolvers that keep few sockets open to a server get half to a fifth of the cost this way; where every query comes from
// a port of its own there is nothing to merge, which is noticed before anything is sorted.
type segments struct {
	off bool // the kernel or a device on the way cannot

	keys [batchSize]uint64
	vec  [batchSize]unix.Iovec   // as in the send batch, clients together
	hdr  [batchSize]unix.Mmsghdr // a scratch copy of the send batch
	seen [seenSlots]uint16       // by hash of the client: the last key that fell there, and its generation
	gen  uint16
}

const (
	seenSlots = 2 * batchSize
	// maxSegments is the kernel's limit for one packet (UDP_MAX_SEGMENTS of Linux 4.18 to 6.8).
	maxSegments = 64
	// maxSegment keeps every part within what any IPv6 path carries; longer answers travel alone.
	maxSegment = 1232
	// segmentCmsg is the size of the control message that holds the length of the parts.
	segmentCmsg = unix.SizeofCmsghdr + 8
)

// canSegment reports whether the kernel knows UDP_SEGMENT.
func canSegment(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	return err == nil
}

// merge makes fewer, larger packets of the first n of the send batch and returns how many there are then.
func (g *segments) merge(b *batch, n int) int {
	if g.off || n < 2 || !g.repeats(b, n) {
		return n
	}
	slices.Sort(g.keys[:n])
	out := 0
	for i := 0; i < n; out++ {
		i = g.mergeRun(b, i, n, &g.hdr[out].Hdr)
	}
	copy(b.tx[:out], g.hdr[:out])
	return out
}

// repeats makes the keys to sort by, and reports whether enough answers have a client in common.
func (g *segments) repeats(b *batch, n int) bool {
	g.gen++
	if g.gen == 0 {
		clear(g.seen[:])
		g.gen = 1
	}
	again := 0
	for i := range n {
		h := addrHash(b.tx[i].Hdr.Name)
		if g.seen[h%seenSlots] == g.gen {
			again++
		}
		g.seen[h%seenSlots] = g.gen
		g.keys[i] = uint64(h)<<32 | uint64(^uint16(b.txVec[i].Len))<<16 | uint64(i)
	}
	// A hash of a batch of strangers finds a quarter of its slots taken by others at most.
	return again > n/3
}

// addrHash mixes the port and an address: that of IPv4, or the last octets of IPv6.
func addrHash(name *byte) uint32 {
	a := (*rawAddr)(unsafe.Pointer(name))
	x := binary.LittleEndian.Uint64(a[0:]) // family, port, IPv4 address or flow label
	if binary.NativeEndian.Uint16(a[:]) == unix.AF_INET6 {
		x ^= binary.LittleEndian.Uint64(a[16:]) * 0xD6E8FEB86659FD93
	}
	x *= 0x9E3779B97F4A7C15
	return uint32(x >> 32)
}

// mergeRun makes one packet of the sorted answer i and those that can follow it, and returns the next answer.
func (g *segments) mergeRun(b *batch, i, n int, h *unix.Msghdr) int {
	lead := int(uint16(g.keys[i]))
	*h = b.tx[lead].Hdr
	size := b.txVec[lead].Len
	g.vec[i] = b.txVec[lead]
	h.Iov = &g.vec[i]
	end := i + 1
	most := min(maxSegments, maxUDPPayload/int(max(size, 1)))
	for last := size; end < n && end-i < most && last == size && size <= maxSegment; end++ {
		k := int(uint16(g.keys[end]))
		if !sameWay(&b.tx[lead].Hdr, &b.tx[k].Hdr) {
			break
		}
		g.vec[end] = b.txVec[k]
		last = b.txVec[k].Len
	}
	h.SetIovlen(end - i)
	if end-i > 1 {
		appendSegmentSize(h, &b.segCtl[lead], uint16(size))
	}
	return end
}

// sameWay reports whether two answers go to the same client from the same local address.
func sameWay(a, b *unix.Msghdr) bool {
	return a.Namelen == b.Namelen && a.Controllen == b.Controllen &&
		string(octets(a.Name, int(a.Namelen))) == string(octets(b.Name, int(b.Namelen))) &&
		string(octets(a.Control, int(a.Controllen))) == string(octets(b.Control, int(b.Controllen)))
}

func octets(p *byte, n int) []byte { return unsafe.Slice(p, n) }

// appendSegmentSize adds the control message to those that h has, in ctl, which has room for it.
func appendSegmentSize(h *unix.Msghdr, ctl *segmentControl, size uint16) {
	n := copy(ctl[:controlLen], octets(h.Control, int(h.Controllen)))
	m := (*unix.Cmsghdr)(unsafe.Pointer(&ctl[n]))
	m.Level, m.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	m.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(ctl[n+unix.CmsgLen(0):], size)
	h.Control = &ctl[0]
	h.SetControllen(n + unix.CmsgSpace(2))
}

// segmentControl holds the control messages of a merged packet.
type segmentControl [controlLen + segmentCmsg]byte

// split undoes merge for the packets from first to n of the send batch, which are moved to its start, and merges no more:
// the kernel says only when it sends that a device on the way cannot cut packets apart (EIO, EINVAL).
func (g *segments) split(b *batch, first, n int) int {
	g.off = true
	out := 0
	for i := first; i < n; i++ {
		h := b.tx[i].Hdr
		vecs := unsafe.Slice(h.Iov, int(h.Iovlen))
		if len(vecs) > 1 {
			h.SetControllen(int(h.Controllen) - unix.CmsgSpace(2))
			if h.Controllen == 0 {
				h.Control = nil
			}
		}
		for j := range vecs {
			h.Iov = &vecs[j]
			h.SetIovlen(1)
			g.hdr[out].Hdr = h
			out++
		}
	}
	copy(b.tx[:out], g.hdr[:out])
	return out
}
