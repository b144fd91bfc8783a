package xdp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// What the program returns (enum xdp_action).
const xdpPass = 2

// Where struct xdp_md keeps what the program reads.
const (
	mdData  = 0
	mdEnd   = 4
	mdQueue = 16
)

// filter says which frames are ours.
type filter struct {
	mac   [6]byte
	port  uint16
	addrs []netip.AddrPort
	room  int // the longest frame that a frame of ours can take
}

// The program's registers, and the places it jumps to. R1 to R5 are lost in a call.
const (
	rPtr   = asm.R2 // the header being read
	rEnd   = asm.R3 // the packet's end
	rVal   = asm.R4
	rKind  = asm.R5 // EtherType
	rCtx   = asm.R6
	rTmp   = asm.R7
	label4 = "ipv4"
	label6 = "ipv6"
	ours   = "ours"
	pass   = "pass"
)

// program returns the program that gives our queries to the socket of their queue in xsks, and all else to the kernel: where
// a queue has no socket, too. What makes a frame ours is compared with constants, not looked up in a map: a listener has few
// addresses, and the program is built when they are known.
//
// It lets through what parse accepts and nothing that a kernel should see: no IP options and extension headers, no fragments,
// no other host's frames (a card in promiscuous mode hands them over, too), no broadcasts and no multicasts.
func (f filter) program(xsks *ebpf.Map) asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(rCtx, asm.R1),
		asm.LoadMem(rPtr, rCtx, mdData, asm.Word),
		asm.LoadMem(rEnd, rCtx, mdEnd, asm.Word),
	}
	p = append(p, f.ethernet()...)
	p = append(p, f.ipv4()...)
	p = append(p, f.ipv6()...)
	return append(p,
		asm.LoadMem(asm.R2, rCtx, mdQueue, asm.Word).WithSymbol(ours),
		asm.LoadMapPtr(asm.R1, xsks.FD()),
		asm.Mov.Imm(asm.R3, xdpPass), // where the queue has no socket
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol(pass),
		asm.Return(),
	)
}

// within passes packets that end less than n bytes behind the header being read: what the verifier wants to see before
// they are read.
func within(n int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(rTmp, rPtr),
		asm.Add.Imm(rTmp, n),
		asm.JGT.Reg(rTmp, rEnd, pass),
	}
}

// unless passes packets whose field is not want; the field is compared as it lies in memory.
func unless(off int16, size asm.Size, want int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(rVal, rPtr, off, size),
		asm.JNE.Imm32(rVal, want, pass),
	}
}

// net16 and net32 are a field's bytes as the processor reads them.
func net16(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)}))
}

func net32(b []byte) int32 { return int32(binary.NativeEndian.Uint32(b)) }

// ethernet checks destination and length, steps over VLAN tags and goes on by EtherType.
func (f filter) ethernet() asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(rTmp, rPtr),
		asm.Add.Imm(rTmp, int32(f.room)),
		asm.JLT.Reg(rTmp, rEnd, pass), // the kernel would drop what our frames cannot hold
	}
	p = append(p, within(etherLen)...)
	p = append(p, unless(0, asm.Word, net32(f.mac[:4]))...)
	p = append(p, unless(4, asm.Half, int32(binary.NativeEndian.Uint16(f.mac[4:])))...)
	p = append(p, asm.LoadMem(rKind, rPtr, 12, asm.Half), asm.Add.Imm(rPtr, etherLen))
	for i := range maxTags {
		tag, untagged := fmt.Sprintf("tag %d", i), fmt.Sprintf("untagged %d", i)
		p = append(p,
			asm.JEq.Imm(rKind, net16(tagQ), tag),
			asm.JNE.Imm(rKind, net16(tagAD), untagged),
		)
		step := within(vlanLen)
		step[0] = step[0].WithSymbol(tag)
		p = append(p, step...)
		p = append(p,
			asm.LoadMem(rKind, rPtr, 2, asm.Half),
			asm.Add.Imm(rPtr, vlanLen),
			asm.Mov.Reg(rTmp, rTmp).WithSymbol(untagged),
		)
	}
	return append(p,
		asm.JEq.Imm(rKind, net16(typeIP4), label4),
		asm.JEq.Imm(rKind, net16(typeIP6), label6),
		asm.Ja.Label(pass),
	)
}

// ipv4 checks an IPv4 header and the UDP port behind it.
func (f filter) ipv4() asm.Instructions {
	p := within(ip4Len + udpLen)
	p[0] = p[0].WithSymbol(label4)
	p = append(p, unless(0, asm.Byte, 4<<4|ip4Len/4)...) // with options it is longer
	p = append(p, unless(9, asm.Byte, protoUDP)...)
	p = append(p,
		asm.LoadMem(rVal, rPtr, 6, asm.Half),
		asm.And.Imm32(rVal, net16(0x3fff)), // more fragments, and their offset
		asm.JNE.Imm32(rVal, 0, pass),
	)
	p = append(p, unless(ip4Len+2, asm.Half, net16(f.port))...)
	p = append(p, asm.LoadMem(rVal, rPtr, 16, asm.Word))
	for _, a := range f.addrs {
		if a.Addr().Is4() {
			b := a.Addr().As4()
			p = append(p, asm.JEq.Imm32(rVal, net32(b[:]), ours))
		}
	}
	return append(p, asm.Ja.Label(pass))
}

// ipv6 does the same for IPv6.
func (f filter) ipv6() asm.Instructions {
	p := within(ip6Len + udpLen)
	p[0] = p[0].WithSymbol(label6)
	p = append(p,
		asm.LoadMem(rVal, rPtr, 0, asm.Byte),
		asm.And.Imm32(rVal, 0xf0),
		asm.JNE.Imm32(rVal, 0x60, pass),
	)
	p = append(p, unless(6, asm.Byte, protoUDP)...)
	p = append(p, unless(ip6Len+2, asm.Half, net16(f.port))...)
	for i, a := range f.addrs {
		if a.Addr().Is6() {
			p = append(p, match6(a.Addr().As16(), fmt.Sprintf("next %d", i))...)
		}
	}
	return append(p, asm.Ja.Label(pass))
}

// match6 goes to ours where the destination is a.
func match6(a [16]byte, next string) asm.Instructions {
	var p asm.Instructions
	for i := 0; i < 16; i += 4 {
		p = append(p,
			asm.LoadMem(rVal, rPtr, int16(24+i), asm.Word),
			asm.JNE.Imm32(rVal, net32(a[i:]), next),
		)
	}
	return append(p, asm.Ja.Label(ours), asm.Mov.Reg(rTmp, rTmp).WithSymbol(next))
}
