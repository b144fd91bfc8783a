package policy

import (
	"encoding/binary"
	"errors"
	"fmt"

	"onoma/dns"
)

// dataSets has the records that rules answer with, as octets without pointers. A set is the records of one owner; equal sets,
// such as the one address of a walled garden, are kept once.
type dataSets struct {
	arena []byte   // for each record: type, TTL, length, rdata; the owner is that of the question
	ends  []uint32 // where each set ends; it begins where the one before ends
}

const (
	maxSetRecords = 256     // records of one owner
	maxSets       = 1 << 28 // what fits into a value beside the action
	recordHead    = 8
)

var errManyRecords = errors.New("more records than a name may have in a policy")

// interner builds dataSets.
type interner struct {
	sets  dataSets
	known map[string]uint32
}

// appendRecord appends a record as it stands in dataSets.
func appendRecord(dst []byte, t dns.Type, ttl uint32, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// eachRecord yields the records of an encoded set.
func eachRecord(set []byte, yield func(t dns.Type, ttl uint32, data []byte) bool) {
	for len(set) >= recordHead {
		n := recordHead + int(binary.BigEndian.Uint16(set[6:]))
		if !yield(dns.Type(binary.BigEndian.Uint16(set)), binary.BigEndian.Uint32(set[2:]), set[recordHead:n]) {
			return
		}
		set = set[n:]
	}
}

// intern returns the number of an encoded set.
func (in *interner) intern(set []byte) (uint32, error) {
	if i, ok := in.known[string(set)]; ok {
		return i, nil
	}
	i := uint32(len(in.sets.ends))
	if i >= maxSets || len(in.sets.arena)+len(set) > 1<<32-1 {
		return 0, errTooLarge
	}
	if in.known == nil {
		in.known = map[string]uint32{}
	}
	in.sets.arena = append(in.sets.arena, set...)
	in.sets.ends = append(in.sets.ends, uint32(len(in.sets.arena)))
	in.known[string(set)] = i
	return i, nil
}

// join interns what two sets of one owner have together.
func (in *interner) join(a, b uint32) (uint32, error) {
	both := append([]byte(nil), in.sets.set(a)...)
	eachRecord(in.sets.set(b), func(t dns.Type, ttl uint32, data []byte) bool {
		if !hasRecord(both, t, data) {
			both = appendRecord(both, t, ttl, data)
		}
		return true
	})
	count := 0
	eachRecord(both, func(dns.Type, uint32, []byte) bool { count++; return true })
	if count > maxSetRecords {
		return 0, fmt.Errorf("%w: %d, expected at most %d", errManyRecords, count, maxSetRecords)
	}
	return in.intern(both)
}

// hasRecord says whether an encoded set has a record with these data.
func hasRecord(set []byte, t dns.Type, data []byte) bool {
	found := false
	eachRecord(set, func(rt dns.Type, _ uint32, rdata []byte) bool {
		found = rt == t && dns.EqualRData(t, rdata, data)
		return !found
	})
	return found
}

func (d *dataSets) set(i uint32) []byte {
	from := uint32(0)
	if i > 0 {
		from = d.ends[i-1]
	}
	return d.arena[from:d.ends[i]]
}

// answer returns what the set i says to a question for name and type: the records of the type, or the CNAME.
// The target of a CNAME that begins with an asterisk is the name below the rest (RPZ draft §3.6).
func (d *dataSets) answer(i uint32, name dns.Name, t dns.Type) (records []dns.Record, follow dns.Name) {
	eachRecord(d.set(i), func(rt dns.Type, ttl uint32, data []byte) bool {
		r := dns.Record{Name: name, Type: rt, Class: dns.ClassIN, TTL: ttl, Data: append(dns.RData(nil), data...)}
		switch {
		case rt == t || t == dns.TypeANY:
			records = append(records, r)
		case rt == dns.TypeCNAME:
			follow = r.Data.Target(rt)
			records = append(records, r)
		}
		return true
	})
	for i := range records {
		if records[i].Type != dns.TypeCNAME {
			continue
		}
		target := expand(records[i].Data.Target(dns.TypeCNAME), name)
		records[i].Data = dns.NewTarget(target)
		if !follow.IsZero() {
			follow = target
		}
	}
	return records, follow
}

// expand puts name in place of the asterisk of target. A name that becomes too long keeps the labels next to the target:
// a walled garden that answers *.garden.example answers it all the same.
func expand(target, name dns.Name) dns.Name {
	if !target.IsWildcard() {
		return target
	}
	base := target.Parent()
	for labels := name; !labels.IsRoot(); labels = labels.Parent() {
		if expanded, err := labels.Rebase(dns.Root, base); err == nil {
			return expanded
		}
	}
	return base
}

func (d *dataSets) size() int { return cap(d.arena) + 4*cap(d.ends) }
