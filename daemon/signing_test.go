package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/dns/dnssec/keyfile"
	"onoma/store"
	"onoma/transport"
	"onoma/zone"
	"onoma/zone/sign"
)

// hints is a root that nobody answers at: no DS is anywhere, as far as is known.
const hints = "lookups: {root-hints: DIR/root.hints, port: 9}\n"

// by is policies whose steps take no time.
const by = hints + `policies:
  default: {key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, ds: by-hand}
  nsec: {key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, ds: by-hand}
  nsec3: {denial: nsec3, key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, ds: by-hand}
  compact: {denial: compact, key-ttl: 1s, publish-safety: 0s, retire-safety: 0s, ds: by-hand}
`

func signedRig(t *testing.T, text string) *rig {
	t.Helper()
	return newRig(t, text, "a")
}

// restart ends the daemon and starts another one in its directory.
func (r *rig) restart(between func()) {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	between()
	r.begin(nil)
}

// begin starts a daemon in the directory, by the clock wall.
func (r *rig) begin(wall func() time.Time) {
	r.t.Helper()
	load := func() (*config.Config, error) {
		return config.Load(filepath.Join(r.dir, "onoma.yaml"), config.Options{})
	}
	conf, err := load()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.Daemon, err = New(r.t.Context(), Options{Config: conf, Load: load, writeAfter: time.Millisecond, wall: wall}); err != nil {
		r.t.Fatal(err)
	}
	r.Start(context.WithoutCancel(r.t.Context()))
}

// until waits for something to be so.
func (r *rig) until(what string, so func() error) {
	r.t.Helper()
	var err error
	for range 2000 {
		if err = so(); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("%s: %v", what, err)
}

// is waits for a zone to be served with a denial, and to be good in itself; "": unsigned.
func (r *rig) is(id zone.ID, denial string) {
	r.t.Helper()
	r.until("the zone is to have denial "+denial, func() error {
		v := r.pipe.Zone(id).Current()
		if v == nil {
			return fmt.Errorf("it is not served")
		}
		got := map[zone.Denial]string{zone.DenialNSEC: "nsec", zone.DenialNSEC3: "nsec3", zone.DenialCompact: "compact"}[v.Denial()]
		if got != denial {
			return fmt.Errorf("it has %q", got)
		}
		if denial == "" {
			return nil
		}
		for _, f := range sign.Verify(v, sign.VerifyOptions{At: time.Now(), Compact: denial == "compact"}) {
			if f.Severity == zone.Error {
				return fmt.Errorf("it is wrong: %s", f)
			}
		}
		return nil
	})
}

// denies asks for a name that does not exist, and looks whether the answer is signed, by signatures that are good now.
func (r *rig) denies(name string) error {
	query := dns.NewQuery(1, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false)
	query.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	q, err := query.Append(nil)
	if err != nil {
		return err
	}
	from := netip.MustParseAddrPort("127.0.0.1:4000")
	m, err := dns.ParseMessage(r.NewWorker().Answer(nil, transport.NewQuery(q, from, netip.MustParseAddrPort("127.0.0.1:53"), transport.TCP, nil)))
	if err != nil {
		return err
	}
	nsec, sigs := 0, 0
	for _, rec := range m.Authority {
		switch rec.Type {
		case dns.TypeNSEC, dns.TypeNSEC3:
			nsec++
		case dns.TypeRRSIG:
			sigs++
			s, err := dns.ParseRRSIG(rec.Data)
			if now := uint32(time.Now().Unix()); err != nil || int32(now-s.Inception) < 0 || int32(s.Expiration-now) < 0 {
				return fmt.Errorf("%s: a signature is good from %d to %d, and it is %d: %v", name, s.Inception, s.Expiration, now, err)
			}
		}
	}
	if m.RCode == dns.RCodeServFail || nsec == 0 || sigs <= nsec {
		return fmt.Errorf("%s: %v with %d proofs and %d signatures", name, m.RCode, nsec, sigs)
	}
	return nil
}

// TestDenialChanges: whichever way from one denial to another a reload asks for, no answer in between is without its proof.
func TestDenialChanges(t *testing.T) {
	zoneOf := func(policy string) string {
		return by + "zones:\n  a.example: {file: DIR/a, new: true, dnssec: " + policy + "}\n"
	}
	r := signedRig(t, zoneOf("nsec"))
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	stop, wrong := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(wrong)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := r.denies(fmt.Sprintf("nobody%d.a.example.", n)); err != nil {
				wrong <- err
				return
			}
		}
	}()
	for _, policy := range []string{"nsec3", "compact", "nsec", "compact", "nsec3", "nsec"} {
		if done := r.reload(zoneOf(policy)); len(done.Changes) == 0 {
			t.Error("the reload changes nothing")
		}
		r.is(id, policy)
	}
	close(stop)
	if err := <-wrong; err != nil {
		t.Error(err)
	}
}

