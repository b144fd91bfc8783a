package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
)

// Proxies are the networks of those who may say, with a header of the PROXY protocol version 2 in front of what they forward,
// for whom they ask. Each of them has to: what comes from there without one is not DNS. A header from elsewhere is not
// looked at, and so is not DNS either. Specified in HAProxy's doc/proxy-protocol.txt.
type Proxies []netip.Prefix

// Trust reports whether what comes from a begins with a header.
func (p Proxies) Trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

const (
	// proxyFixedLen is the part of a header that is always there: signature, version and command, family, length.
	proxyFixedLen = 16
	// proxyMaxLen bounds what follows on a stream. Senders keep below 536 bytes unless they add certificates.
	proxyMaxLen = 4096

	proxyLocal = 0x20 // version 2, command LOCAL: the proxy itself asks
	proxyProxy = 0x21 // version 2, command PROXY

	tlvCRC32C = 0x03
)

var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// What can be wrong with a header.
var (
	errNoProxy      = errors.New("no PROXY header of version 2")
	errProxyCommand = errors.New("PROXY header with an unknown version or command")
	errProxyFamily  = errors.New("PROXY header with an unknown family")
	errProxyLength  = errors.New("PROXY header with a wrong length")
	errProxyTLV     = errors.New("PROXY header with a malformed extension")
	errProxySum     = errors.New("PROXY header with a wrong checksum")
)

// proxyFamilies are the families and how long their pairs of addresses are. That of the transport says nothing about how the
// query came here: a proxy may forward over UDP what it was asked over TLS.
var proxyFamilies = map[byte]struct{ family, addrs int }{
	0x00: {0, 0},
	0x11: {4, 12}, 0x12: {4, 12},
	0x21: {6, 36}, 0x22: {6, 36},
}

// proxyHeader is what a header says.
type proxyHeader struct {
	client, local netip.AddrPort // not valid where it says nothing: the real ones hold
}

// parseProxy reads the header at the start of b, and returns its length.
func parseProxy(b []byte) (h proxyHeader, n int, err error) {
	if len(b) < proxyFixedLen || !bytes.HasPrefix(b, proxySignature) {
		return h, 0, errNoProxy
	}
	n = proxyFixedLen + int(binary.BigEndian.Uint16(b[14:]))
	if n > len(b) {
		return h, 0, errProxyLength
	}
	command, family := b[12], b[13]
	if command == proxyLocal {
		return h, n, nil // whatever else it has is to be ignored
	}
	if command != proxyProxy {
		return h, 0, errProxyCommand
	}
	f, known := proxyFamilies[family]
	if !known {
		return h, 0, errProxyFamily
	}
	rest := b[proxyFixedLen:n]
	if len(rest) < f.addrs {
		return h, 0, errProxyLength
	}
	switch f.family {
	case 4:
		h.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[0:])), binary.BigEndian.Uint16(rest[8:]))
		h.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[4:])), binary.BigEndian.Uint16(rest[10:]))
	case 6:
		h.client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[0:])).Unmap(), binary.BigEndian.Uint16(rest[32:]))
		h.local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[16:])).Unmap(), binary.BigEndian.Uint16(rest[34:]))
	}
	return h, n, checkTLVs(b[:n], proxyFixedLen+f.addrs)
}

// checkTLVs walks the extensions from off on. The only one that is looked into is the checksum of the whole header.
func checkTLVs(header []byte, off int) error {
	const fixed = 3
	for off < len(header) {
		if off+fixed > len(header) {
			return errProxyTLV
		}
		typ, n := header[off], int(binary.BigEndian.Uint16(header[off+1:]))
		off += fixed
		if off+n > len(header) {
			return errProxyTLV
		}
		if typ == tlvCRC32C {
			if n != 4 {
				return errProxyTLV
			}
			if proxySum(header, off) != binary.BigEndian.Uint32(header[off:]) {
				return errProxySum
			}
		}
		off += n
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// proxySum is the checksum of a header in which the four bytes at off, the checksum, count as zero.
func proxySum(header []byte, off int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, header[:off])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, header[off+4:])
}

// ReadProxy reads the header from the start of a connection between client and local, and no more than it, and returns for
// whom and for which address it comes.
func ReadProxy(r io.Reader, client, local netip.AddrPort) (netip.AddrPort, netip.AddrPort, error) {
	var buf [proxyFixedLen + proxyMaxLen]byte
	if _, err := io.ReadFull(r, buf[:proxyFixedLen]); err != nil {
		return client, local, fmt.Errorf("reading a PROXY header: %w", err)
	}
	n := int(binary.BigEndian.Uint16(buf[14:]))
	if !bytes.HasPrefix(buf[:], proxySignature) {
		return client, local, errNoProxy
	}
	if n > proxyMaxLen {
		return client, local, errProxyLength
	}
	if _, err := io.ReadFull(r, buf[proxyFixedLen:proxyFixedLen+n]); err != nil {
		return client, local, fmt.Errorf("reading a PROXY header: %w", err)
	}
	h, _, err := parseProxy(buf[:proxyFixedLen+n])
	if err != nil || !h.client.IsValid() {
		return client, local, err
	}
	return h.client, h.local, nil
}

// hop is the last part of a proxied query's way: where its answer goes to, and from which address.
type hop struct{ client, local netip.AddrPort }

// unwrap makes of a packet in q the query that its header speaks of. The answer will go to q.via, if that is not nil.
func (p Proxies) unwrap(q *Query, via *hop) bool {
	q.via = nil
	if !p.Trust(q.Client.Addr()) {
		return true
	}
	h, n, err := parseProxy(q.Msg)
	if err != nil {
		return false
	}
	q.Msg = q.Msg[n:]
	if h.client.IsValid() {
		*via = hop{q.Client, q.Local}
		q.Client, q.Local, q.via = h.client, h.local, via
	}
	return true
}

// unproxied takes a PROXY header off the packet in s.q, and reports that a query is behind it.
func (s *seat) unproxied(p Proxies, via *hop) bool {
	if !p.unwrap(&s.q, via) {
		s.tally[nUnproxied]++
		return false
	}
	return s.admits(s.q.Msg)
}

// proxied is the source of a detached query that came through a proxy over UDP.
type proxied struct {
	source
	via hop
}

func (d proxied) reply(_ *Pending, msg []byte) error {
	return d.source.reply(&Pending{Client: d.via.client, Local: d.via.local}, msg)
}

// introduce reads who a proxy's connection is for, before anything else of it, and counts it as that client's. A proxy has
// as many connections as the server itself.
func (c *tcpConn) introduce() error {
	if !c.proxied {
		return nil
	}
	if err := c.setOpeningDeadline(); err != nil {
		return err
	}
	client, local, err := ReadProxy(c.nc, c.client, c.local)
	if err != nil {
		c.counts.v[nUnproxied].Add(1)
		return err
	}
	if client == c.client {
		return nil
	}
	evicted, ok := c.srv.table.introduce(c, client.Addr())
	if evicted != nil {
		c.srv.conns.evicted.Add(1)
		evicted.evict()
	}
	if !ok {
		c.srv.conns.refused.Add(1)
		return errEvicted
	}
	c.client, c.local = client, local
	return nil
}
