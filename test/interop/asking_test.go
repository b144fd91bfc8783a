package interop

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
	"onoma/resolver/upstream"
	"onoma/test/peers"
	"onoma/transport"
)

// watched is the network, with what goes over it to servers.
type watched struct {
	*upstream.Network
	mu   sync.Mutex
	sent []sent
}

type sent struct {
	proto  transport.Proto
	cookie int // its octets
	mixed  bool
	rcode  dns.RCode
}

func (w *watched) Exchange(ctx context.Context, to iterator.Target, query []byte) ([]byte, error) {
	reply, err := w.Network.Exchange(ctx, to, slices.Clone(query))
	q, bad := dns.ParseMessage(query)
	if bad != nil {
		return nil, bad
	}
	s := sent{proto: to.Proto, mixed: q.Question().Name != q.Question().Name.Fold()}
	if o, ok := q.EDNS.Option(dns.OptionCookie); ok {
		s.cookie = len(o.Data)
	}
	if a, bad := dns.ParseMessage(reply); bad == nil {
		s.rcode = a.RCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, s)
	return reply, err
}

func (w *watched) take() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.sent
	w.sent = nil
	return all
}

// TestAskingWithCookies has our resolver ask real servers in its ordinary way, random case and cookies included: servers
// that do cookies, and insist on theirs, are asked once more at the first time and then not again; nothing goes to TCP.
func TestAskingWithCookies(t *testing.T) {
	lines := "$TTL 300\n@ SOA ns hostmaster 1 7200 900 1209600 60\n@ NS ns\nns A 192.0.2.53\n"
	for i := range 20 {
		lines += fmt.Sprintf("www-%d A 192.0.2.%d\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "cookies.test.zone")
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	zones := peers.Zones{{Name: "cookies.test.", File: file}}
	ask := func(t *testing.T, at netip.AddrPort, doesCookies bool) {
		env := &watched{Network: upstream.New(upstream.Config{Source4: netip.MustParseAddr("127.0.0.1")})}
		it := iterator.New(iterator.Config{Env: env})
		routes, err := iterator.NewRoutes(iterator.Route{Zone: dns.MustName("cookies.test."), Kind: iterator.RouteStub,
			Servers: []iterator.RouteServer{{Target: iterator.Target{Addr: at}}}})
		if err != nil {
			t.Fatal(err)
		}
		it.SetRoutes(routes)
		defer it.Close()
		refused, mixed := 0, 0
		for i := range 20 {
			q := dns.Question{Name: dns.MustName(fmt.Sprintf("www-%d.cookies.test.", i)), Type: dns.TypeA, Class: dns.ClassIN}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			a, err := it.Resolve(ctx, q, iterator.Options{})
			cancel()
			if err != nil || len(a.Chain) != 1 || a.Chain[0].Name != q.Name {
				t.Fatalf("%s: %v %+v", q.Name, err, a)
			}
			for _, s := range env.take() {
				if s.proto != transport.UDP {
					t.Errorf("%s was asked for over %s", q.Name, s.proto)
				}
				if s.mixed {
					mixed++
				}
				if s.rcode == dns.RCodeBadCookie {
					refused++
				}
				if i > 0 && doesCookies != (s.cookie > 8) {
					t.Errorf("%s was asked for with a cookie of %d octets", q.Name, s.cookie)
				}
			}
		}
		if refused > 1 || mixed < 18 {
			t.Errorf("%d times BADCOOKIE, %d names in mixed case; expected at most once, and nearly all", refused, mixed)
		}
	}
	for _, p := range peers.All {
		t.Run(p.Name, func(t *testing.T) {
			doesCookies := p != peers.PowerDNS
			if doesCookies {
				p = p.WithCookies(sharedSecret)
			}
			ask(t, p.Start(t, zones, p.Addr(t)).Addr, doesCookies)
		})
	}
	t.Run("onoma", func(t *testing.T) { ask(t, onomaWithCookies(t, zones, sharedSecret).Addr, true) })
}
