package signing

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// loseKey stops the child, takes away the private half of its key of a role, and starts it again.
func (f *family) loseKey(role string) (tag uint16) {
	f.t.Helper()
	id := ""
	for _, k := range keysOf(f.t, f.child).Keys {
		if k.Role == role && k.Phase == "active" {
			id, tag = k.ID, k.Tag
		}
	}
	f.child.End(f.t, syscall.SIGTERM)
	removed := 0
	err := filepath.WalkDir(f.child.Path("data/keys"), func(path string, _ os.DirEntry, err error) error {
		if err == nil && id != "" && strings.Contains(filepath.Base(path), id) {
			removed++
			err = os.Remove(path)
		}
		return err
	})
	if err != nil || removed == 0 {
		f.t.Fatalf("the key %q has no file: %v", id, err)
	}
	start(f.t, f.child, childName)
	return tag
}

// tells waits until `onoma zone keys` says something.
func tells(t *testing.T, n *peers.Node, words ...string) string {
	t.Helper()
	text := ""
	await(t, strings.Join(words, ", "), func() bool {
		text = strings.Join(said(keysOf(t, n)), "\n")
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}, explain(t, n))
	return text
}

// TestZSKIsLost: the file of the ZSK is gone, and the server mends that alone: the zone is secure throughout.
func TestZSKIsLost(t *testing.T) {
	slow(t)
	t.Parallel()
	f := found(t, quick+", keys: split")
	f.o.pause()
	lost := f.loseKey("ZSK")
	f.o.resume()
	isMended := func() bool {
		v := keysOf(t, f.child)
		return len(inUse(v)) == 2 && !strings.Contains(strings.Join(inUse(v), "\n"), fmt.Sprintf("ZSK %d ", lost))
	}
	await(t, "a new ZSK", isMended, f.explain) // until it is found that the key is gone, changes are refused
	f.settle("mended", isMended, f.isQuiet)
}

// isQuiet: nothing is wrong.
func (f *family) isQuiet() bool { return len(keysOf(f.t, f.child).Alarms) == 0 }

// TestCSKIsLost: the one key is gone, and nothing can be signed anew. What is signed stays as it is, and is told to the operator
// with the way out: when the DS is gone from the parent a new key takes over, and the zone is secure again.
func TestCSKIsLost(t *testing.T) {
	slow(t)
	t.Parallel()
	f := found(t, quick)
	f.o.pause()
	lost := f.loseKey("CSK")
	f.o.resume()
	text := tells(t, f.child, fmt.Sprintf("CSK %d", lost), "is lost", "removed from the parent")
	t.Logf("the operator reads:\n%s", text)
	time.Sleep(1500 * time.Millisecond) // all caches are of after the accident
	f.o.delv()
	f.o.mayBeInsecure()
	s := &script{t: t, at: f.parent.Addr}
	s.nsupdate("update delete child.test. DS\n")
	await(t, "a new key", func() bool {
		now := inUse(keysOf(t, f.child))
		return len(now) == 1 && !strings.HasPrefix(now[0], fmt.Sprintf("CSK %d ", lost))
	}, f.explain)
	f.isRefused = true // in the moment of change
	f.settle("settled with a new key", f.isQuiet)
	f.isRefused = false
	f.edit()
	f.o.secure(f.explain)
}

// TestDSRemovedByForce: somebody takes the DS away from BIND as the parent. The zone is insecure, and the operator is told. A
// rollover that somebody wants now takes nothing away. With the DS back all is well.
func TestDSRemovedByForce(t *testing.T) {
	slow(t)
	t.Parallel()
	peers.Need(t, peers.BIND.Binary)
	peers.Need(t, "nsupdate")
	addr := peers.BIND.Addr(t)
	child := newChild(t, settings{policy: quick, parent: fmt.Sprintf(`{servers: ["%s"]}`, addr)})
	parent := peers.BIND.StartSignedParent(t, writeZone(t, parentName, fmt.Sprintf(parentText, addr.Addr(), child.Addr.Addr())), addr, dsKey)
	o := look(t, parent.Addr, child.Addr)
	s := &script{t: t, at: addr}
	var wanted []string
	await(t, "a DS to be wanted", func() bool { wanted = keysOf(t, child).DS; return wanted != nil }, explain(t, child))
	tells(t, child, "its DS is to come to the parent: 0 of 1 servers have it")
	s.add(wanted)
	o.secure(explain(t, child))
	await(t, "settled", func() bool { return isSettled(keysOf(t, child)) }, explain(t, child))
	o.mayBeInsecure()
	s.nsupdate("update delete child.test. DS\n")
	do(t, child, control.KeyRequest{Do: "look"})
	o.insecure(explain(t, child))
	t.Logf("the operator reads:\n%s", tells(t, child, "removed", "DS"))
	if v := keysOf(t, child); v.State != "signed" || len(v.DS) == 0 {
		t.Errorf("the zone is %s, and asks for %q", v.State, v.DS)
	}
	s.add(wanted)
	do(t, child, control.KeyRequest{Do: "look"})
	o.secure(explain(t, child))
	await(t, "no alarm", func() bool {
		v := keysOf(t, child)
		return isSettled(v) && len(v.Alarms) == 0 && v.Parent.Condition == "secure"
	}, explain(t, child))
}

// TestParentIsDeaf: a parent that does nothing of what it is asked for. The key in use stays, however long; the zone is secure.
func TestParentIsDeaf(t *testing.T) {
	slow(t)
	t.Parallel()
	peers.Need(t, peers.Knot.Binary)
	peers.Need(t, "nsupdate")
	addr := peers.Knot.Addr(t)
	child := newChild(t, settings{policy: quick, parent: fmt.Sprintf(`{servers: ["%s"]}`, addr)})
	parent := peers.Knot.StartSignedParent(t, writeZone(t, parentName, fmt.Sprintf(parentText, addr.Addr(), child.Addr.Addr())), addr, dsKey)
	o := look(t, parent.Addr, child.Addr)
	s := &script{t: t, at: addr}
	var wanted []string
	await(t, "a DS to be wanted", func() bool { wanted = keysOf(t, child).DS; return wanted != nil }, explain(t, child))
	s.add(wanted)
	o.secure(explain(t, child))
	await(t, "settled", func() bool { return isSettled(keysOf(t, child)) }, explain(t, child))
	first := inUse(keysOf(t, child))
	do(t, child, control.KeyRequest{Do: "roll"})
	t.Logf("the operator reads:\n%s", tells(t, child, "its DS is to come to the parent: 0 of 1 servers have it"))
	time.Sleep(2 * time.Second) // whatever is to be taken away too early is gone from all caches then
	if tags := sepKeys(child.Addr); len(tags) != 2 {
		t.Errorf("keys with SEP: %v, expected the old one and the new one", tags)
	}
	o.delv()
	s.nsupdate("update delete child.test. DS\n" + s.lines(keysOf(t, child).DS))
	rolled(t, child, first)
}
