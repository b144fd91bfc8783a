package resolver

import (
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// TestFlushIsExact: what is flushed is asked for again, whichever alias led there,
// and nothing else is.
func TestFlushIsExact(t *testing.T) {
	const zone = "www A 198.51.100.1\nwww TXT t\nalias CNAME www\nother A 198.51.100.2\nsub.www A 198.51.100.3\nwild CNAME gone.www"
	for _, c := range []struct {
		what  string
		flush func(r *Resolver) int
		asked map[string]bool // names and types that are asked for again
	}{
		{"a name", func(r *Resolver) int { return r.Flush(dns.MustName("WWW.example.com."), false) },
			map[string]bool{"www A": true, "www TXT": true, "alias A": true}},
		{"a tree", func(r *Resolver) int { return r.Flush(dns.MustName("www.example.com."), true) },
			map[string]bool{"www A": true, "www TXT": true, "alias A": true, "sub.www A": true, "wild A": true}},
		{"a type", func(r *Resolver) int { return r.FlushType(dns.MustName("www.example.com."), dns.TypeTXT) }, map[string]bool{"www TXT": true}},
		{"another type", func(r *Resolver) int { return r.FlushType(dns.MustName("www.example.com."), dns.TypeA) },
			map[string]bool{"www A": true, "alias A": true}},
		{"a change of the zone", func(r *Resolver) int {
			r.Purge(dns.MustName("www.example.com."), dns.MustName("www.example.com."))
			time.Sleep(2 * purgeDelay)
			return 1
		}, map[string]bool{"www A": true, "www TXT": true, "alias A": true, "sub.www A": true, "wild A": true}},
	} {
		inWorld(t, Config{}, zone, func(t *testing.T, w *world) {
			all := []string{"www A", "www TXT", "alias A", "other A", "sub.www A", "wild A"}
			ask := func(what string) int {
				q := questionOf(t, what)
				w.ask(query(q.Name.String(), q.Type, 1232, false))
				return w.asked()
			}
			for _, what := range all {
				ask(what)
			}
			if n := c.flush(w.r); n == 0 {
				t.Errorf("%s: nothing was forgotten", c.what)
			}
			now := w.r.now()
			for _, what := range all {
				q := questionOf(t, what)
				key := cache.AppendKey(nil, []byte(q.Name.Wire()), q.Type, 0, 0)
				_, has := w.r.messages.Get(nil, key, now, new(cache.Hit))
				if has == c.asked[what] {
					t.Errorf("%s: the answer for %s is there: %v", c.what, what, has)
				}
			}
			for _, what := range all {
				if n := ask(what); n == 0 && c.asked[what] && what != "alias A" && what != "wild A" || n > 0 && !c.asked[what] {
					t.Errorf("%s: %d packets for %s", c.what, n, what)
				}
			}
		})
	}
}

// questionOf reads a question like "www A".
func questionOf(t *testing.T, what string) dns.Question {
	name, text, _ := strings.Cut(what, " ")
	typ, ok := dns.ParseType(text)
	if !ok {
		t.Fatal(text)
	}
	return dns.Question{Name: dns.MustName(name + ".example.com."), Type: typ, Class: dns.ClassIN}
}

// TestFlushCatchesWhatIsUnderWay: an answer that was asked for before a flush is
// given, but not remembered.
func TestFlushCatchesWhatIsUnderWay(t *testing.T) {
	inWorld(t, Config{}, "www A 198.51.100.1", func(t *testing.T, w *world) {
		wait := w.start(pack(t, query("www.example.com.", dns.TypeA, 1232, false)))
		time.Sleep(5 * time.Millisecond)
		w.r.FlushAll()
		if a := w.parse(wait()); len(a.Answer) != 1 {
			t.Errorf("got %s", text(a))
		}
		if n := w.r.messages.Len(); n != 0 {
			t.Errorf("%d answers from before the flush are remembered", n)
		}
	})
}
