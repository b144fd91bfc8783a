package internet_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/resolver"
	"onoma/test/internet"
)

// inventory is what follows from the seed.
func inventory(t *testing.T, seed uint64, block uint8) (list []string) {
	t.Helper()
	n, err := internet.New(t.Context(), internet.Options{Seed: seed, TLDs: 4, Zones: 120, Broken: 10, Block: block, Port: 5390})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, q := range n.Questions(1000) {
		list = append(list, q.Zone.Fault+" "+q.Name.String()+" "+q.Type.String())
	}
	return list
}

func TestSeedDecides(t *testing.T) {
	first := inventory(t, 7, 81)
	if diff := cmp.Diff(first, inventory(t, 7, 82)); diff != "" {
		t.Errorf("the same seed made another internet:\n%s", diff)
	}
	if slices.Equal(first, inventory(t, 8, 83)) {
		t.Error("another seed made the same internet")
	}
}

func TestEveryFaultIsThere(t *testing.T) {
	if len(internet.Faults) < 40 {
		t.Errorf("%d faults, expected at least 40", len(internet.Faults))
	}
	n, err := internet.New(t.Context(), internet.Options{Seed: 1, TLDs: 4, Zones: len(internet.Faults), Block: 84, Port: 5390})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	asked := map[string]bool{}
	for _, q := range n.Questions(1 << 20) {
		asked[q.Zone.Fault] = true
	}
	for _, f := range internet.Faults {
		if !asked[f.Name] || f.Text == "" {
			t.Errorf("fault %q: asked about %t, text %q", f.Name, asked[f.Name], f.Text)
		}
		delete(asked, f.Name)
	}
	delete(asked, "") // healthy zones
	if len(asked) > 0 {
		t.Errorf("faults that are not listed: %v", asked)
	}
}

// TestLossIsSurvived: a resolver that asks again finds everything, though every tenth answer is lost.
func TestLossIsSurvived(t *testing.T) {
	n, err := internet.New(t.Context(), internet.Options{Seed: 3, TLDs: 4, Zones: 150, Quick: true, Block: 85, Port: 5390, Delay: time.Millisecond, Loss: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	cfg := resolver.Config{AllowLoopbackServers: true, NoIPv6: true, UpstreamPort: 5390}
	for name, addr := range n.RootServers() {
		cfg.Hints = append(cfg.Hints, resolver.Hint{Name: name, Addrs: []netip.Addr{addr}})
	}
	r, err := resolver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var wg sync.WaitGroup
	asked := 0
	for _, q := range n.Questions(1 << 20) {
		if q.Zone.Fault != "" {
			continue
		}
		asked++
		wg.Go(func() {
			res, err := r.Resolve(t.Context(), q.Question, resolver.Options{})
			if err != nil || res.RCode != dns.RCodeNoError && res.RCode != dns.RCodeNXDomain {
				t.Errorf("%s: %v %v %v", q.Question, err, res.RCode, res.EDE)
			}
		})
	}
	wg.Wait()
	if asked < 100 {
		t.Errorf("%d questions, expected more", asked)
	}
}
