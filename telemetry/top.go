package telemetry

import (
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/telemetry/sketch"
)

// Top is what came most often in a window of time, estimated from a sample.
//
// Of the queries in the window one in Sample was looked at; counts are those of the sample times Sample, so that, beside
// the Excess told, they vary as samples do: a count of n sampled queries by about the square root of n.
type Top struct {
	Seconds float64 `json:"seconds"` // how long the window is
	Sample  int     `json:"sample"`  // 0: heavy hitters are not looked for
	Looked  uint64  `json:"looked"`  // queries looked at
	Skipped uint64  `json:"skipped"` // since the start: not looked at because they were being read
	Names   Ranking `json:"names"`
	Clients Ranking `json:"clients"` // prefixes: /24 of IPv4, /56 of IPv6
	Denied  Ranking `json:"denied"`  // names below which names do not exist
}

// Ranking is a list of what came most often.
type Ranking struct {
	// Missing bounds what is not listed: nothing that the sketches have left out came more often.
	Missing uint64 `json:"missing"`
	Hits    []Hit  `json:"hits"`
}

// Hit came at most Count times, and at least Count - Excess times.
type Hit struct {
	Key    string  `json:"key"`
	Count  uint64  `json:"count"`
	Excess uint64  `json:"excess"`
	Rate   float64 `json:"rate"` // Count a second
}

// The windows that Top knows.
const (
	Recent = 10 * time.Second
	Minute = time.Minute
)

// Top returns the first n of each ranking in the last window, to which the current slice of five seconds is added.
func (h *Hub) Top(window time.Duration, n int) Top {
	t := &h.heavy
	top := Top{Sample: h.opts.TopSample}
	var parts []found
	h.each(func(l *lane) {
		if f, ok := l.heavy.look(); ok {
			parts = append(parts, f)
		}
		top.Skipped += l.heavy.skipped.value()
	})
	t.mu.Lock()
	from := t.since
	for _, p := range t.past[:min(len(t.past), int(window/slice))] {
		parts = append(parts, p.found)
		from = p.from
	}
	t.mu.Unlock()
	all := merge(parts)
	top.Seconds = max(h.opts.Clock().Sub(from).Seconds(), 1)
	top.Looked = all.clients.Seen
	top.Names = rank(all.names, n, &top, nameText)
	top.Clients = rank(all.clients, n, &top, prefixText)
	top.Denied = rank(all.denied, n, &top, nameText)
	return top
}

func rank(s sketch.Summary, n int, top *Top, text func(string) string) Ranking {
	times := uint64(max(top.Sample, 1))
	r := Ranking{Missing: s.Missing * times, Hits: []Hit{}}
	for _, e := range s.Entries[:min(n, len(s.Entries))] {
		count := e.Count * times
		r.Hits = append(r.Hits, Hit{text(e.Key), count, e.Excess * times, float64(count) / top.Seconds})
	}
	return r
}

func nameText(wire string) string {
	name, err := dns.NameFromWire([]byte(wire))
	if err != nil {
		return "?"
	}
	return name.String()
}

func prefixText(key string) string {
	if len(key) == 3 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{key[0], key[1], key[2]}), 24).String()
	}
	var b [16]byte
	copy(b[:], key)
	return netip.PrefixFrom(netip.AddrFrom16(b), 8*clientKey).String()
}
