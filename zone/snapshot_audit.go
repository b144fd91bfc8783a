package zone

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/zone/qp"
)

// auditor checks a version that came out of a file. A checksum tells of damage,
// not of a file that somebody made to do harm, nor of a mistake of our own: what
// passes here can be looked up, walked, edited and sent, however wrong it is.
type auditor struct {
	*qp.Audit
	v     *Version
	hosts [][]atomic.Uint32 // a bit for each host number that a name has

	mu      sync.Mutex
	readers []*reader
}

var (
	errEntry     = errors.New("malformed entry of a name, expected one that ends within its memory")
	errSlots     = errors.New("RRsets of a name are out of order, expected ascending types")
	errFlags     = errors.New("flags of a name do not fit its records")
	errHost      = errors.New("host number does not lead to its name")
	errChain     = errors.New("name in the chain of NSEC3 records has none")
	errApex      = errors.New("apex has no SOA record")
	errOverlap   = errors.New("memory is used twice, expected once")
	errLongName  = errors.New("name is longer than 255 octets")
	errRDataForm = errors.New("malformed rdata")
)

// audit checks v and finds its apex and chain. It returns the shared blocks.
func (v *Version) audit() (blocks []uint32, err error) {
	a := &auditor{Audit: qp.NewAudit(&v.sp), v: v}
	for _, p := range v.hosts.pages {
		a.hosts = append(a.hosts, make([]atomic.Uint32, len(p)/32+1))
	}
	for i, t := range v.tries() {
		check := a.named
		switch i {
		case 1:
			check = a.proving
		case 2:
			check = a.hashed
		case 3:
			check = a.absent
		}
		if err := a.Trie(t, func() func(qp.Leaf) error { return a.reader().with(check) }); err != nil {
			return nil, err
		}
	}
	if err := a.allHosts(); err != nil {
		return nil, err
	}
	for _, r := range a.readers {
		blocks = append(blocks, r.blocks...)
	}
	return blocks, v.findApex()
}

// findApex takes from the apex what a version keeps of it.
func (v *Version) findApex() error {
	var k qp.Key
	var ok bool
	if v.apex, ok = v.sp.Find(&v.names, &k, nil); !ok || v.apex.Flags&flagApex == 0 {
		return errApex
	}
	soa, ok := v.Apex().RRset(dns.TypeSOA)
	if !ok {
		return errApex
	}
	v.serial = dns.SOASerial(soa.First())
	v.chain.params, v.chain.used = chainInUse(v.Apex())
	return nil
}

// reader is one goroutine's part of the audit.
type reader struct {
	*auditor
	types  []dns.Type // of the entry that was read last
	own    uint32     // the flags that follow from it
	proves bool       // it has NSEC3 records
	blocks []uint32   // shared blocks that were met here first
}

func (a *auditor) reader() *reader {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &reader{auditor: a}
	a.readers = append(a.readers, r)
	return r
}

func (r *reader) with(check func(*reader, qp.Leaf) error) func(qp.Leaf) error {
	return func(l qp.Leaf) error { return check(r, l) }
}

// named checks an owner name or empty non-terminal.
func (a *auditor) named(r *reader, l qp.Leaf) error {
	if err := r.entry(l); err != nil {
		return err
	}
	if r.own != l.Flags&^flagsKept {
		return errFlags
	}
	if l.Flags&flagHost != 0 {
		return a.host(l.Aux, l.Ref)
	}
	return nil
}

// hashed checks an owner of NSEC3 records.
func (a *auditor) hashed(r *reader, l qp.Leaf) error {
	if err := r.entry(l); err != nil {
		return err
	}
	if r.own != l.Flags || !slices.Contains(r.types, dns.TypeNSEC3) {
		return errFlags
	}
	return nil
}

// proving checks an owner of NSEC3 records that answers come from.
func (a *auditor) proving(r *reader, l qp.Leaf) error {
	if err := a.hashed(r, l); err != nil {
		return err
	}
	if !r.proves {
		return errChain
	}
	return nil
}

// absent checks the target of an NS set that does not exist.
func (a *auditor) absent(r *reader, l qp.Leaf) error {
	name := a.v.sp.Name(l)
	if len(name)+a.v.origin.Len() > dns.MaxNameLen {
		return errLongName
	}
	return a.host(l.Aux, 0)
}

// host checks that number id leads to ref and is nobody else's.
func (a *auditor) host(id, ref uint32) error {
	if id == 0 || int64(id) >= int64(a.v.hosts.len()) || a.v.hosts.at(id) != ref {
		return errHost
	}
	bit := uint32(1) << (id % pageLen % 32)
	if a.hosts[id/pageLen][id%pageLen/32].Or(bit)&bit != 0 {
		return errHost
	}
	return nil
}

