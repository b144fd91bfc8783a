package parent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// condition says how the parent stands to what is wanted.
func (w *watched) condition() Condition {
	all, lacks, strange, empty := true, false, false, true
	counted := 0
	for _, l := range w.looks {
		if l.Excused != "" {
			continue
		}
		counted++
		if l.Seen.IsZero() || l.Seen.Before(w.begun) {
			all = false
			continue
		}
		if w.isBroken(l.DS) {
			return Broken
		}
		empty = empty && len(l.DS) == 0
		lacks = lacks || !w.hasAll(l.DS)
		strange = strange || slices.ContainsFunc(l.DS, func(d dns.DS) bool { return !w.isWanted(d) })
	}
	switch {
	case counted == 0 || !all:
		return Unknown
	case empty && (len(w.Wanted.DS) == 0 || w.Wanted.Unmanaged):
		return Insecure
	case empty && w.was:
		return Removed
	case w.Wanted.Unmanaged || !lacks && !strange:
		return Secure
	}
	return Waiting
}

// isWanted reports whether a DS is one that the parent should have: the same, or of the same key by another digest.
func (w *watched) isWanted(d dns.DS) bool {
	return slices.ContainsFunc(w.Wanted.DS, func(x dns.DS) bool { return equalDS(x, d) }) || w.isOf(w.Wanted.Keys, d)
}

func (w *watched) isKnown(d dns.DS) bool { return w.isWanted(d) || w.isOf(w.Wanted.Known, d) }

func (w *watched) isOf(keys []dns.DNSKEY, d dns.DS) bool {
	return slices.ContainsFunc(keys, func(k dns.DNSKEY) bool { return dnssec.MatchDS(w.ID.Name, k, d) })
}

// hasAll reports whether there is a DS of every key that is wanted.
func (w *watched) hasAll(set []dns.DS) bool {
	for _, want := range w.Wanted.DS {
		if !slices.ContainsFunc(set, func(d dns.DS) bool { return equalDS(d, want) || w.sameKey(want, d) }) {
			return false
		}
	}
	return true
}

// sameKey reports whether two DS are of one key that is wanted.
func (w *watched) sameKey(a, b dns.DS) bool {
	return slices.ContainsFunc(w.Wanted.Keys, func(k dns.DNSKEY) bool {
		return dnssec.MatchDS(w.ID.Name, k, a) && dnssec.MatchDS(w.ID.Name, k, b)
	})
}

// isBroken reports whether nobody who validates can go from that DS set to the zone (RFC 4035 §5.2).
func (w *watched) isBroken(set []dns.DS) bool {
	if len(set) == 0 || len(w.Wanted.Known)+len(w.Wanted.Keys) == 0 {
		return false
	}
	return !slices.ContainsFunc(set, w.isKnown)
}

// excuse sets which servers need not be waited for. That none answers excuses nobody.
func (c *core) excuse(w *watched, now time.Time) {
	isAnswering := func(l *look) bool { return l.Failures == 0 && !l.Seen.IsZero() }
	others := slices.ContainsFunc(w.looks, isAnswering)
	for _, l := range w.looks {
		l.Excused = ""
		switch {
		case l.Failures == 0 || !others:
		case l.Error == unreachableText && !l.Name.IsZero() && slices.ContainsFunc(w.looks, func(o *look) bool { return isAnswering(o) && o.Name.Equal(l.Name) }):
			l.Excused = "there is no way to this address from here, and the same server answers at another one"
		case l.Failures >= excuseTries && now.Sub(l.Failing) >= w.Delays.Excuse:
			l.Excused = fmt.Sprintf("it was asked %d times since %s and has not answered", l.Failures, l.Failing.UTC().Format(time.RFC3339))
		}
	}
}

// view returns what is known of w's parent.
func (w *watched) view(now time.Time) View {
	v := View{
		Zone: w.ID, Parent: w.parent, Found: w.found, Error: w.findError, TTL: w.ttl, NegativeTTL: w.none,
		Condition: w.condition(), Begun: w.begun, Delay: w.delay,
	}
	for _, l := range w.looks {
		v.Servers = append(v.Servers, l.Server)
		if l.phase == rests && l.at >= 0 && (v.Next.IsZero() || l.due.Before(v.Next)) {
			v.Next = l.due
		}
		v.Signed = v.Signed || l.Signed
		if l.Excused == "" {
			v.count(w, l)
		}
	}
	if v.Since.After(v.At) {
		v.At = v.Since
	}
	for i := range w.tells {
		v.Told = append(v.Told, w.tells[i].receivers...)
	}
	if w.pushed != nil {
		p := *w.pushed
		v.Pushed = &p
	}
	v.Findings = w.findings(&v, now)
	return v
}

