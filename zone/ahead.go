package zone

import (
	"onoma/dns/dnssec"
	"onoma/zone/qp"
)

// Ahead is memory for reading ahead. Its owner uses it again for each batch.
type Ahead struct {
	errands [aheadWidth]errand
}

// aheadWidth is how many look-ups wait for memory together: processors keep ten
// to twenty requests in flight, and the keys of so many names fit the first cache.
const aheadWidth = 24

// errand is the way to one name's answer. Each stage touches what the one before
// has asked for.
type errand struct {
	qp.Probe
	stage  stage
	leaf   qp.Leaf
	shared uint32 // NS set
}

type stage uint8

const (
	stageDone   stage = iota
	stageName         // down the trie of names
	stageEntry        // the name's RRsets
	stageShared       // its NS set
	stageHosts        // the entries of the hosts of that
	stageNSEC3        // down the trie of NSEC3 records
)

// IsLarge reports whether a look-up waits for memory, so that Read is worth its
// own cost: smaller zones stay in the caches by themselves.
func (v *Version) IsLarge() bool { return v.names.Len() >= aheadNames }

// Read brings what the answers for names, each at or below the origin, will be
// made of into the processor's caches; with do also the proofs of delegations
// without DS. It changes nothing else.
func (a *Ahead) Read(v *Version, names [][]byte, do bool) {
	for len(names) > 0 {
		n := min(len(names), aheadWidth)
		for i, name := range names[:n] {
			v.sp.Begin(&v.names, &a.errands[i].Probe, v.relative(name))
			a.errands[i].stage = stageName
		}
		for active := n; active > 0; {
			active = 0
			for i := range n {
				if r := &a.errands[i]; r.stage != stageDone {
					r.step(v, do)
					active++
				}
			}
		}
		names = names[n:]
	}
}

// Octets that are asked for of an entry, and of a set of name servers.
const (
	askEntry  = 128
	askProof  = 256
	askShared = 128
	askHost   = 64
	maxAsked  = 8 // hosts of one NS set
)

func (r *errand) step(v *Version, do bool) {
	switch r.stage {
	case stageName:
		if l, done := v.sp.Step(&r.Probe); done {
			r.leaf, r.stage = l, stageEntry
			v.sp.Ask(l.Ref, askEntry)
		}
	case stageEntry:
		r.stage = stageShared
		if r.shared = r.sharedSet(v); r.shared != 0 {
			v.sp.Ask(r.shared, askShared)
		} else {
			r.proof(v, do)
		}
	case stageShared:
		r.stage = stageHosts
		_, hosts, _ := readShared(v.sp.At(r.shared))
		for i := 0; i < len(hosts) && i < 4*maxAsked; i += 4 {
			if id := le.Uint32(hosts[i:]); id != 0 {
				if ref := v.hosts.at(id); ref != 0 {
					v.sp.Ask(ref, askHost)
				}
			}
		}
	case stageHosts:
		r.proof(v, do)
	case stageNSEC3:
		if l, done := v.sp.Step(&r.Probe); done {
			r.stage = stageDone
			if l.Ref != 0 {
				v.sp.Ask(l.Ref, askProof)
			}
		}
	}
}

// sharedSet returns the reference of the NS set in the entry, 0 where it has none.
func (r *errand) sharedSet(v *Version) uint32 {
	if r.leaf.Ref == 0 || r.leaf.Flags&flagCut == 0 {
		return 0
	}
	count, b := slots(v.sp.At(r.leaf.Ref))
	for ; count > 0; count-- {
		if b[2]&formShared != 0 {
			return le.Uint32(b[slotHead:])
		}
		b = b[slotLen(b):]
	}
	return 0
}

// proof goes on to the NSEC3 record that covers a delegation without DS, or ends.
func (r *errand) proof(v *Version, do bool) {
	r.stage = stageDone
	if !do || v.chain.denial != DenialNSEC3 || r.leaf.Flags&flagCut == 0 || r.leaf.Flags&(flagDS|flagHost) != 0 {
		return
	}
	var hash [dnssec.NSEC3HashLen]byte
	be.PutUint32(hash[:], r.leaf.Aux)
	var label [64]byte
	v.sp.Begin(&v.nsec3, &r.Probe, hashName(label[:0], hash[:]))
	r.stage = stageNSEC3
}
