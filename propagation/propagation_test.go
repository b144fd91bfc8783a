package propagation

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// TestSecondaryIsAskedWhenItHasAcknowledged: it serves the version 8 ms after the transfer has ended, and that is known
// within a few milliseconds.
func TestSecondaryIsAskedWhenItHasAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 4, Options{})
		s.Publish(example, 1)
		if err := s.wait(t, 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		s.Publish(example, 2)
		for i, p := range s.peers {
			go func() {
				time.Sleep(time.Millisecond)
				s.Acked(example, addr(i+1), 2)
				time.Sleep(2 * time.Millisecond)
				s.Transferred(example, addr(i+1).Addr())
				time.Sleep(8 * time.Millisecond)
				p.set(func(p *peer) { p.serial = 2 })
			}()
		}
		if err := s.wait(t, 2, time.Minute); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 11*time.Millisecond || took > 20*time.Millisecond {
			t.Errorf("known after %s, expected a few milliseconds after 11 ms", took)
		}
		if serial, ok := s.InSync(example); serial != 2 || !ok {
			t.Errorf("in sync: %v, %d", ok, serial)
		}
		synctest.Wait()
		last := s.events[len(s.events)-1]
		if !last.All || last.Serial != 2 || last.Took < 11*time.Millisecond || last.Took > 20*time.Millisecond {
			t.Errorf("the last event is %+v, expected all to serve 2", last)
		}
	})
}

// TestLostNotifyIsMadeUpFor: nobody acknowledges and nobody transfers, as far as we see, and the secondary is asked nevertheless.
func TestLostNotifyIsMadeUpFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 2, Options{})
		s.Publish(example, 1)
		if err := s.wait(t, 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Publish(example, 2)
		s.peers[0].set(func(p *peer) { p.serial = 2 })
		time.Sleep(time.Minute)
		s.peers[1].set(func(p *peer) { p.serial = 3 }) // and that one is even ahead
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		got := s.State(example)
		if got[0].Condition != InSync || got[1].Condition != Ahead || got[1].Serial != 3 {
			t.Errorf("%+v, expected one in sync, and one ahead", got)
		}
		if _, ok := s.InSync(example); ok {
			t.Error("a zone is in sync although a secondary serves a version that was never published")
		}
		if err := s.wait(t, 2, time.Second); err == nil || !strings.Contains(err.Error(), "serves 3, which was never published here") {
			t.Errorf("waiting for a secondary that is ahead: %v, expected its name", err)
		}
		s.Publish(example, 4) // what was published is the newest again
		s.peers[0].set(func(p *peer) { p.serial = 4 })
		s.peers[1].set(func(p *peer) { p.serial = 4 })
		if err := s.wait(t, 4, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

func TestWhoLagsIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 4, Options{})
		s.Publish(example, 1)
		if err := s.wait(t, 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.peers[1].set(func(p *peer) { p.isDown = true })
		s.peers[2].set(func(p *peer) { p.rcode = dns.RCodeRefused })
		s.peers[3].set(func(p *peer) { p.serial = 3 })
		s.Publish(example, 2)
		time.Sleep(time.Minute)
		s.Publish(example, 3)
		err := s.wait(t, 3, 10*time.Second)
		var lag *LagError
		if !errors.As(err, &lag) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, expected who lags", err)
		}
		want := "example.: serial 3 is not served everywhere: 192.0.2.1:53 serves 1, 1m10s behind; " +
			"192.0.2.2:53 serves 1, 1m10s behind: timed out; 192.0.2.3:53 serves 1, 1m10s behind: it answers REFUSED"
		if err.Error() != want {
			t.Errorf("%v\nexpected\n%s", err, want)
		}
		tot := s.Totals(1)
		if tot.Lagging != 1 || tot.Secondaries != [4]int{InSync: 1, Behind: 3} || tot.Failing != 2 || len(tot.Worst) != 1 || tot.Worst[0].Behind != 3 || tot.Lag != 70*time.Second {
			t.Errorf("%+v", tot)
		}
		for _, p := range s.peers {
			p.set(func(p *peer) { p.isDown, p.rcode, p.serial = false, 0, 3 })
		}
		if err := s.wait(t, 3, 3*time.Second); err != nil {
			t.Errorf("all serve it again, and that takes more than 3 s to find out: %v", err)
		}
		if tot := s.Totals(1); tot.Lagging != 0 || tot.Secondaries[InSync] != 4 || tot.Lag != 0 {
			t.Errorf("%+v, expected all to be in sync", tot)
		}
	})
}

