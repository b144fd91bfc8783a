package signing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// listens is a parent that looks at its child when the child says so, and at no other time.
const listens = "{ds: true, bootstrap: own, own: [ns1.child.test.], scan: 0s, interval: 0s, publish: ns.test., publish-port: ADDRPORT}"

// family is a parent and a child, both ours, and somebody who looks at them. The child has its zone since it was created.
type family struct {
	t             *testing.T
	parent, child *peers.Node
	settings      settings
	o             *onlooker
	changes       int
	isRefused     bool // a change may be
}

// found makes a family and measures how long it takes from the creation of the zone until a resolver has it validated.
func found(t *testing.T, policy string) *family {
	t.Helper()
	child := peers.NewNode(t, "")
	parent := newParent(t, child.Addr, listens)
	f := &family{t: t, parent: parent, child: child, settings: settings{policy: policy, parent: fmt.Sprintf(`{servers: ["%s"]}`, parent.Addr)}}
	child.Configure(t, replace(common)+"zones: {}\n")
	child.Write(t, "zone", fmt.Sprintf(childText, child.Addr.Addr()))
	child.Start(t, "be ready", func() bool { return strings.Contains(child.Log(), "msg=ready") })
	f.o = newOnlooker(t, parent.Addr, child.Addr)
	began := time.Now()
	child.Configure(t, f.settings.configuration())
	if _, err := child.Ctl.Reload(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	f.o.begin()
	await(t, "secure at the resolver", f.o.hasSeenSecure, f.explain)
	took := time.Since(began)
	t.Logf("from the creation of the zone to secure at the resolver: %v", took)
	if took > 10*time.Second { // the promise is 5 s; the machine may be busy with other tests
		t.Errorf("from the creation of the zone to secure at the resolver: %v, expected less than 5 s", took)
	}
	f.o.secure(f.explain)
	f.settle("settled")
	return f
}

func (f *family) explain() string { return explain(f.t, f.child)() + "\n" + f.parent.Tail() }

// settle waits until all is quiet again, and a step is done if it is said how that is seen. The authors change the zone meanwhile.
func (f *family) settle(what string, done ...func() bool) {
	f.t.Helper()
	took := await(f.t, what, func() bool {
		f.edit()
		if !isSettled(keysOf(f.t, f.child)) {
			return false
		}
		for _, d := range done {
			if !d() {
				return false
			}
		}
		return true
	}, f.explain)
	f.t.Logf("%s: %v", what, took)
	f.o.delv()
}

// edit adds a name to the zone, or takes one away.
func (f *family) edit() {
	f.t.Helper()
	m := new(dns.Msg)
	m.SetUpdate(childName)
	rr, err := dns.NewRR(fmt.Sprintf("n%d.child.test. 1 A 192.0.2.1", f.changes%7))
	if err != nil {
		f.t.Fatal(err)
	}
	if f.changes/7%2 == 0 {
		m.Insert([]dns.RR{rr})
	} else {
		m.RemoveName([]dns.RR{rr})
	}
	f.changes++
	client := dns.Client{Timeout: 10 * time.Second}
	r, _, err := client.Exchange(m, f.child.Addr.String())
	if err != nil || r.Rcode != dns.RcodeSuccess && !(f.isRefused && r.Rcode == dns.RcodeRefused) {
		f.t.Fatalf("a change: %v %v", r, err)
	}
}

// roll has keys rolled and waits for their successors.
func (f *family) roll(role string) {
	f.t.Helper()
	before := inUse(keysOf(f.t, f.child))
	do(f.t, f.child, control.KeyRequest{Do: "roll", Role: role})
	f.settle("rolling the "+role, func() bool {
		now := inUse(keysOf(f.t, f.child))
		return len(now) == len(before) && !slices.ContainsFunc(before, func(k string) bool {
			return strings.HasPrefix(strings.ToLower(k), role) && slices.Contains(now, k)
		})
	})
}

// follow gives the zone another policy, and waits until it is as that says.
func (f *family) follow(policy string, is func(control.KeysView) bool) {
	f.t.Helper()
	f.settings.policy = policy
	change(f.t, f.child, f.settings)
	f.settle(policy, func() bool { return is(keysOf(f.t, f.child)) })
}

func hasKeys(algorithm string, n int) func(control.KeysView) bool {
	return func(v control.KeysView) bool {
		now := inUse(v)
		return len(now) == n && !slices.ContainsFunc(now, func(k string) bool { return !strings.HasSuffix(k, algorithm) })
	}
}

// TestLifeOfKeys: a zone is created, its key becomes two, each is rolled, and in the end it is unsigned.
func TestLifeOfKeys(t *testing.T) {
	t.Parallel()
	f := found(t, quick)
	f.follow(quick+", keys: split", hasKeys("ECDSAP256SHA256", 2))
	f.roll("zsk")
	f.roll("ksk")
	f.unsign()
}

// unsign has the zone unsigned: the DS goes first, and everything else when no cache has that.
func (f *family) unsign() {
	f.t.Helper()
	f.o.mayBeInsecure()
	text := strings.Replace(f.settings.configuration(), "dnssec: quick", "dnssec: off", 1)
	f.child.Configure(f.t, text)
	reload(f.t, f.child)
	await(f.t, "unsigned", func() bool {
		f.edit()
		// Asked in this order: what is gone at the child now was gone at the parent before.
		isUnsigned := len(lookup(f.child.Addr, childName, dns.TypeDNSKEY)) == 0
		if isUnsigned && len(signedBy(f.parent.Addr)) > 0 {
			f.t.Fatal("the keys are gone, and the parent has a DS")
		}
		return isUnsigned
	}, f.explain)
	f.o.insecure(f.explain)
	if v := keysOf(f.t, f.child); v.State != "unsigned" || len(inUse(v)) > 0 {
		f.t.Errorf("in the end the zone is %s, with keys %v", v.State, inUse(v))
	}
}

// TestLifeOfAlgorithm: the one key is rolled, then its algorithm, and the end comes by a policy that has another one.
func TestLifeOfAlgorithm(t *testing.T) {
	slow(t)
	t.Parallel()
	f := found(t, quick)
	f.roll("csk")
	f.follow(quick+", algorithm: ed25519", hasKeys("ED25519", 1))
	f.unsign()
}

// TestLifeOfDenial: the way to prove that something does not exist changes from each to the next.
func TestLifeOfDenial(t *testing.T) {
	slow(t)
	t.Parallel()
	f := found(t, quick)
	for _, denial := range []string{"nsec3-opt-out", "compact", "nsec3", "nsec", "compact", "nsec"} {
		words, began := strings.Replace(denial, "-opt-out", ", opt-out", 1), time.Now()
		f.follow(quick+", denial: "+denial, func(v control.KeysView) bool {
			return v.Denial == words && time.Since(began) > 2*time.Second // all that caches have is of the new kind
		})
	}
}