// TestCompactAfterARestart: answers are signed as soon as there are any.
func TestCompactAfterARestart(t *testing.T) {
	r := signedRig(t, by+"zones:\n  a.example: {file: DIR/a, new: true, dnssec: compact}\n")
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "compact")
	r.until("the first answer", func() error { return r.denies("nobody.a.example.") })
	r.restart(func() {})
	if err := r.denies("nobody2.a.example."); err != nil {
		t.Error(err)
	}
}

// TestCompactWithoutABattery: a machine that does not know the year when it starts gives answers that are good for those who do.
func TestCompactWithoutABattery(t *testing.T) {
	r := signedRig(t, by+"zones:\n  a.example: {file: DIR/a, new: true, dnssec: compact}\n")
	r.is(zone.IDOf("", dns.MustName("a.example.")), "compact")
	r.until("the first answer", func() error { return r.denies("nobody.a.example.") })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	off := time.Since(time.Unix(60, 0))
	r.begin(func() time.Time { return time.Now().Add(-off) })
	if err := r.denies("nobody2.a.example."); err != nil {
		t.Error(err)
	}
}

// TestSigningComesAndGoes: a zone that is signed goes unsigned at the pace of caches, and comes back.
func TestSigningComesAndGoes(t *testing.T) {
	zoneOf := func(policy string) string {
		return by + "zones:\n  a.example: {file: DIR/a, dnssec: " + policy + "}\n"
	}
	text := "$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\n"
	r := signedRig(t, zoneOf("off"))
	r.write("a", text)
	r.files.Reload(t.Context())
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "")
	for _, s := range []struct{ policy, denial string }{{"nsec", "nsec"}, {"off", ""}, {"compact", "compact"}, {"off", ""}} {
		r.reload(zoneOf(s.policy))
		r.is(id, s.denial)
	}
}

// TestZoneComesBack: a zone that the configuration has no more keeps its keys, and is signed by them when it is back.
func TestZoneComesBack(t *testing.T) {
	const with = by + "zones:\n  a.example: {file: DIR/a, new: true, dnssec: nsec}\n"
	r := signedRig(t, with)
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	keysOf := func() (tags []string) {
		set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeDNSKEY)
		for data := range set.RData() {
			tags = append(tags, dns.RData(data).Text(dns.TypeDNSKEY))
		}
		return tags
	}
	before := strings.Join(keysOf(), " ")
	r.reload(by)
	r.expect("www.a.example.", "REFUSED")
	r.reload(with)
	r.is(id, "nsec")
	if after := strings.Join(keysOf(), " "); after != before {
		t.Errorf("its keys are\n%s\nand were\n%s", after, before)
	}
}

// TestUnsignableZoneStays: where a zone cannot be signed any more, what comes is refused, rather than served without signatures.
func TestUnsignableZoneStays(t *testing.T) {
	const with = by + "zones:\n  a.example: {file: DIR/a, new: true, dnssec: nsec}\n"
	r := signedRig(t, with)
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	row, _ := r.pipe.Row(id)
	r.restart(func() {
		r.file("a", 9)
		s, err := store.Open(t.Context(), storeURL(r.conf.Load()), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.SetState(t.Context(), []store.ZoneState{{Zone: row, What: keyState, Data: []byte(`{"format": 99}`)}}), s.Close()); err != nil {
			t.Fatal(err)
		}
	})
	r.is(id, "nsec")
	r.expect("www.a.example.", "192.0.2.1")
	d, err := r.detail(t.Context(), id)
	if err != nil || !strings.Contains(d.Reason, "cannot be signed") {
		t.Errorf("its state is %s: %q (%v)", d.State, d.Reason, err)
	}
}