// allHosts checks that each number that leads somewhere leads to its name.
func (a *auditor) allHosts() error {
	for p, page := range a.v.hosts.pages {
		for i, ref := range page {
			if ref != 0 && a.hosts[p][i/32].Load()>>(i%32)&1 == 0 {
				return errHost
			}
		}
	}
	return nil
}

// entry checks the entry of a leaf whose name is known to be well-formed.
func (r *reader) entry(l qp.Leaf) error {
	b, ok := r.Octets(l.Ref)
	if !ok || 1+int(b[0])+2 > len(b) {
		return errEntry
	}
	if int(b[0])+r.v.origin.Len() > dns.MaxNameLen {
		return errLongName
	}
	apex := b[0] == 0
	n, rest := slots(b)
	r.types, r.own, r.proves = r.types[:0], 0, false
	if n > maxTypes {
		return errSlots
	}
	for ; n > 0; n-- {
		size, err := r.slot(rest, apex)
		if err != nil {
			return err
		}
		rest = rest[size:]
	}
	if len(r.types) == 0 {
		r.own |= flagENT
	}
	if apex {
		r.own |= flagApex
	}
	if !r.Claim(l.Ref, len(b)-len(rest)) {
		return errOverlap
	}
	return nil
}

// slot checks the slot at the start of b and returns its length.
func (r *reader) slot(b []byte, apex bool) (int, error) {
	if len(b) < slotHead || b[2] >= 2*formHosts {
		return 0, errEntry
	}
	t, form, n := slotType(b), b[2], slotHead
	if k := len(r.types); k > 0 && slotOrder(t) <= slotOrder(r.types[k-1]) {
		return 0, errSlots
	}
	r.types = append(r.types, t)
	switch {
	case form&formShared != 0 && form&formSigsOnly == 0 && t == dns.TypeNS:
		if len(b) < n+4 {
			return 0, errEntry
		}
		if err := r.shared(le.Uint32(b[n:])); err != nil {
			return 0, err
		}
		n += 4
	case form&(formShared|formHosts) != 0:
		return 0, errEntry
	case form&formSigsOnly == 0:
		size, _, err := auditBody(b[n:], t, form&formWide != 0)
		if err != nil {
			return 0, err
		}
		n += size
	case form&formSigned == 0:
		return 0, errEntry
	}
	if form&formSigsOnly == 0 {
		r.own |= typeFlags(t, apex)
		r.proves = r.proves || t == dns.TypeNSEC3
	}
	if form&formSigned != 0 {
		size, _, err := auditBody(b[n:], dns.TypeRRSIG, form&formWideSigs != 0)
		if err != nil {
			return 0, err
		}
		n += size
	}
	return n, nil
}

// shared checks a shared block, unless that has been done.
func (r *reader) shared(ref uint32) error {
	b, ok := r.Octets(ref)
	if !ok || len(b) < 1+narrowHead {
		return errEntry
	}
	if !r.First(ref) { // without a look at the block, which is far away
		return nil
	}
	r.blocks = append(r.blocks, ref)
	wide, hosts := b[0]&formWide != 0, b[0]&formHosts != 0
	n, count, err := auditBody(b[1:], dns.TypeNS, wide)
	if err != nil {
		return err
	}
	n++
	if hosts {
		if len(b)-n < 4*count {
			return errEntry
		}
		for ; count > 0; count-- {
			if id := le.Uint32(b[n:]); int64(id) >= max(1, int64(r.v.hosts.len())) {
				return errHost
			}
			n += 4
		}
	}
	if !r.Claim(ref, n) {
		return errOverlap
	}
	return nil
}

// auditBody checks the body at the start of b and returns its length and the
// number of its records.
func auditBody(b []byte, t dns.Type, wide bool) (size, count int, err error) {
	head := narrowHead
	if wide {
		head = wideHead
	}
	if len(b) < head || bodyLen(b, wide) < head || bodyLen(b, wide) > len(b) {
		return 0, 0, errEntry
	}
	set, size := readBody(b, wide)
	if set.count == 0 || int64(set.count) > int64(len(set.packed)) {
		return 0, 0, errEntry
	}
	n := 0
	for off := 0; off < len(set.packed); n++ {
		if len(set.packed)-off < 2 || len(set.packed)-off-2 < int(be.Uint16(set.packed[off:])) {
			return 0, 0, errEntry
		}
		var rd []byte
		if rd, off = rdataAt(set.packed, off); dns.CheckRData(t, rd) != nil {
			return 0, 0, errRDataForm
		}
	}
	if n != int(set.count) {
		return 0, 0, errEntry
	}
	return size, n, nil
}