// count adds a server that counts.
func (v *View) count(w *watched, l *look) {
	v.Counted++
	if l.Seen.IsZero() || l.Seen.Before(w.begun) {
		return
	}
	v.Answered++
	if v.At.IsZero() || l.Seen.Before(v.At) {
		v.At = l.Seen
	}
	if l.Since.After(v.Since) {
		v.Since = l.Since
	}
	for _, d := range l.DS {
		i := slices.IndexFunc(v.DS, func(s SeenDS) bool { return equalDS(s.DS, d) })
		if i < 0 {
			i = len(v.DS)
			v.DS = append(v.DS, SeenDS{DS: d, Wanted: w.isWanted(d), Known: w.isKnown(d)})
		}
		v.DS[i].Servers++
	}
}

// IsComplete reports whether all servers that count have said what they have.
func (v *View) IsComplete() bool { return v.Counted > 0 && v.Answered == v.Counted }

// Presence says at how many servers there is a DS of a key of the zone, by whatever digest.
func (v *View) Presence(k dns.DNSKEY) Presence {
	if !v.IsComplete() {
		return Unseen
	}
	n := 0
	for _, s := range v.Servers {
		if s.Excused == "" && slices.ContainsFunc(s.DS, func(d dns.DS) bool { return dnssec.MatchDS(v.Zone.Name, k, d) }) {
			n++
		}
	}
	switch n {
	case 0:
		return None
	case v.Counted:
		return All
	}
	return Some
}

// note tells of w if something else is seen than was last told.
func (c *core) note(w *watched, now time.Time) {
	v := w.view(now)
	print := v.print()
	if print == w.print {
		return
	}
	w.print = print
	if !w.isChanged {
		w.isChanged = true
		c.changed = append(c.changed, w)
	}
}

// nextChanged takes a zone of which something else is seen than before.
func (c *core) nextChanged(now time.Time) (View, bool) {
	for len(c.changed) > 0 {
		w := c.changed[0]
		c.changed = c.changed[1:]
		w.isChanged = false
		if c.zones[w.ID] == w {
			return w.view(now), true
		}
	}
	return View{}, false
}

// print is what in a view is news when it is another.
func (v *View) print() string {
	var b strings.Builder
	fmt.Fprintln(&b, v.Parent, v.Error, v.Counted, v.Answered, v.Since.UnixNano(), v.TTL, v.NegativeTTL, v.Condition, v.Delay, v.Signed)
	for _, s := range v.Servers {
		fmt.Fprintln(&b, s.Addr, s.Since.UnixNano(), s.Excused != "", s.Error)
	}
	for _, t := range v.Told {
		fmt.Fprintln(&b, t.Type, t.Target, t.Port, t.Answered.UnixNano(), t.Error)
	}
	if p := v.Pushed; p != nil {
		fmt.Fprintln(&b, p.Server, p.Done.UnixNano(), p.Error)
	}
	for _, f := range v.Findings {
		fmt.Fprintln(&b, f.Code, f.Level)
	}
	return b.String()
}

func equalDS(a, b dns.DS) bool {
	return a.KeyTag == b.KeyTag && a.Algorithm == b.Algorithm && a.DigestType == b.DigestType && bytes.Equal(a.Digest, b.Digest)
}

// sameDS compares sets.
func sameDS(a, b []dns.DS) bool {
	in := func(set []dns.DS, d dns.DS) bool {
		return slices.ContainsFunc(set, func(x dns.DS) bool { return equalDS(x, d) })
	}
	return !slices.ContainsFunc(a, func(d dns.DS) bool { return !in(b, d) }) &&
		!slices.ContainsFunc(b, func(d dns.DS) bool { return !in(a, d) })
}

// sameWanted reports whether the parent should have the same under both. Which other keys the zone has does not matter for that.
func sameWanted(a, b Wanted) bool { return a.Unmanaged == b.Unmanaged && sameDS(a.DS, b.DS) }
