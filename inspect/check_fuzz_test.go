package inspect

import (
	"context"
	"sync"
	"testing"

	"onoma/dns"
	"onoma/transport"
)

// mangler is a world whose replies about a zone are changed on their way.
type mangler struct {
	*world
	under dns.Name
	edits []byte // three octets each: which reply, where, what to add
	mu    sync.Mutex
	n     int
}

func (m *mangler) Exchange(ctx context.Context, to transport.Target, query []byte) ([]byte, error) {
	out, err := m.world.Exchange(ctx, to, query)
	q, parseErr := dns.ParseMessage(query)
	if err != nil || parseErr != nil || !q.Question().Name.IsSubdomainOf(m.under) {
		return out, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	for e := m.edits; len(e) >= 3; e = e[3:] {
		if int(e[0])%16 == m.n%16 && len(out) > 12 {
			// Behind the header, and the more the further: offsets of names and lengths of rdata.
			out[12+int(e[1])*(len(out)-12)/256] += e[2]
		}
	}
	return out, nil
}

// Whatever servers say, a check ends, says so within bounds, and can be drawn.
func FuzzCheck(f *testing.F) {
	w := newWorld(f, checkNoon)
	w.add("leaf.test.", spec{split: true, cds: true, text: "* A 192.0.2.99\n@ CSYNC 1 3 NS\n"})
	w.add("test.", spec{})
	w.add(".", spec{})
	f.Add([]byte{})
	f.Add([]byte{0, 40, 1, 1, 90, 128, 2, 200, 7, 3, 128, 255})
	f.Add([]byte{5, 60, 3, 5, 61, 200, 6, 60, 9, 7, 70, 1, 8, 250, 1, 9, 99, 64})
	f.Fuzz(func(t *testing.T, edits []byte) {
		o := w.options()
		m := &mangler{world: w, under: dns.MustName("leaf.test."), edits: edits[:min(len(edits), 96)]}
		o.Env = m
		h, err := CheckZone(context.Background(), m.under, o)
		if err != nil {
			return
		}
		if len(h.Findings) > mostVerdicts || m.n > 1000 {
			t.Errorf("%d findings, %d questions", len(h.Findings), m.n)
		}
		checkDrawings(t, "fuzzed", h)
	})
}