func TestWaitForWhatIsNotPublishedYet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 1, Options{})
		if err := s.wait(t, 1, time.Second); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v, expected that the zone is not known", err)
		}
		s.Publish(example, 1)
		if err := s.wait(t, 2, time.Second); err == nil || !strings.Contains(err.Error(), "192.0.2.1:53 serves 1") {
			t.Errorf("%v, expected that version 2 is nowhere", err)
		}
		s.peers[0].set(func(p *peer) { p.serial = 2 })
		done := make(chan error)
		go func() { done <- s.wait(t, 2, time.Minute) }()
		time.Sleep(time.Second)
		s.Publish(example, 2)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSerialsWrap: 5 is newer than 4294967295 (RFC 1982).
func TestSerialsWrap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 1, Options{})
		s.peers[0].set(func(p *peer) { p.serial = 1<<32 - 1 })
		s.Publish(example, 1<<32-1)
		if err := s.wait(t, 1<<32-1, time.Second); err != nil {
			t.Fatal(err)
		}
		s.Publish(example, 5)
		if err := s.wait(t, 5, time.Second); err == nil {
			t.Error("4294967295 passes for newer than 5")
		}
		s.peers[0].set(func(p *peer) { p.serial = 5 })
		if err := s.wait(t, 1<<32-1, time.Second); err != nil {
			t.Errorf("5 does not pass for newer than 4294967295: %v", err)
		}
	})
}

// TestSecondaryThatGoesBackIsNoticed: it was restarted with an old copy of the zone.
func TestSecondaryThatGoesBackIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 2, Options{})
		for _, p := range s.peers {
			p.set(func(p *peer) { p.serial = 7 })
		}
		s.Publish(example, 7)
		if err := s.wait(t, 7, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.peers[1].set(func(p *peer) { p.serial = 4 })
		time.Sleep(75 * time.Minute)
		synctest.Wait()
		got := s.State(example)[1]
		if got.Condition != Behind || got.Serial != 4 || got.WentBack.IsZero() || got.Lag < 75*time.Minute {
			t.Errorf("%+v, expected it to be behind since version 7", got)
		}
		if serial, ok := s.InSync(example); ok || serial != 4 {
			t.Errorf("all serve %d (%v), expected 4", serial, ok)
		}
		if last := s.events[len(s.events)-1]; !last.WentBack || last.Target.Addr != addr(2) {
			t.Errorf("the last event is %+v, expected the way back", last)
		}
		s.peers[1].set(func(p *peer) { p.serial = 7 })
		if err := s.wait(t, 7, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// TestIdleZonesAreLeftAlone: a secondary in sync is asked once an hour, and one that never answers less and less.
func TestIdleZonesAreLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 2, Options{})
		s.peers[1].set(func(p *peer) { p.isDown = true })
		s.Publish(example, 1)
		time.Sleep(24 * time.Hour)
		if n := s.peers[0].count(); n < 20 || n > 30 {
			t.Errorf("one in sync was asked %d times in a day", n)
		}
		if n := s.peers[1].count(); n < 30 || n > 80 {
			t.Errorf("one that is down was asked %d times in a day", n)
		}
		s.peers[1].mu.Lock()
		defer s.peers[1].mu.Unlock()
		if q := s.peers[1].queries; q[len(q)-1]-q[len(q)-2] < 40*time.Minute {
			t.Errorf("the last two questions to one that is down were %s apart", q[len(q)-1]-q[len(q)-2])
		}
	})
}

