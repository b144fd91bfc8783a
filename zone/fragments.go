package zone

import (
	"slices"
	"sort"
	"sync"

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

// fragments is the names of a zone in the order of the input, run by run.
type fragments struct {
	run
	before []run
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

// series is names that do not descend, in lists none of which is empty.
type series [][]fragment

func (ss series) len() (n int) {
	for _, l := range ss {
		n += len(l)
	}
	return n
}

func (ss series) last() fragment {
	l := ss[len(ss)-1]
	return l[len(l)-1]
}

// at returns the i-th name.
func (ss series) at(i int) fragment {
	for _, l := range ss {
		if i < len(l) {
			return l[i]
		}
		i -= len(l)
	}
	panic("zone: no such fragment")
}

// cut returns what comes before f and what does not.
func (ss series) cut(s *qp.Space, f fragment) (before, rest series) {
	i := sort.Search(len(ss), func(i int) bool { return compareFragments(s, series(ss[:i+1]).last(), f) >= 0 })
	if i == len(ss) {
		return ss, nil
	}
	l := ss[i]
	j := sort.Search(len(l), func(j int) bool { return compareFragments(s, l[j], f) >= 0 })
	before, rest = slices.Clone(ss[:i]), slices.Clone(ss[i:])
	if j > 0 {
		before, rest[0] = append(before, l[:j]), l[j:]
	}
	return before, rest
}

// ordered is the names of a zone as series to be merged. A name may be in
// several of them, and more than once in one: its fragments are then in the order
// of the input, series by series.
type ordered []series

func (o ordered) len() (n int) {
	for _, ss := range o {
		n += ss.len()
	}
	return n
}

// manySeries is how many series are merged rather than sorted. Files are in order
// or, like those that Knot DNS writes, in order section by section.
const manySeries = 8

// order ends fs and returns its names; several goroutines may sort them.
func (fs *fragments) order(s *qp.Space, workers int) ordered {
	fs.end()
	var o ordered
	for _, r := range fs.before {
		for len(r.list) > 0 && len(o) <= manySeries {
			n := len(r.list)
			if r.disorder {
				n = ascending(s, r.list)
			}
			o.append(s, r.list[:n])
			r.list = r.list[n:]
		}
	}
	if len(o) > manySeries {
		o = fs.sort(s, workers)
	}
	fs.before = nil
	return o
}

// append adds names that ascend and come last in the input.
func (o *ordered) append(s *qp.Space, list []fragment) {
	if n := len(*o); n > 0 {
		if last := &(*o)[n-1]; compareFragments(s, last.last(), list[0]) < 0 {
			*last = append(*last, list)
			return
		}
	}
	*o = append(*o, series{list})
}

// ascending returns how many names of list ascend strictly from its start.
func ascending(s *qp.Space, list []fragment) int {
	n := 1
	for n < len(list) && compareFragments(s, list[n-1], list[n]) < 0 {
		n++
	}
	return n
}

// sort sorts all names, each worker its part of the input.
func (fs *fragments) sort(s *qp.Space, workers int) ordered {
	var list []fragment
	for _, r := range fs.before {
		list = append(list, r.list...)
	}
	workers = max(1, min(workers, len(list)/leastShare))
	o := make(ordered, workers)
	var wg sync.WaitGroup
	for i := range o {
		part := list[i*len(list)/workers : (i+1)*len(list)/workers]
		o[i] = series{part}
		wg.Go(func() {
			slices.SortStableFunc(part, func(a, b fragment) int { return compareFragments(s, a, b) })
		})
	}
	wg.Wait()
	return o
}

// split divides the names into as many parts; a name is in one of them only.
func (o ordered) split(s *qp.Space, parts int) []ordered {
	longest := series(nil)
	for _, ss := range o {
		if ss.len() > longest.len() {
			longest = ss
		}
	}
	n := longest.len()
	out := make([]ordered, 0, parts)
	rest := o
	for i := 1; i < parts && n > 0; i++ {
		part := make(ordered, len(rest))
		next := make(ordered, len(rest))
		for k, ss := range rest {
			part[k], next[k] = ss.cut(s, longest.at(i*n/parts))
		}
		out, rest = append(out, part), next
	}
	out = append(out, rest)
	for len(out) < parts {
		out = append(out, nil)
	}
	return out
}

// last returns the last name, if there is any.
func (o ordered) last(s *qp.Space) (f fragment, ok bool) {
	for _, ss := range o {
		if len(ss) > 0 && (!ok || compareFragments(s, f, ss.last()) < 0) {
			f, ok = ss.last(), true
		}
	}
	return f, ok
}

// each calls f with the fragments of each name, in order.
func (o ordered) each(s *qp.Space, f func(parts []fragment)) {
	var group []fragment
	o.merge(func(one fragment) {
		if len(group) > 0 && compareFragments(s, group[0], one) != 0 {
			f(group)
			group = group[:0]
		}
		group = append(group, one)
	}, s)
	if len(group) > 0 {
		f(group)
	}
}

// merge calls f with each fragment, in order, those of one name in the order of
// the input.
func (o ordered) merge(f func(fragment), s *qp.Space) {
	rest := make(ordered, 0, len(o))
	for _, ss := range o {
		if len(ss) > 0 {
			rest = append(rest, slices.Clone(ss))
		}
	}
	for len(rest) > 1 {
		k := 0
		for i := 1; i < len(rest); i++ {
			if compareFragments(s, rest[i][0][0], rest[k][0][0]) < 0 {
				k = i
			}
		}
		f(rest[k][0][0])
		if rest[k].drop(); len(rest[k]) == 0 {
			rest = slices.Delete(rest, k, k+1)
		}
	}
	for _, ss := range rest {
		for _, l := range ss {
			for _, one := range l {
				f(one)
			}
		}
	}
}

// drop takes the first name off.
func (ss *series) drop() {
	first := &(*ss)[0]
	if *first = (*first)[1:]; len(*first) == 0 {
		*ss = (*ss)[1:]
	}
}

// takeApex takes off the fragments of the apex, which comes before all names.
func (o ordered) takeApex() (parts []fragment) {
	for k := range o {
		for len(o[k]) > 0 && o[k][0][0].flags&flagApex != 0 {
			parts = append(parts, o[k][0][0])
			o[k] = slices.Clone(o[k])
			o[k].drop()
		}
	}
	return parts
}
