package zone

import (
	"slices"

	"onoma/dns"
	"onoma/zone/qp"
)

// fragment is a name with some or all of its records.
type fragment struct {
	prefix     uint64 // qp.Key.Prefix of the name
	ref, flags uint32
}

// run is names in the order of the input.
type run struct {
	list     []fragment
	disorder bool // they do not ascend strictly
}

// fragments is the names of a zone, run by run.
type fragments struct {
	run
	before runs
}

// runs is names, run by run.
type runs []run

func (rs runs) len() (n int) {
	for _, r := range rs {
		n += len(r.list)
	}
	return n
}

// first returns the first name. No run is empty.
func (rs runs) first() fragment { return rs[0].list[0] }

// part returns the names from the from-th to before the to-th.
func (rs runs) part(from, to int) (part runs) {
	for _, r := range rs {
		n := len(r.list)
		if lo, hi := max(0, min(n, from)), max(0, min(n, to)); lo < hi {
			part = append(part, run{list: r.list[lo:hi]})
		}
		from, to = from-n, to-n
	}
	return part
}

func (r *run) add(s *qp.Space, f fragment) {
	if n := len(r.list); n > 0 && !r.disorder {
		r.disorder = compareFragments(s, r.list[n-1], f) >= 0
	}
	r.list = append(r.list, f)
}

// addRun appends a run that somebody else has made.
func (fs *fragments) addRun(r run) {
	fs.end()
	fs.run = r
	fs.end()
}

// end ends the run.
func (fs *fragments) end() {
	if len(fs.list) > 0 {
		fs.before = append(fs.before, fs.run)
	}
	fs.run = run{}
}

func compareFragments(s *qp.Space, a, b fragment) int {
	if a.prefix != b.prefix {
		if a.prefix < b.prefix {
			return -1
		}
		return 1
	}
	return dns.CompareNames(s.Name(qp.Leaf{Ref: a.ref}), s.Name(qp.Leaf{Ref: b.ref}))
}

// isAscending reports whether the names ascend strictly from run to run too.
func (rs runs) isAscending(s *qp.Space) bool {
	for i, r := range rs {
		if r.disorder {
			return false
		}
		if i == 0 {
			continue
		}
		before := rs[i-1].list
		if compareFragments(s, before[len(before)-1], r.list[0]) >= 0 {
			return false
		}
	}
	return true
}

// inOrder ends fs and returns its names in order, each once.
func (b *Builder) inOrder(fs *fragments) runs {
	fs.end()
	rs := fs.before
	fs.before = nil
	s := &b.w.Space
	if rs.isAscending(s) {
		return rs
	}
	list := make([]fragment, 0, rs.len())
	for _, r := range rs {
		list = append(list, r.list...)
	}
	// Fragments of one name stay in the order of the input.
	slices.SortStableFunc(list, func(a, b fragment) int { return compareFragments(s, a, b) })
	return runs{{list: b.merge(list)}}
}

// merge makes one entry of the fragments of each name.
func (b *Builder) merge(list []fragment) []fragment {
	n := 0
	for i, j := 0, 0; i < len(list); i = j {
		for j = i + 1; j < len(list) && compareFragments(&b.w.Space, list[i], list[j]) == 0; j++ {
		}
		if j > i+1 {
			list[i] = b.join(list[i:j])
		}
		list[n] = list[i]
		n++
	}
	return list[:n]
}
