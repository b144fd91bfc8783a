package transport

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// slowTable is connTable as one would explain it: a list of connections, each with its rank and since when it has that.
type slowTable struct {
	max, perClient, clock int
	open                  []*tcpConn
	rank                  map[*tcpConn]rank
	since                 map[*tcpConn]int
	busySince             map[*tcpConn]time.Time
	now                   func() time.Time
}

func (t *slowTable) ofClient(c *tcpConn) (of []*tcpConn) {
	for _, o := range t.open {
		if o.client.Addr() == c.client.Addr() {
			of = append(of, o)
		}
	}
	return of
}

func (t *slowTable) first(of []*tcpConn) (first *tcpConn) {
	for _, c := range of {
		stuck := t.now().Sub(t.busySince[c]) >= stuckAfter
		switch {
		case t.rank[c] == busy && !stuck:
		case first == nil, t.rank[c] < t.rank[first], t.rank[c] == t.rank[first] && t.since[c] < t.since[first]:
			first = c
		}
	}
	return first
}

func (t *slowTable) admit(c *tcpConn) (evicted *tcpConn, ok bool) {
	mine := t.ofClient(c)
	switch {
	case len(mine) >= t.perClient:
		evicted = t.first(mine)
	case len(t.open) >= t.max:
		evicted = t.first(t.open)
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
	t.become(c, waitingFirst)
}

func (t *slowTable) become(c *tcpConn, r rank) {
	t.clock++
	t.rank[c], t.since[c], t.busySince[c] = r, t.clock, t.now()
}

func (t *slowTable) remove(c *tcpConn) {
	t.open = slices.DeleteFunc(t.open, func(o *tcpConn) bool { return o == c })
}

func (t *slowTable) setWaiting(c *tcpConn, waiting bool) {
	switch {
	case !slices.Contains(t.open, c) || (t.rank[c] != busy) == waiting:
	case waiting:
		t.become(c, waitingNext)
	default:
		t.become(c, busy)
	}
}

func TestConnTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		slow := &slowTable{
			max: rapid.IntRange(1, 8).Draw(t, "max"), perClient: rapid.IntRange(1, 4).Draw(t, "per client"),
			rank: map[*tcpConn]rank{}, since: map[*tcpConn]int{}, busySince: map[*tcpConn]time.Time{}, now: func() time.Time { return now },
		}
		fast := newConnTable(slow.max, slow.perClient, slow.now)
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
			"waiting": func(t *rapid.T) {
				if len(known) > 0 {
					c, waiting := some(), rapid.Bool().Draw(t, "waiting")
					fast.setWaiting(c, waiting)
					slow.setWaiting(c, waiting)
				}
			},
			"time": func(t *rapid.T) { now = now.Add(stuckAfter / 2) },
			"remove": func(t *rapid.T) {
				if len(known) > 0 {
					c := some()
					fast.remove(c)
					slow.remove(c)
				}
			},
			"give way": func(t *rapid.T) {
				want := slow.first(slow.open)
				if got := fast.giveWay(); got != want {
					t.Fatalf("%p gives way, want %p", got, want)
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
