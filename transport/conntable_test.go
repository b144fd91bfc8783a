package transport

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// slowTable is connTable as one would explain it: a list of connections, the idle ones with the time since when.
type slowTable struct {
	max, perClient, clock int
	open                  []*tcpConn
	since                 map[*tcpConn]int
}

func (t *slowTable) ofClient(c *tcpConn) (of []*tcpConn) {
	for _, o := range t.open {
		if o.client.Addr() == c.client.Addr() {
			of = append(of, o)
		}
	}
	return of
}

func (t *slowTable) longestIdle(of []*tcpConn) (oldest *tcpConn) {
	for _, c := range of {
		if s, idle := t.since[c]; idle && (oldest == nil || s < t.since[oldest]) {
			oldest = c
		}
	}
	return oldest
}

func (t *slowTable) admit(c *tcpConn) (evicted *tcpConn, ok bool) {
	mine := t.ofClient(c)
	switch {
	case len(mine) >= t.perClient:
		evicted = t.longestIdle(mine)
	case len(t.open) >= t.max:
		evicted = t.longestIdle(t.open)
	default:
		t.insert(c)
		return nil, true
	}
	if evicted == nil {
		return nil, false
	}
	t.remove(evicted)
	t.insert(c)
	return evicted, true
}

func (t *slowTable) insert(c *tcpConn) {
	t.open = append(t.open, c)
	t.setIdle(c, true)
}

func (t *slowTable) remove(c *tcpConn) {
	t.open = slices.DeleteFunc(t.open, func(o *tcpConn) bool { return o == c })
	delete(t.since, c)
}

func (t *slowTable) setIdle(c *tcpConn, idle bool) {
	_, was := t.since[c]
	switch {
	case !slices.Contains(t.open, c) || was == idle:
	case idle:
		t.clock++
		t.since[c] = t.clock
	default:
		delete(t.since, c)
	}
}

func TestConnTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slow := &slowTable{max: rapid.IntRange(1, 8).Draw(t, "max"), perClient: rapid.IntRange(1, 4).Draw(t, "per client"), since: map[*tcpConn]int{}}
		fast := newConnTable(slow.max, slow.perClient)
		var known []*tcpConn
		some := func() *tcpConn { return rapid.SampledFrom(known).Draw(t, "connection") }
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 4).Draw(t, "client"))})
				c := &tcpConn{client: netip.AddrPortFrom(a, 1)}
				known = append(known, c)
				got, gotOK := fast.admit(c)
				if want, wantOK := slow.admit(c); got != want || gotOK != wantOK {
					t.Fatalf("admitted %v, evicting %p; want %v, %p", gotOK, got, wantOK, want)
				}
			},
			"idle": func(t *rapid.T) {
				if len(known) > 0 {
					c, idle := some(), rapid.Bool().Draw(t, "idle")
					fast.setIdle(c, idle)
					slow.setIdle(c, idle)
				}
			},
			"remove": func(t *rapid.T) {
				if len(known) > 0 {
					c := some()
					fast.remove(c)
					slow.remove(c)
				}
			},
			"oldest": func(t *rapid.T) {
				want := slow.longestIdle(slow.open)
				if got := fast.oldestIdle(); got != want {
					t.Fatalf("the longest idle is %p, want %p", got, want)
				}
				if want != nil {
					slow.remove(want)
				}
			},
			"": func(t *rapid.T) {
				if fast.open() != len(slow.open) || len(fast.clients) > len(slow.open) {
					t.Fatalf("%d open of %d clients, want %d", fast.open(), len(fast.clients), len(slow.open))
				}
			},
		})
	})
}