func TestZonesFromTheStartAreSpread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 1, Options{Spread: 10 * time.Minute})
		const n = 1000
		for i := range n {
			s.Load(zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.", i))), 1, time.Time{})
		}
		for minute := 1; minute <= 10; minute++ {
			time.Sleep(time.Minute)
			if asked := s.peers[0].count(); asked < n*(minute-1)/10-50 || asked > n*(minute+1)/10+50 {
				t.Errorf("after %d minutes %d zones were asked about, of %d", minute, asked, n)
			}
		}
		if tot := s.Totals(0); tot.Secondaries[InSync] != n || tot.Lagging != 0 {
			t.Errorf("%+v, expected %d in sync", tot, n)
		}
	})
}

// TestManyZonesChangeAtOnce: one server is down, the other one is asked about all zones nevertheless, within the bounds.
func TestManyZonesChangeAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 5000
		s := newScene(t, 2, Options{Most: 64, MostEach: 16})
		s.peers[0].set(func(p *peer) { p.isDown = true })
		for i := range n {
			s.Publish(zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.", i))), 1)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if tot := s.Totals(3); tot.Secondaries[InSync] != n || len(tot.Worst) != 3 {
			t.Errorf("%+v, expected %d in sync with the one that is up", tot, n)
		}
		s.net.mu.Lock()
		most := s.net.most
		s.net.mu.Unlock()
		if most > 32 {
			t.Errorf("%d questions at once, expected 16 to each server", most)
		}
		for i := range n {
			s.Forget(zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.", i))))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		c := s.core
		if len(c.zones)+len(c.servers)+len(c.timers)+len(c.lagging)+len(c.find)+c.flying > 0 {
			t.Errorf("%d zones, %d servers, %d timers, %d lagging, %d to find, %d flying are left", len(c.zones), len(c.servers), len(c.timers), len(c.lagging), len(c.find), c.flying)
		}
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, c := range []struct {
		why string
		set func(*peer)
	}{
		{"it answers SERVFAIL", func(p *peer) { p.rcode = dns.RCodeServFail }},
		{"it answers without authority (AA)", func(p *peer) { p.lame = true }},
		{"timed out", func(p *peer) { p.isDown = true }},
	} {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 1, Options{})
			s.peers[0].set(c.set)
			s.Publish(example, 1)
			time.Sleep(10 * time.Second)
			if got := s.State(example)[0]; got.Error != c.why || got.Condition != Unknown {
				t.Errorf("%+v, expected %q", got, c.why)
			}
		})
	}
}

// TestTCPWhereUDPFails: what is cut comes over TCP at once, and what is lost is asked for over TCP the next time.
func TestTCPWhereUDPFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 2, Options{})
		s.peers[0].set(func(p *peer) { p.cut = true })
		s.peers[1].set(func(p *peer) { p.deaf = true })
		s.Publish(example, 1)
		if err := s.wait(t, 1, 5*time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestQuestionsAreSigned(t *testing.T) {
	key := dns.TSIGKey{Name: dns.MustName("k."), Algorithm: dns.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}
	bubble(t, func(t *testing.T) {
		targets := []Target{{addr(1), key.Name}, {addr(2), key.Name}, {addr(3), dns.MustName("none.")}}
		s := newScene(t, 3, Options{
			Keys:    dns.Keys(key),
			Targets: func(context.Context, zone.ID) ([]Target, error) { return targets, nil },
		})
		s.peers[0].set(func(p *peer) { p.key = &key })
		s.Publish(example, 1)
		time.Sleep(10 * time.Second)
		got := s.State(example)
		if got[0].Condition != InSync || got[1].Error != errUnsigned.Error() || got[2].Error != errNoKey.Error() {
			t.Errorf("%+v", got)
		}
	})
}

// TestSecondariesChange: the list of a zone's secondaries follows its versions; those that stay are not asked anew.
func TestSecondariesChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		targets := []Target{{Addr: addr(1)}, {Addr: addr(2)}}
		var fail error
		s := newScene(t, 3, Options{Targets: func(context.Context, zone.ID) ([]Target, error) { return targets, fail }})
		s.Publish(example, 1)
		if err := s.wait(t, 1, time.Second); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		targets = []Target{{Addr: addr(2)}, {Addr: addr(3)}, {Addr: addr(3)}}
		asked := s.peers[1].count()
		s.Retarget()
		if err := s.wait(t, 1, time.Second); err != nil {
			t.Fatal(err)
		}
		got := s.State(example)
		if len(got) != 2 || got[0].Addr != addr(2) || got[1].Addr != addr(3) || s.peers[1].count() != asked {
			t.Errorf("%+v, expected the second and the third", got)
		}
		synctest.Wait()
		fail = errors.New("no")
		s.Publish(example, 1)
		if err := s.wait(t, 1, time.Second); err != nil || len(s.State(example)) != 2 {
			t.Errorf("what was known is forgotten when the look-up fails: %v", err)
		}
	})
}

func TestZoneWithoutSecondariesIsInSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newScene(t, 0, Options{})
		s.Publish(example, 9)
		if err := s.wait(t, 9, time.Second); err != nil {
			t.Error(err)
		}
		if serial, ok := s.InSync(example); serial != 9 || !ok {
			t.Errorf("%d, %v", serial, ok)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	good := (&peer{serial: 7}).answer
	m, err := dns.NewQuery(1, dns.Question{Name: example.Name, Type: dns.TypeSOA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good(nil, transport.UDP, m))
	f.Add(m)
	f.Add([]byte{0, 1, 0x84})
	key := dns.TSIGKey{Name: dns.MustName("k."), Algorithm: dns.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if serial, err := serialIn(msg, example); err != nil && serial != 0 {
			t.Errorf("%d and %v", serial, err)
		}
		if _, err := verified(slices.Clone(msg), key, []byte("mac")); err == nil && len(msg) > 3 && msg[3]&0xF == 0 {
			t.Errorf("%x passes for signed", msg)
		}
	})
}

// TestMemoryOfIdleZones: 100,000 zones at four secondaries are under 80 MB.
func TestMemoryOfIdleZones(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	const n = 100_000
	o := Options{Most: 256, MostEach: 32, Recheck: time.Hour, Spread: time.Minute}
	now := time.Unix(1e9, 0)
	c := newCore(o, now, func(n int64) int64 { return n / 2 })
	targets := []Target{{Addr: addr(1)}, {Addr: addr(2)}, {Addr: addr(3)}, {Addr: addr(4)}}
	ids := make([]zone.ID, n)
	for i := range ids {
		ids[i] = zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.example.", i)))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, id := range ids {
		c.publish(id, 1, now)
		c.nextSeek()
		c.targets(id, targets, true, now)
		for questions, _ := c.next(now); len(questions) > 0; questions, _ = c.next(now) {
			for _, q := range questions {
				c.answered(q, answer{serial: 1}, now)
			}
		}
		c.events = nil
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d octets a zone", each)
	if each > 800 {
		t.Errorf("%d octets a zone with four secondaries, expected 800 at most", each)
	}
	if out, wake := c.next(now.Add(time.Minute)); len(out) > 0 || wake.Sub(now) < 40*time.Minute {
		t.Errorf("%d questions within a minute, the next at %s: expected idle zones to be left alone", len(out), wake)
	}
}

// TestAlone: zones without secondaries are in sync at once, and nobody looks for secondaries of theirs until they may have some.
func TestAlone(t *testing.T) {
	alone, looked := true, make(chan zone.ID, 10)
	id := zone.IDOf("", dns.MustName("alone.example."))
	f := New(Options{
		Alone:   func(zone.ID) bool { return alone },
		Targets: func(_ context.Context, id zone.ID) ([]Target, error) { looked <- id; return nil, nil },
	})
	f.Load(id, 1, time.Now())
	f.Publish(id, 2)
	f.Retarget()
	if _, wake := f.core.next(time.Now()); len(f.core.find) > 0 || !wake.IsZero() {
		t.Errorf("secondaries of %d zones are looked for, and something is due at %v; expected nothing to do", len(f.core.find), wake)
	}
	if serial, ok := f.InSync(id); serial != 2 || !ok {
		t.Errorf("InSync = %d, %v; expected 2, true", serial, ok)
	}
	if err := f.Wait(t.Context(), id, 2); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	alone = false
	f.Retarget()
	if got := <-looked; got != id {
		t.Errorf("secondaries of %s are looked for, expected those of %s", got, id)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
