package propagation

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"onoma/dns"
	"onoma/telemetry/control"
	"onoma/test/peers"
	"onoma/transport"
)

const (
	name = "example.com."
	zone = `$TTL 300
@    SOA ns hostmaster 1 7200 900 1209600 60
@    NS  ns
ns   A   192.0.2.53
`
	configuration = `data: %[1]s/data
control: %[1]s/ctl
listen: ["%[2]s"]
servers:
  secondary: {address: "%[3]s"}
zones:
  example.com: {file: %[1]s/zone, file-mode: initial, transfer-to: 127.0.0.0/8, notify: secondary}
`
)

// primary runs an `onoma serve` that tells a secondary.
func primary(t *testing.T, addr, secondary netip.AddrPort) *control.ZoneClient {
	t.Helper()
	dir, err := os.MkdirTemp("", "onoma") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for file, text := range map[string]string{"zone": zone, "onoma.yaml": fmt.Sprintf(configuration, dir, addr, secondary)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	peers.StartOnoma(t, addr, "serve", "--config", filepath.Join(dir, "onoma.yaml"))
	return control.NewClient(filepath.Join(dir, "ctl")).Zone(name, "")
}

// served asks a secondary which version it serves.
func served(t *testing.T, secondary netip.AddrPort) uint32 {
	t.Helper()
	query, err := dns.NewQuery(7, dns.Question{Name: dns.MustName(name), Type: dns.TypeSOA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := new(transport.Client).Exchange(t.Context(), transport.UDP, secondary, query, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := dns.ParseMessage(reply.Msg)
	if err != nil || len(m.Answer) == 0 {
		t.Fatalf("%v, %v: expected a SOA record", m, err)
	}
	soa, err := dns.ParseSOA(m.Answer[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	return soa.Serial
}

func change(t *testing.T, z *control.ZoneClient, i int) uint32 {
	t.Helper()
	r, err := z.Change(t.Context(), control.ChangeRequest{Add: []string{fmt.Sprintf("n%d A 192.0.2.%d", i, i)}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Serial
}

func wait(t *testing.T, z *control.ZoneClient, serial uint32, timeout time.Duration) control.WaitResult {
	t.Helper()
	r, err := z.Wait(t.Context(), &serial, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expectServed asks a secondary itself. NSD's processes change over one after the other, so that for a moment an answer may
// still be of the version before; the others' must not.
func expectServed(t *testing.T, peer *peers.Peer, at netip.AddrPort, serial uint32) {
	t.Helper()
	tries := 1
	if peer == peers.NSD {
		tries = 100
	}
	var s uint32
	for range tries {
		if s = served(t, at); s == serial {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s serves %d, said to serve %d", peer.Name, s, serial)
}

// TestWaitTellsTheTruth: what is said to be served is served, what is not is told with the reason, and a secondary that comes back
// is found again.
func TestWaitTellsTheTruth(t *testing.T) {
	for _, peer := range []*peers.Peer{peers.NSD, peers.Knot, peers.BIND} {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, peer.Binary)
			addr, at := peers.Addr(t), peer.Addr(t)
			z := primary(t, addr, at)
			secondary := peer.StartSecondary(t, []string{name}, at, peers.Primary{Addr: addr})
			if r := wait(t, z, 1, time.Minute); !r.InSync {
				t.Fatalf("the first version: %s", r.Reason)
			}
			changes := 20
			if testing.Short() {
				changes = 3
			}
			var took []float64
			for i := range changes {
				serial := change(t, z, i)
				r := wait(t, z, serial, 30*time.Second)
				if !r.InSync {
					t.Fatalf("version %d: %s", serial, r.Reason)
				}
				expectServed(t, peer, at, serial)
				took = append(took, r.Seconds)
			}
			slices.Sort(took)
			t.Logf("from acknowledged to served: %.0f ms in the middle, %.0f ms at most", took[len(took)/2]*1000, took[len(took)-1]*1000)

			secondary.Stop()
			serial := change(t, z, 99)
			r := wait(t, z, serial, time.Second)
			if s := r.Propagation.Secondaries; r.InSync || len(s) != 1 || s[0].Condition != "behind" || s[0].Error == "" || s[0].Serial != serial-1 || s[0].Lag < 0.9 {
				t.Errorf("it is down, and that is told as %+v", r)
			}
			secondary.Restart(t, false)
			if r := wait(t, z, serial, time.Minute); !r.InSync || served(t, at) != serial {
				t.Errorf("it is up again: %+v", r)
			}
		})
	}
}
