package signing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// TestKilledWhileRolling: the server is killed at random moments of a rollover of its algorithm, and goes on where it was. What is
// published has been on the disk before, so that nobody ever sees keys that the server does not know of any more.
func TestKilledWhileRolling(t *testing.T) {
	slow(t)
	t.Parallel()
	f := found(t, quick)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(5, seed))
	t.Logf("seed %d", seed)
	f.settings.policy = quick + ", algorithm: ed25519, keys: split"
	change(t, f.child, f.settings)
	for range 6 {
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		f.o.pause()
		f.child.End(t, os.Kill)
		start(t, f.child, childName)
		f.o.resume()
	}
	f.settle("the next algorithm", func() bool { return hasKeys("ED25519", 2)(keysOf(t, f.child)) }, f.isQuiet)
	if n := len(keysOf(t, f.child).Keys); n != 3 {
		t.Errorf("%d keys were made for two roles and the one that went; some are made again at each start:%s", n, f.explain())
	}
}

// TestSecondaryIsStopped: one of two secondaries stands still while the ZSK is rolled. The rollover waits for it, and tells so.
// Unbound asks that secondary.
func TestSecondaryIsStopped(t *testing.T) {
	slow(t)
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	peers.Need(t, peers.NSD.Binary)
	child := peers.NewNode(t, "")
	from := peers.Primary{Addr: child.Addr}
	knot := peers.Knot.StartSecondary(t, []string{childName}, peers.Knot.Addr(t), from)
	nsd := peers.NSD.StartSecondary(t, []string{childName}, peers.NSD.Addr(t), from)
	parent := newParent(t, knot.Addr, listens)
	s := settings{
		policy: quick + ", keys: split", parent: fmt.Sprintf(`{servers: ["%s"]}`, parent.Addr),
		more: fmt.Sprintf("notify: [%q, %q]", knot.Addr, nsd.Addr),
	}
	child.Configure(t, s.configuration())
	child.Write(t, "zone", fmt.Sprintf(childText, knot.Addr.Addr()))
	start(t, child, childName)
	await(t, "the zone at Knot", func() bool { return knot.Serves(childName) }, knot.Log)
	o := look(t, parent.Addr, knot.Addr)
	o.secure(explain(t, child))
	await(t, "settled", func() bool { return isSettled(keysOf(t, child)) }, explain(t, child))
	first := inUse(keysOf(t, child))

	o.pause()
	if err := syscall.Kill(knot.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	do(t, child, control.KeyRequest{Do: "roll", Role: "zsk"})
	t.Logf("the operator reads:\n%s", tells(t, child, "wait until all servers have it"))
	time.Sleep(4 * time.Second) // all that is not waited for happens meanwhile
	if now := inUse(keysOf(t, child)); !slices.Equal(now, first) {
		t.Errorf("in use: %v, expected %v for as long as a secondary has not followed", now, first)
	}
	if err := syscall.Kill(knot.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	o.resume()
	await(t, "another ZSK", func() bool {
		v := keysOf(t, child)
		now := strings.Join(inUse(v), " ")
		return isSettled(v) && strings.Contains(now, first[0]) != strings.Contains(now, first[1])
	}, explain(t, child), knot.Log)
	o.delv()
}
