package telemetry

import (
	"time"

	"onoma/dns"
	"onoma/transport"
)

// Traffic is what was counted since the Hub was made, merged over all lanes while they go on counting: each number is right,
// but not all at one instant.
type Traffic struct {
	Queries    []Queries         `json:"queries"`    // only what came
	Types      map[string]uint64 `json:"types"`      // queries by type; those of rare types and without a question are "other"
	RCodes     map[string]uint64 `json:"rcodes"`     // responses
	Truncated  uint64            `json:"truncated"`  // of the responses, those with TC
	Unanswered uint64            `json:"unanswered"` // queries that got no response on purpose
	Deferred   uint64            `json:"deferred"`   // queries that were answered later, or will be
	Datagrams  Histogram         `json:"datagrams"`  // octets of responses over UDP
	Streams    Histogram         `json:"streams"`    // octets of all other responses
	Waits      Histogram         `json:"waits"`      // seconds that deferred queries took
}

// Queries is a count of those that agree in all this.
type Queries struct {
	Transport string `json:"transport"` // udp, tcp, tls, quic, https
	Family    string `json:"family"`    // ipv4, ipv6
	Class     string `json:"class"`     // in, ch, other
	EDNS      string `json:"edns"`      // none, edns, do
	Count     uint64 `json:"count"`
}

// Histogram counts values up to each bound; those beyond the last bound are only in Count.
type Histogram struct {
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"` // up to the bound and beyond the one before
	Count  uint64    `json:"count"`
	Sum    float64   `json:"sum"`
}

// Total is the number of queries.
func (t Traffic) Total() (n uint64) {
	for _, q := range t.Queries {
		n += q.Count
	}
	return n
}

// By sums queries by what key says of them.
func (t Traffic) By(key func(Queries) string) map[string]uint64 {
	m := make(map[string]uint64)
	for _, q := range t.Queries {
		m[key(q)] += q.Count
	}
	return m
}

// sums are counters without atomics.
type sums struct {
	kinds                [kinds]uint64
	types                [allTypes]uint64
	results              [2 * rcodes]uint64
	sizes                [2][len(sizeBounds) + 1]uint64
	octets               [2]uint64
	waits                [len(waitBounds) + 1]uint64
	waited               uint64
	unanswered, deferred uint64
}

func addAll(to []uint64, from []counter) {
	for i := range from {
		to[i] += from[i].value()
	}
}

func (s *sums) add(c *counters) {
	addAll(s.kinds[:], c.kinds[:])
	addAll(s.types[:], c.types[:])
	addAll(s.results[:], c.results[:])
	addAll(s.octets[:], c.octets[:])
	addAll(s.waits[:], c.waits[:])
	for i := range s.sizes {
		addAll(s.sizes[i][:], c.sizes[i][:])
	}
	s.waited += c.waited.value()
	s.unanswered += c.unanswered.value()
	s.deferred += c.deferred.value()
}

// Traffic returns what was counted.
func (h *Hub) Traffic() Traffic {
	var s sums
	h.each(func(l *lane) { s.add(&l.counters) })
	t := Traffic{Types: make(map[string]uint64), RCodes: make(map[string]uint64), Unanswered: s.unanswered, Deferred: s.deferred}
	t.Queries = s.queries()
	for slot, n := range s.types {
		if n > 0 {
			t.Types[typeName(slot)] += n
		}
	}
	for i, n := range s.results {
		if n > 0 {
			t.RCodes[dns.RCode(i%rcodes).String()] += n
		}
		if i >= rcodes {
			t.Truncated += n
		}
	}
	t.Datagrams = s.sizeHistogram(0)
	t.Streams = s.sizeHistogram(1)
	t.Waits = s.waitHistogram()
	return t
}

var (
	familyNames = [families]string{"ipv4", "ipv6"}
	classNames  = [classes]string{"in", "ch", "other"}
)

func (s *sums) queries() []Queries {
	list := []Queries{}
	for i, n := range s.kinds {
		if n == 0 {
			continue
		}
		e := i % int(ednsStates)
		rest := i / int(ednsStates)
		class, rest := rest%classes, rest/classes
		family, proto := rest%families, rest/families
		list = append(list, Queries{transport.Proto(proto).String(), familyNames[family], classNames[class], ednsNames[e], n})
	}
	return list
}

func typeName(slot int) string {
	if slot == 0 {
		return "other"
	}
	return slotType(slot).String()
}

func (s *sums) sizeHistogram(stream int) Histogram {
	h := Histogram{Sum: float64(s.octets[stream])}
	for i, n := range s.sizes[stream] {
		h.Count += n
		if i < len(sizeBounds) {
			h.Bounds, h.Counts = append(h.Bounds, float64(sizeBounds[i])), append(h.Counts, n)
		}
	}
	return h
}

func (s *sums) waitHistogram() Histogram {
	h := Histogram{Sum: time.Duration(s.waited).Seconds()}
	for i, n := range s.waits {
		h.Count += n
		if i < len(waitBounds) {
			h.Bounds, h.Counts = append(h.Bounds, time.Duration(waitBounds[i]).Seconds()), append(h.Counts, n)
		}
	}
	return h
}
