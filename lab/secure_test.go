package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/console"
	"onoma/dns"
	"onoma/inspect"
	"onoma/resolver/validator"
	"onoma/transport"
)

// outside is a validator as anybody may have one: it has the lab's files, and asks
// the lab's resolver over the network.
func outside(t *testing.T, l *Lab) *validator.Validator {
	t.Helper()
	anchors, err := validator.ReadAnchors(l.State().TrustAnchor)
	if err != nil {
		t.Fatal(err)
	}
	return validator.New(validator.Options{Anchors: anchors, Fetch: func(ctx context.Context, q dns.Question) (*dns.Message, error) {
		ask := inspect.Query{
			Env: &inspect.Network{}, Servers: []netip.AddrPort{l.State().Resolver}, Question: q, Recurse: true, CD: true,
			EDNS: &dns.EDNS{UDPSize: 1232, DO: true}, Timeout: 10 * time.Second, Tries: 2,
		}
		r, err := ask.Ask(ctx)
		if err != nil {
			return nil, err
		}
		return r.Message, nil
	}})
}

func look(t *testing.T, v *validator.Validator, name string, typ dns.Type) string {
	t.Helper()
	r, err := v.Look(t.Context(), dns.MustName(name), typ)
	if err != nil {
		return err.Error()
	}
	return r.Status.String()
}

// TestChains: every zone of a new lab is as it should be, seen from outside.
func TestChains(t *testing.T) {
	t.Parallel()
	l := shared(t)
	want := map[string]string{
		"root-servers.net.": "insecure", "cloudfront.net.": "insecure", "edge-network.dev.": "insecure", // by the lists
		"amphora.dev.": "insecure", "half-lame.org.": "insecure", // at two providers
		"dried-ink.org.": "bogus",
	}
	v, n := outside(t, l), 0
	for _, op := range l.operators {
		for _, z := range op.zoneNames() {
			n++
			expected := "secure"
			if e, ok := want[z.String()]; ok {
				expected = e
			}
			if got := look(t, v, z.String(), dns.TypeSOA); got != expected {
				r, _ := v.Look(t.Context(), z, dns.TypeSOA)
				t.Errorf("%s is %s, expected %s: %s", z, got, expected, r.Why)
			}
		}
	}
	if n < 33 {
		t.Errorf("only %d zones were looked at", n)
	}
	for _, c := range []struct {
		name string
		typ  dns.Type
		want string
	}{
		{"www.thedns.guru.", dns.TypeA, "secure"},
		{"nobody.guru.", dns.TypeA, "secure"},
		{"nobody.papyrus.org.", dns.TypeA, "secure"},
		{"nobody.labyrinth.guru.", dns.TypeTXT, "secure"},
		{"bull.crete.labyrinth.guru.", dns.TypeTXT, "secure"},
		{"10.25.18.198.in-addr.arpa.", dns.TypePTR, "secure"},
		{"de.", dns.TypeDS, "secure"},
		{"www.palettepalapp.com.", dns.TypeA, "insecure"},
		{"www.dried-ink.org.", dns.TypeA, "bogus"},
	} {
		if got := look(t, v, c.name, c.typ); got != c.want {
			t.Errorf("%s %s is %s, expected %s", c.name, c.typ, got, c.want)
		}
	}
}

// TestPageShowsSecurity: what the page draws is what a validator says.
func TestPageShowsSecurity(t *testing.T) {
	t.Parallel()
	l := shared(t)
	marks := map[string]string{}
	for _, o := range l.Topology().Providers {
		for i, z := range o.Zones {
			marks[z] = o.Security[i]
		}
	}
	for z, want := range map[string]string{"thedns.guru.": "secure", "amphora.dev.": "insecure", "dried-ink.org.": "bogus", "αγορά.com.": "secure"} {
		if marks[z] != want {
			t.Errorf("%s is drawn as %q, expected %q", z, marks[z], want)
		}
	}
	a, err := l.Ask(t.Context(), "www.dried-ink.org", "A")
	if err != nil || a.Security != "bogus" || !strings.Contains(a.Why, "expired") {
		t.Errorf("an answer with old signatures is %q, because %q (%v)", a.Security, a.Why, err)
	}
	for name, want := range map[string]string{"www.thedns.guru": ">thedns.guru is secure<", "www.dried-ink.org": ">dried-ink.org is broken: ", "nobody.example": "the root is secure<"} {
		if picture, err := l.Chain(t.Context(), name); err != nil || !strings.Contains(string(picture), want) {
			t.Errorf("%s: the picture of its chain does not say %s (%v):\n%s", name, want, err, picture)
		}
	}
}

