package signer

import (
	"testing"

	"onoma/signer/keys"
)

// TestGuardOfOneWhoHangs: who tends a zone waits for something that never comes; the zone is not served with signatures that
// have expired, and is served again once it is signed.
func TestGuardOfOneWhoHangs(t *testing.T) {
	r := newRig(t, Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(3 * day)
	r.s.busy.Lock() // for ever, as far as the others know
	r.now = r.now.Add(5 * day)
	r.k.guardAll()
	if r.z.Current() == nil {
		t.Fatal("the zone is withdrawn although its signatures are good")
	}
	r.now = r.now.Add(20 * day)
	r.k.guardAll()
	if r.z.Current() != nil {
		t.Fatal("the zone is served with signatures that have expired")
	}
	r.s.busy.Unlock()
	r.pass(day)
	if r.z.Current() == nil {
		t.Errorf("the zone is signed, and not served:\n%s", r.explain())
	}
}
