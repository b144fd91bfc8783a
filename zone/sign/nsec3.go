package sign

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

type hash [dnssec.NSEC3HashLen]byte

func (h *hash) compare(o *hash) int {
	return cmp.Or(cmp.Compare(binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(o[:])), bytes.Compare(h[8:], o[8:]))
}

// hashOf returns the hash of a name by the plan's parameters.
func (s *signing) hashOf(owner []byte) (h hash) {
	d := &s.plan.Denial
	folded := dns.AppendFolded(s.scratch.name[:0], owner)
	dnssec.NSEC3Hash(h[:0], folded, d.Iterations, d.Salt)
	return h
}

// appendHashed appends the owner of the NSEC3 record of a hash.
func (s *signing) appendHashed(dst []byte, h *hash) []byte {
	n := len(dst)
	dst = dns.AppendBase32Hex(append(dst, 0), h[:])
	dst[n] = byte(len(dst) - n - 1)
	return append(dst, s.signer...)
}

// hashIn returns the hash that the owner of an NSEC3 record stands for.
func hashIn(owner []byte) (h hash, ok bool) {
	var buf [dns.MaxLabelLen]byte
	if len(owner) == 0 {
		return h, false
	}
	b, ok := dns.DecodeBase32Hex(buf[:0], owner[1:1+int(owner[0])])
	return h, ok && copy(h[:], b) == len(b) && len(b) == len(h)
}

// member is a name in the chain of NSEC3.
type member struct {
	hash
	bitmap uint32 // which of the bitmaps
}

// members gathers the names of the chain.
type members struct {
	*signing
	list    []member
	bitmaps []string
	index   map[string]uint32
	buf     []byte
	ents    [][]byte // empty non-terminals below which nothing has been found that is in the chain
}

func newMembers(s *signing) *members {
	return &members{signing: s, index: make(map[string]uint32)}
}

func (m *members) isUsed() bool { return m.plan.Denial.Kind == NSEC3 }

// add adds a name unless opt-out leaves it out, with the empty non-terminals above
// it (RFC 5155 §7.1).
func (m *members) add(owner []byte, c *content) {
	if !m.isUsed() || m.plan.Denial.OptOut && c.isInsecureCut() {
		return
	}
	for _, ent := range m.ents {
		if isBelow(owner, ent) {
			m.put(ent, nil)
		}
	}
	m.ents = m.ents[:0]
	m.buf = c.appendBitmap(m.buf[:0], &m.scratch)
	m.put(owner, m.buf)
}

// addENT adds an empty non-terminal: with opt-out it waits for what is below it.
func (m *members) addENT(owner []byte) {
	if !m.isUsed() {
		return
	}
	if !m.plan.Denial.OptOut {
		m.put(owner, nil)
		return
	}
	for len(m.ents) > 0 && !isBelow(owner, m.ents[len(m.ents)-1]) {
		m.ents = m.ents[:len(m.ents)-1]
	}
	m.ents = append(m.ents, bytes.Clone(owner))
}

func (m *members) put(owner, bitmap []byte) {
	i, ok := m.index[string(bitmap)]
	if !ok {
		i = uint32(len(m.bitmaps))
		m.bitmaps = append(m.bitmaps, string(bitmap))
		m.index[string(bitmap)] = i
	}
	m.list = append(m.list, member{m.hashOf(owner), i})
}

// sort puts the chain in order and says where two names have one hash.
func (m *members) sort() error {
	slices.SortFunc(m.list, func(a, b member) int { return a.compare(&b.hash) })
	for i := 1; i < len(m.list); i++ {
		if m.list[i].hash == m.list[i-1].hash {
			return fmt.Errorf("signing %s: %w", m.origin, ErrCollision)
		}
	}
	return nil
}

func (m *members) has(h hash) bool {
	_, ok := slices.BinarySearchFunc(m.list, h, func(x member, h hash) int { return x.compare(&h) })
	return ok
}

// wholeNSEC3 makes the whole chain; without members there is none.
func (s *signing) wholeNSEC3(ctx context.Context, m *members) error {
	if err := m.sort(); err != nil {
		return err
	}
	var gone [][]byte
	for n := range s.view().NSEC3Owners() {
		owner := n.AppendName(s.scratch.other[:0])
		if h, ok := hashIn(owner); !ok || len(owner) != 33+s.origin.Len() || !m.has(h) {
			gone = append(gone, bytes.Clone(owner))
		}
	}
	s.changed = s.changed || len(gone) > 0
	for _, owner := range gone {
		if s.from == nil { // a copy has but what is put
			s.e.Clear(owner, true)
		}
	}
	i := 0
	return s.stream(ctx, func(b *batch) bool {
		v := s.view()
		for ; i < len(m.list) && len(b.tasks) < fullBatch; i++ {
			next := &m.list[(i+1)%len(m.list)].hash
			s.addNSEC3(b, v, &m.list[i].hash, next, m.bitmaps[m.list[i].bitmap])
			b.names++
		}
		return i < len(m.list)
	})
}

// addNSEC3 adds the task of an NSEC3 record.
func (s *signing) addNSEC3(b *batch, v *zone.Version, h, next *hash, bitmap string) {
	owner := b.keep(s.appendHashed(s.scratch.name[:0], h))
	rdata := b.keep(s.appendNSEC3(s.scratch.other[:0], next, bitmap))
	t := task{owner: owner, typ: dns.TypeNSEC3, ttl: s.ttl, rdata: rdata, count: 1, put: true}
	var head zone.Node
	if s.head != nil {
		head = s.head.FindNSEC3(owner)
	}
	s.addMade(b, t, v.FindNSEC3(owner), head)
}

// appendNSEC3 appends the packed rdata of an NSEC3 record (RFC 5155 §3.2).
func (s *signing) appendNSEC3(dst []byte, next *hash, bitmap string) []byte {
	d := &s.plan.Denial
	flags := byte(0)
	if d.OptOut {
		flags = dns.NSEC3OptOut
	}
	start := len(dst)
	dst = append(dst, 0, 0, dnssec.NSEC3SHA1, flags)
	dst = be.AppendUint16(dst, d.Iterations)
	dst = append(append(dst, byte(len(d.Salt))), d.Salt...)
	dst = append(append(dst, byte(len(next))), next[:]...)
	dst = append(dst, bitmap...)
	be.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst
}