// awaitSecurity waits until a zone stands as it should.
func awaitSecurity(t *testing.T, l *Lab, zone, what string, is func(Security) bool) time.Duration {
	t.Helper()
	began := time.Now()
	var s Security
	for time.Since(began) < 20*time.Second {
		var err error
		if s, err = l.Security(t.Context(), zone); err != nil {
			t.Fatal(err)
		}
		if is(s) {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	n := dns.MustName(zone)
	for _, op := range l.operators {
		if v, ok := l.signing.parents.watcher.State(op.id(n)); ok {
			t.Logf("%s sees the parent so: %v, told %+v", op.name, v.Condition, v.Told)
		}
		if r := l.signing.desk.State(op.id(n.Parent()), n).Last; r != nil {
			t.Logf("%s has looked: %+v", op.name, r.DS)
		}
	}
	t.Fatalf("%s is not %s: %+v", zone, what, s)
	return 0
}

func isSecure(s Security) bool { return s.Status == "secure" }

// TestRegisteredDomainIsSecure: from the registrar's panel to a validator that finds
// it secure, without a hand: the provider signs, signals and notifies, the registry
// looks at both servers over TCP.
func TestRegisteredDomainIsSecure(t *testing.T) {
	t.Parallel()
	l := playground(t)
	ch := l.Subscribe(t.Context())
	name := fmt.Sprintf("swift-%d", time.Now().UnixNano())
	for _, c := range []Registration{
		{Name: name + ".guru", NS: []string{"ns1.acropolis-dns.net", "ns2.acropolis-dns.org"}},
		{Name: name + ".com", NS: []string{"ns1.meltemi-dns.com", "ns2.meltemi-dns.app"}},
		{Name: name + ".org", NS: []string{"ns-123.awsdns-45.org", "ns-456.awsdns-78.com"}},
	} {
		began := time.Now()
		must(t)(l.Register(t.Context(), c))
		signed := awaitSecurity(t, l, c.Name, "signed", func(s Security) bool { return len(s.Signers) > 0 })
		awaitSecurity(t, l, c.Name, "known to the parent", func(s Security) bool { return len(s.DS) > 0 })
		told := time.Since(began)
		awaitSecurity(t, l, c.Name, "secure", isSecure)
		took := time.Since(began)
		t.Logf("%s: signed after %v, DS at the parent after %v, secure after %v", c.Name, signed, told, took)
		if took > 5*time.Second {
			t.Errorf("%s was secure after %v, expected less than 5 s", c.Name, took)
		}
		if got := look(t, outside(t, l), c.Name+".", dns.TypeSOA); got != "secure" {
			t.Errorf("from outside %s is %s", c.Name, got)
		}
	}
	var notified, asked []string
	for {
		select {
		case e := <-ch:
			switch {
			case e.Name != name+".guru.":
			case len(e.Records) > 0 && strings.HasPrefix(e.Records[0], "NOTIFY"):
				notified = append(notified, e.From.Name+" to "+e.To.Name)
			case e.From.Name == "registry" && e.Type == "CDS" && e.To.Role == console.RoleAuthority:
				asked = append(asked, e.To.Name)
			}
			continue
		default:
		}
		break
	}
	slices.Sort(asked)
	if diff := cmp.Diff([]string{"ns1.acropolis-dns.net. to a.nic.guru."}, slices.Compact(notified)); diff != "" {
		t.Errorf("NOTIFY went (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ns1.acropolis-dns.net.", "ns2.acropolis-dns.org."}, slices.Compact(asked)); diff != "" {
		t.Errorf("the registry has asked (-want +got):\n%s", diff)
	}
}

// TestDSFollowsTheProvider: it stays where the provider stays, and goes where the
// keys would be others; the new provider's comes by itself.
func TestDSFollowsTheProvider(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	ctx := t.Context()
	ds := func() string { return strings.Join(l.parentDS(dns.MustName("papyrus.org")), ", ") }
	before := ds()
	must(t)(l.Register(ctx, Registration{Name: "papyrus.org", NS: []string{"ns2.meltemi-dns.app"}}))
	if before == "" || ds() != before {
		t.Errorf("at the same provider the DS is %q, was %q", ds(), before)
	}
	must(t)(l.Register(ctx, Registration{Name: "papyrus.org", NS: []string{"ns1.example.com", "ns2.example.com"}}))
	if ds() != "" {
		t.Errorf("at another provider the DS is %q, of a key that is not there", ds())
	}
	must(t)(l.Record(ctx, RecordChange{Name: "papyrus.org", Type: "A", Data: "198.18.3.77"}))
	awaitSecurity(t, l, "papyrus.org", "secure at the new provider", isSecure)
	if ds() == before {
		t.Error("the DS is still the old provider's")
	}

	must(t)(l.Register(ctx, Registration{Name: "papyrus.org", Delete: true}))
	must(t)(l.Register(ctx, Registration{Name: "papyrus.org", NS: []string{"ns1.example.com", "ns2.example.com"}}))
	awaitSecurity(t, l, "papyrus.org", "secure after it was deleted and registered again", isSecure)
}

// TestServersWithinTheDomain: nobody else can vouch for such a domain, so its keys have
// to be the same for a while (RFC 8078 §3.3).
func TestServersWithinTheDomain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{Dir: dir, Port: uint16(20000 + rand.IntN(10000)), Octet: testOctet(dir), hold: time.Second}
	l, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.operatorNamed("acropolis").addrs[0].String()
	text := "$TTL 30\n@ SOA ns hostmaster 1 7200 900 1209600 5\n@ NS ns\nns A " + at + "\n"
	if err := os.WriteFile(filepath.Join(dir, "zones", "acropolis", "vanity.com.zone"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	must(t)(l.Register(t.Context(), Registration{Name: "vanity.com", NS: []string{"ns.vanity.com"}, Glue: []string{"ns.vanity.com=" + at}}))
	awaitSecurity(t, l, "vanity.com", "secure", isSecure)
	if took := time.Since(began); took < cfg.hold {
		t.Errorf("it was secure after %v, expected %v at least", took, cfg.hold)
	}
}

// TestChildChangesItsServers: NOTIFY(CSYNC) has the registry take the NS set over that
// the child publishes, signed (RFC 7477, RFC 9859).
func TestChildChangesItsServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	file := filepath.Join(dir, "zones", "meltemi", "papyrus.org.zone")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fewer := strings.Replace(string(text), "@ NS  ns1.meltemi-dns.com.\n", "@ CSYNC 0 1 NS\n", 1)
	if err := os.WriteFile(file, []byte(fewer), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	notify := dns.NewQuery(1, dns.Question{Name: dns.MustName("papyrus.org"), Type: dns.TypeCSYNC, Class: dns.ClassIN}, false)
	notify.Flags = notify.Flags.WithOpcode(dns.OpcodeNotify)
	query, err := notify.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := netip.AddrPortFrom(l.State().TLDs["org"][0], l.port)
	var client transport.Client
	reply, err := client.Exchange(t.Context(), transport.UDP, registry, query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := dns.ParseMessage(reply.Msg); err != nil || m.RCode != dns.RCodeNoError {
		t.Fatalf("NOTIFY is answered %v (%v)", m, err)
	}
	awaitSecurity(t, l, "papyrus.org", "at one server", func(s Security) bool {
		ns, err := l.delegatedTo(dns.MustName("papyrus.org"))
		return err == nil && joinNames(ns) == "ns2.meltemi-dns.app" && isSecure(s)
	})
}

// TestKeysSurviveRestart: the same keys, the same DS, the same anchor; and what a
// person has written into files meanwhile is signed, too.
func TestKeysSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	anchor, err := os.ReadFile(l.State().TrustAnchor)
	if err != nil {
		t.Fatal(err)
	}
	must(t)(l.Register(t.Context(), Registration{Name: "lasting.dev", NS: []string{"ns1.hermes-mail.com", "ns2.hermes-mail.org"}}))
	awaitSecurity(t, l, "lasting.dev", "secure", isSecure)
	ds := l.parentDS(dns.MustName("lasting.dev"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(dir, "zones", "hermes", "lasting.dev.zone"), "byhand TXT night\n")
	l = start(t, dir)
	if again, err := os.ReadFile(l.State().TrustAnchor); err != nil || string(again) != string(anchor) {
		t.Errorf("the trust anchor has changed (%v):\n%s%s", err, anchor, again)
	}
	if diff := cmp.Diff(ds, l.parentDS(dns.MustName("lasting.dev"))); diff != "" {
		t.Errorf("the DS (-before +after):\n%s", diff)
	}
	v := outside(t, l)
	for _, name := range []string{"lasting.dev.", "byhand.lasting.dev.", "thedns.guru.", "guru."} {
		if got := look(t, v, name, dns.TypeTXT); got != "secure" {
			t.Errorf("after a restart %s is %s", name, got)
		}
	}
	if got := l.resolve(t, "byhand.lasting.dev", "TXT"); got != `TXT "night"` {
		t.Errorf("what was written by hand is %q", got)
	}
}

// TestAfterAMonth: a lab that was off until all its signatures had expired is as it
// should be once it is up.
func TestAfterAMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("two labs, one after the other")
	}
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{Dir: dir, Port: uint16(20000 + rand.IntN(10000)), Octet: testOctet(dir)}
	cfg.wall = func() time.Time { return time.Now().Add(-30 * 24 * time.Hour) }
	l, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := look(t, outside(t, l), "thedns.guru.", dns.TypeSOA); got != "bogus" {
		t.Errorf("with signatures of a month ago thedns.guru is %s", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	v := outside(t, l)
	for _, name := range []string{".", "guru.", "thedns.guru.", "nobody.papyrus.org.", "com.", "25.18.198.in-addr.arpa.", "nobody."} {
		if got := look(t, v, name, dns.TypeSOA); got != "secure" {
			t.Errorf("after a month %s is %s", name, got)
		}
	}
}

// TestZoneGoesUnsigned: a zone that is listed loses its DS first, and is never bogus.
func TestZoneGoesUnsigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	list := filepath.Join(dir, "zones", "example", unsignedFile)
	if err := os.WriteFile(list, []byte("; no more\nthedns.guru\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := l.operatorNamed("example").id(dns.MustName("thedns.guru"))
	if err := l.Reload(); err != nil { // before the signer knows that there is a DS
		t.Fatal(err)
	}
	goes := func(s Security) bool {
		if s.Status == "bogus" {
			t.Errorf("on its way it is bogus: %s", s.Why)
		}
		return len(s.DS) == 0 && s.Status == "insecure"
	}
	awaitSecurity(t, l, "thedns.guru", "without a DS", goes)
	if !isSigned(l.signing.served(id)) {
		t.Error("its signatures are gone while caches may have its DS")
	}

	if err := os.WriteFile(list, []byte("not..a.name\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err == nil || !strings.Contains(err.Error(), "not..a.name") {
		t.Errorf("a list with a mistake says %v", err)
	}

	// The same of a zone that is listed while the lab is off.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte("example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	awaitSecurity(t, l, "example.com", "without a DS", goes)
}

// TestListedZoneGetsKeys: one that is taken off the list is signed at once.
func TestListedZoneGetsKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	if err := os.Remove(filepath.Join(dir, "zones", "cdn", unsignedFile)); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	awaitSecurity(t, l, "cloudfront.net", "signed", func(s Security) bool { return len(s.Signers) == 1 && s.Status == "insecure" })
}

// TestNewZonesNewKeys: who begins anew by removing the zone files gets another lab.
func TestNewZonesNewKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("two labs, one after the other")
	}
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	before := l.rootKeys()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "zones")); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	if cmp.Equal(before, l.rootKeys()) {
		t.Error("the root has the keys of the lab that was thrown away")
	}
	if got := look(t, outside(t, l), "thedns.guru.", dns.TypeSOA); got != "secure" {
		t.Errorf("thedns.guru is %s", got)
	}
}

func FuzzUnsigned(f *testing.F) {
	f.Add("; none\n")
	f.Add("a.example ; one\n\nB.example.\n")
	f.Add("a..b")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := parseUnsigned(text)
		if err != nil {
			return
		}
		var lines []string
		for n := range names {
			lines = append(lines, n.String())
		}
		again, err := parseUnsigned(strings.Join(lines, "\n"))
		if !strings.ContainsRune(strings.Join(lines, ""), ';') && (err != nil || !cmp.Equal(len(names), len(again))) {
			t.Fatalf("%q reads back as %v (%v)", lines, again, err)
		}
	})
}