// write replaces a file.
func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// TestCSYNC: a zone whose name servers change says so to its parent, until they change again, and for as long as its author says
// nothing of it.
func TestCSYNC(t *testing.T) {
	const text = "$TTL 1\n@ SOA ns hostmaster %d 3600 600 86400 1\n@ NS ns\nns A 192.0.2.%d\nwww A 192.0.2.1\n"
	r := signedRig(t, by+"zones:\n  a.example: {file: DIR/a, new: true, dnssec: nsec, parent: {csync: true}}\n")
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	csync := func() string {
		set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeCSYNC)
		if set.IsZero() {
			return ""
		}
		c, err := dns.ParseCSYNC(set.First())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(slices.Collect(c.Types.All()))
	}
	if got := csync(); got != "" {
		t.Errorf("nothing has changed, and there is CSYNC %s", got)
	}
	for n, content := range []string{fmt.Sprintf(text, 5, 54), fmt.Sprintf(text, 6, 54) + "mail A 192.0.2.7\n"} {
		r.write("a", content)
		r.files.Reload(t.Context())
		r.until("CSYNC", func() error {
			if got := csync(); got != "[A NS AAAA]" {
				return fmt.Errorf("version %d has CSYNC %q", n, got)
			}
			return nil
		})
		r.is(id, "nsec")
	}
}

// TestKeysFrom: a zone that BIND has signed goes on with the same keys; without them it is not served at all, rather than bogus.
func TestKeysFrom(t *testing.T) {
	const with = by + "zones:\n  a.example: {file: DIR/a, dnssec: nsec, keys-from: DIR}\n"
	r := signedRig(t, with)
	r.expect("www.a.example.", "SERVFAIL")
	if l := r.line(r.zones.get(zone.IDOf("", dns.MustName("a.example.")))); !strings.Contains(l.Alarm, "keys of a.example.") {
		t.Errorf("the list says %+v, and nothing of the keys that are missing", l)
	}
	k, err := dnssec.GenerateKey(rand.Reader, dnssec.ECDSAP256SHA256, 0, dns.DNSKEYZone|dns.DNSKEYSEP)
	if err != nil {
		t.Fatal(err)
	}
	private, err := keyfile.AppendPrivate(nil, &keyfile.Private{Algorithm: k.Algorithm(), Signer: k.Private()})
	if err != nil {
		t.Fatal(err)
	}
	base := fmt.Sprintf("Ka.example.+013+%05d", k.Tag())
	r.write(base+".private", string(private))
	r.write(base+".key", string(keyfile.AppendPublic(nil, &keyfile.Public{Name: dns.MustName("a.example."), Key: k.DNSKEY()})))
	r.reload(with)
	id := zone.IDOf("", dns.MustName("a.example."))
	r.is(id, "nsec")
	r.restart(func() {})
	r.is(id, "nsec")
	set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeDNSKEY)
	if set.Count() != 1 || string(set.First()) != string(k.RData()) {
		t.Errorf("it is signed by %d keys, among them %s", set.Count(), dns.RData(set.First()).Text(dns.TypeDNSKEY))
	}
	r.write("a", "$TTL 1\n@ SOA ns hostmaster 7 3600 600 86400 1\n@ NS ns\nns A 192.0.2.54\n")
	r.files.Reload(t.Context())
	r.is(id, "nsec")
}

// TestViewIsRenamed: the parent knows nothing of views, so a zone keeps its keys where its view gets another name.
func TestViewIsRenamed(t *testing.T) {
	in := func(view string) string {
		return by + "views:\n  " + view + ": {match: any, zones: {a.example: {file: DIR/a, new: true, dnssec: nsec}}}\n"
	}
	r := signedRig(t, in("one"))
	keysOf := func(view string) string {
		id := zone.IDOf(view, dns.MustName("a.example."))
		r.is(id, "nsec")
		set, _ := r.pipe.Zone(id).Current().Apex().RRset(dns.TypeDNSKEY)
		return dns.RData(set.First()).Text(dns.TypeDNSKEY)
	}
	key := keysOf("one")
	for _, view := range []string{"two", "one", "three"} {
		r.reload(in(view))
		if got := keysOf(view); got != key {
			t.Errorf("in view %s it has the key %s, and had %s", view, got, key)
		}
	}
	r.reload(by + "zones:\n  a.example: {file: DIR/a, new: true, dnssec: nsec}\n")
	if got := keysOf(""); got != key {
		t.Errorf("without views it has the key %s, and had %s", got, key)
	}
}
