package transfer

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/test/peers"
	"onoma/transport"
)

// TestPrimaries: other servers are the primaries. They tell of each change, and each time we have the same records as they
// have, by differences where they give any. In between our secondary is started anew. The zone's timers are so long that
// nothing but NOTIFY can have told it.
func TestPrimaries(t *testing.T) {
	for _, peer := range peers.All {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/signed=%v", peer.Name, signed), func(t *testing.T) {
				t.Parallel()
				peers.Need(t, peer.Binary)
				var k *peers.Key
				if signed {
					k = &key
				}
				z, file := newZone(1, 300, 11), filepath.Join(t.TempDir(), "zone")
				z.write(t, file)
				addr := peer.Addr(t)
				f := follow(t, k, secondary.Primary{Addr: addr, Proto: transport.TCP})
				p := peer.Serve(t, addr, peers.Serving{Zones: peers.Zones{{Name: zoneName, File: file}}, Key: k, Notify: f.addr})
				f.Refresh(f.cfg.ID)
				const changes = 6
				for i := range changes {
					f.awaitVersion(t, z.serial)
					if diff := cmp.Diff(records(t, p.Addr, k), records(t, f.addr, nil)); diff != "" {
						t.Fatalf("version %d at %s and at ours (-%[2]s +onoma):\n%[3]s", z.serial, p.Name, diff)
					}
					if i == changes/2 {
						f.restart()
					}
					awaitNextSecond()
					z.change()
					z.write(t, file)
					peer.Reread(t, p, zoneName)
				}
				f.awaitVersion(t, z.serial)
				kinds := f.kinds()
				t.Logf("transfers: %v", kinds)
				if peer != peers.PowerDNS && kinds[authority.Incremental] < changes-1 {
					t.Errorf("%d differences for %d changes: %v", kinds[authority.Incremental], changes, kinds)
				}
			})
		}
	}
}

// awaitNextSecond: peers see by the second that a file has changed.
func awaitNextSecond() {
	now := time.Now()
	time.Sleep(now.Truncate(time.Second).Add(time.Second + 10*time.Millisecond).Sub(now))
}

// relay passes TCP on, and UDP but for what is lost.
type relay struct {
	addr  netip.AddrPort
	loses bool
	lost  atomic.Int32
}

// newRelay listens at an address, and loses every second packet that comes there.
func newRelay(t *testing.T, at, to netip.AddrPort) *relay {
	t.Helper()
	r := &relay{addr: at, loses: true}
	r.forward(t, to)
	tcp, err := net.Listen("tcp4", r.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		tcp.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := tcp.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp4", to.String())
			if err != nil {
				in.Close()
				continue
			}
			go pipe(in, out)
			go pipe(out, in)
		}
	})
	return r
}

// forward passes UDP on.
func (r *relay) forward(t *testing.T, to netip.AddrPort) {
	t.Helper()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(r.addr))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { r.packets(udp, to) })
	t.Cleanup(func() {
		udp.Close()
		wg.Wait()
	})
}

func pipe(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (r *relay) packets(udp *net.UDPConn, to netip.AddrPort) {
	buf := make([]byte, 4096)
	for i := 0; ; i++ {
		n, from, err := udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if r.loses && i%2 == 0 {
			r.lost.Add(1)
			continue
		}
		msg := append([]byte(nil), buf[:n]...)
		go func() {
			out, err := net.Dial("udp4", to.String())
			if err != nil {
				return
			}
			defer out.Close()
			if _, err := out.Write(msg); err != nil {
				return
			}
			answer := make([]byte, 4096)
			if err := out.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				return
			}
			if n, err := out.Read(answer); err == nil {
				_, _ = udp.WriteToUDPAddrPort(answer[:n], from)
			}
		}()
	}
}

// TestLoss: half of all NOTIFYs and SOA queries are lost, and the secondary is started anew; in the end all is the same.
func TestLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for repeated packets")
	}
	z := newZone(1, 200, 12)
	forward := peers.Addr(t) // of the follower, which is not known yet
	p := startPrimary(t, z, &key, forward)
	way := newRelay(t, peers.Addr(t), p.Addr)
	f := follow(t, &key, secondary.Primary{Addr: way.addr, Proto: transport.TCP})
	back := newRelay(t, forward, f.addr)
	for i := range 6 {
		f.awaitVersion(t, z.serial)
		if diff := cmp.Diff(records(t, p.Addr, &key), records(t, f.addr, nil)); diff != "" {
			t.Fatalf("version %d (-primary +secondary):\n%s", z.serial, diff)
		}
		if i%2 == 1 {
			f.restart()
		}
		p.change(t)
	}
	f.awaitVersion(t, z.serial)
	if back.lost.Load() == 0 {
		t.Error("no NOTIFY was lost: nothing is shown")
	}
}
