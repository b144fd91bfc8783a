package transport

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Negative offsets of classic BPF's loads: the packet from its IP header on (a UDP socket's own offsets begin at the UDP
// header), and values that are not in the packet.
const (
	loadNet    = 1<<32 - 0x100000    // SKF_NET_OFF
	loadRandom = 1<<32 - 0x1000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
)

const (
	// leafKeys are compared one after the other at the end of the binary search: a node takes two instructions, a key in a
	// leaf only one.
	leafKeys = 16
	udpHead  = 8
)

// filter writes the program that passes packets of the keys (sorted), and of others the shares given as thresholds. It
// runs in the kernel on every packet before that is queued.
type filter struct {
	code []unix.SockFilter
}

func newFilter(keys []uint32, six bool, k addrKey, cookie, other uint32) []unix.SockFilter {
	f := &filter{code: make([]unix.SockFilter, 0, 64+len(keys)*5/4)}
	if six {
		f.key6(k)
	} else {
		f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, loadNet+12) // IPv4 source address (RFC 791 §3.1)
	}
	search := &filter{}
	search.tree(keys)
	f.code = append(f.code, search.code...)
	f.strangers(cookie, other)
	return f.code
}

func (f *filter) op(code uint16, k uint32) {
	f.code = append(f.code, unix.SockFilter{Code: code, K: k})
}

func (f *filter) jump(code uint16, k uint32, jt, jf uint8) {
	f.code = append(f.code, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | code, Jt: jt, Jf: jf, K: k})
}

// key6 computes addrKey.of6 from the source address (RFC 8200 §3).
func (f *filter) key6(k addrKey) {
	f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, loadNet+8)
	f.op(unix.BPF_ALU|unix.BPF_MUL|unix.BPF_K, k.hi)
	f.op(unix.BPF_MISC|unix.BPF_TAX, 0)
	f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, loadNet+12)
	f.op(unix.BPF_ALU|unix.BPF_MUL|unix.BPF_K, k.lo)
	f.op(unix.BPF_ALU|unix.BPF_ADD|unix.BPF_X, 0)
}

const (
	pass = 1<<32 - 1 // bytes of the packet to keep
	drop = 0
)

// tree returns pass for the keys, and leaves through its end for others.
func (f *filter) tree(keys []uint32) {
	if len(keys) <= leafKeys {
		for i, k := range keys {
			f.jump(unix.BPF_JEQ, k, uint8(len(keys)-i), 0)
		}
		f.op(unix.BPF_JMP|unix.BPF_JA, 1)
		f.op(unix.BPF_RET|unix.BPF_K, pass)
		return
	}
	// Halves of whole leaves, lest many leaves be half empty.
	mid := (len(keys)/leafKeys + 1) / 2 * leafKeys
	var low, high filter
	low.tree(keys[:mid])
	high.tree(keys[mid:])
	f.jump(unix.BPF_JGE, keys[mid], 0, 1)
	f.op(unix.BPF_JMP|unix.BPF_JA, uint32(len(low.code)+1))
	f.code = append(f.code, low.code...)
	f.op(unix.BPF_JMP|unix.BPF_JA, uint32(len(high.code)))
	f.code = append(f.code, high.code...)
}

// strangers passes shares: one of queries that end in a cookie, another of all else.
func (f *filter) strangers(cookie, other uint32) {
	const toOther = 8
	f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_LEN, 0)
	f.jump(unix.BPF_JGE, udpHead+shortestCookied, 0, toOther)
	f.op(unix.BPF_ALU|unix.BPF_SUB|unix.BPF_K, cookieTail)
	f.op(unix.BPF_MISC|unix.BPF_TAX, 0)
	f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_IND, 0)
	f.jump(unix.BPF_JEQ, cookieOption<<16|cookieLen, 0, toOther-4)
	f.draw(cookie)
	f.draw(other)
}

// draw passes about threshold/2^32 of what comes to it.
func (f *filter) draw(threshold uint32) {
	f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, loadRandom)
	f.jump(unix.BPF_JGT, threshold, 1, 0)
	f.op(unix.BPF_RET|unix.BPF_K, pass)
	f.op(unix.BPF_RET|unix.BPF_K, drop)
}

// setFilter gives the socket its filter, which takes the place of the one before without a packet lost between them. A kernel
// with little room for filters (net.core.optmem_max) gets fewer of the keys, which the best come first in.
func (s *batchSocket) setFilter(ranked []uint32, k addrKey, cookie, other uint32) (kept int, err error) {
	for kept = min(len(ranked), maxGuests); ; kept /= 2 {
		keys := slices.Sorted(slices.Values(ranked[:kept]))
		code := newFilter(keys, s.addr.Addr().Is6(), k, cookie, other)
		fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
		err = s.control(func(fd int) error {
			return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
		})
		if err == nil {
			return kept, nil
		}
		if err != unix.ENOMEM || kept < leafKeys {
			return 0, fmt.Errorf("filtering packets in the kernel: %w", err)
		}
	}
}

func (s *batchSocket) clearFilter() {
	s.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
}
