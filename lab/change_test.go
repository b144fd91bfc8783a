package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"onoma/dns"
)

// must is the text of a change that has to be made.
func must(t *testing.T) func(string, error) string {
	return func(done string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
}

func TestRegisteredNameIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	ctx := t.Context()
	see := func(name, typ, want string) {
		t.Helper()
		if got := l.resolve(t, name, typ); got != want {
			t.Errorf("%s %s is %q, expected %q", name, typ, got, want)
		}
	}
	see("www.example.guru", "A", "NXDOMAIN")
	must(t)(l.Register(ctx, Registration{Name: "example.guru", NS: []string{"ns1.acropolis-dns.net", "ns2.meltemi-dns.app."}}))
	done := must(t)(l.Record(ctx, RecordChange{Name: "www.example.guru", Type: "A", Data: "198.18.1.99"}))
	if !strings.Contains(done, "new, at acropolis and meltemi") {
		t.Errorf("it says %q, expected who made the zone", done)
	}
	see("www.example.guru", "A", "A 198.18.1.99")
	if got := l.State().Authorities["example.guru"]; len(got) != 4 {
		t.Errorf("example.guru is at %v, expected two servers of two providers", got)
	}

	must(t)(l.Record(ctx, RecordChange{Name: "www.example.guru", Type: "A", Data: "198.18.1.98", Add: true}))
	see("www.example.guru", "A", "A 198.18.1.98, A 198.18.1.99")
	must(t)(l.Record(ctx, RecordChange{Name: "www.example.guru", Type: "A", Data: "198.18.1.97"}))
	see("www.example.guru", "A", "A 198.18.1.97")
	must(t)(l.Record(ctx, RecordChange{Name: "www.example.guru", Type: "A", Delete: true}))
	see("www.example.guru", "A", "NXDOMAIN")
	must(t)(l.Record(ctx, RecordChange{Name: "example.guru", Type: "TXT", Data: `"two words" more`, TTL: new(uint32(7))}))
	see("example.guru", "TXT", `TXT "two words" "more"`)

	must(t)(l.Register(ctx, Registration{Name: "example.guru", Delete: true}))
	see("example.guru", "TXT", "NXDOMAIN")
}

// TestMovedDomain: what counts is who the delegation names, not who has a copy.
func TestMovedDomain(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	ctx := t.Context()
	must(t)(l.Register(ctx, Registration{Name: "thedns.guru", NS: []string{"ns1.meltemi-dns.com", "ns2.meltemi-dns.app"}}))
	if got := l.resolve(t, "thedns.guru", "A"); got != "SERVFAIL" {
		t.Errorf("moved to a provider that has no zone of it, it is %q", got)
	}
	must(t)(l.Record(ctx, RecordChange{Name: "thedns.guru", Type: "A", Data: "198.18.2.77"}))
	if got := l.resolve(t, "thedns.guru", "A"); got != "A 198.18.2.77" {
		t.Errorf("at the new provider it is %q", got)
	}
	if m := l.ask(t, l.block.addr(2, 7), false, "thedns.guru", "A").Message; len(m.Answer) != 1 || m.Answer[0].Data.Text(dns.TypeA) != "203.0.113.42" {
		t.Errorf("the old provider's copy has changed: %v", m.Answer)
	}
}

func TestGlueOfOwnServer(t *testing.T) {
	t.Parallel()
	l := playground(t)
	ns := l.block.addr(2, 1).String() // acropolis, under a name of the customer
	must(t)(l.Register(t.Context(), Registration{Name: "vanity.com", NS: []string{"ns.vanity.com"}, Glue: []string{"ns.vanity.com=" + ns}}))
	m := l.ask(t, l.State().TLDs["com"][0], false, "vanity.com", "A").Message
	if len(m.Authority) != 1 || len(m.Additional) != 1 || m.Additional[0].Data.Text(dns.TypeA) != ns {
		t.Errorf("the registry refers to %v with %v", m.Authority, m.Additional)
	}
}

func TestKeepCache(t *testing.T) {
	t.Parallel()
	l := start(t, t.TempDir())
	const old = "A 203.0.113.42"
	if got := l.resolve(t, "thedns.guru", "A"); got != old {
		t.Fatalf("it is %q", got)
	}
	done := must(t)(l.Record(t.Context(), RecordChange{Name: "thedns.guru", Type: "A", Data: "198.18.1.1", KeepCache: true}))
	if !strings.Contains(done, "keeps what it remembers") {
		t.Errorf("it says %q", done)
	}
	if got := l.resolve(t, "thedns.guru", "A"); got != old {
		t.Errorf("with its cache kept the resolver says %q", got)
	}
}

func TestChangesSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	ctx := t.Context()
	must(t)(l.Register(ctx, Registration{Name: "lasting.org", NS: []string{"ns1.example.com", "ns2.example.com"}}))
	must(t)(l.Record(ctx, RecordChange{Name: "lasting.org", Type: "MX", Data: "10 mx1.hermes-mail.com"}))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	if got := again.resolve(t, "lasting.org", "MX"); got != "MX 10 mx1.hermes-mail.com." {
		t.Errorf("after a restart it is %q", got)
	}
}

// TestHandEdits: a change by command keeps what a person wrote into the file,
// and a broken file neither loses the zone nor is overwritten.
func TestHandEdits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	ctx := t.Context()
	file := filepath.Join(dir, "zones", "example", "thedns.guru.zone")
	appendTo(t, file, "byhand IN A 198.18.1.10\n")
	must(t)(l.Record(ctx, RecordChange{Name: "bycommand.thedns.guru", Type: "A", Data: "198.18.1.11"}))
	for name, want := range map[string]string{"byhand.thedns.guru": "A 198.18.1.10", "bycommand.thedns.guru": "A 198.18.1.11"} {
		if got := l.resolve(t, name, "A"); got != want {
			t.Errorf("%s is %q, expected %q", name, got, want)
		}
	}
	appendTo(t, file, "broken IN A 198.18.1\n")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err == nil || !strings.Contains(err.Error(), "thedns.guru.zone:") {
		t.Errorf("reloading a broken file says %v, expected file and line", err)
	}
	if _, err := l.Record(ctx, RecordChange{Name: "thedns.guru", Type: "A", Data: "198.18.1.12"}); err == nil || !strings.Contains(err.Error(), "mend it first") {
		t.Errorf("changing a broken file says %v", err)
	}
	if got := l.resolve(t, "byhand.thedns.guru", "A"); got != "A 198.18.1.10" {
		t.Errorf("the last good version is gone: %q", got)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the broken file was overwritten")
	}
}

func TestReloadSeesNewAndRemovedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	zones := filepath.Join(dir, "zones", "meltemi")
	text, err := os.ReadFile(filepath.Join(zones, "crete.labyrinth.guru.zone"))
	if err != nil {
		t.Fatal(err)
	}
	dropped := filepath.Join(zones, "lame-duck.net.zone")
	if err := os.WriteFile(dropped, []byte(strings.ReplaceAll(string(text), "crete.labyrinth.guru", "lame-duck.net")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	asked := func() dns.RCode {
		return l.ask(t, l.block.addr(2, 5), false, "bull.lame-duck.net", "TXT").Message.RCode
	}
	if got := asked(); got != dns.RCodeNoError {
		t.Errorf("a zone file that was put there answers %s", got)
	}
	if err := os.Remove(dropped); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := asked(); got != dns.RCodeRefused {
		t.Errorf("a zone whose file was removed answers %s", got)
	}
}

func TestChangesAtTheSameTime(t *testing.T) {
	t.Parallel()
	l := playground(t)
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := l.Record(t.Context(), RecordChange{Name: "amphora.dev", Type: "TXT", Data: fmt.Sprint("number-", i), Add: true})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, server := range []byte{1, 5} { // acropolis, meltemi
		m := l.ask(t, l.block.addr(2, server), false, "amphora.dev", "TXT").Message
		if len(m.Answer) != n+1 {
			t.Errorf("%d texts at 2.%d, expected %d", len(m.Answer), server, n+1)
		}
	}
}

func TestRefusedChanges(t *testing.T) {
	t.Parallel()
	l := shared(t)
	before := snapshot(t, l.dir)
	ns := []string{"ns1.acropolis-dns.net"}
	for _, c := range []struct {
		r    Registration
		want string
	}{
		{Registration{Name: "", NS: ns}, "not a domain name"},
		{Registration{Name: ".", NS: ns}, "not a domain name that can be registered"},
		{Registration{Name: "guru", NS: ns}, "not a name that a registry sells"},
		{Registration{Name: "www.thedns.guru", NS: ns}, "not a name that a registry sells"},
		{Registration{Name: "example.de", NS: ns}, "no registry for .de"},
		{Registration{Name: "nic.guru", NS: ns}, "belongs to the registry"},
		{Registration{Name: "under_score.guru", NS: ns}, "expected letters, digits and inner hyphens"},
		{Registration{Name: "-x.guru", NS: ns}, "expected letters"},
		{Registration{Name: `a\.b.guru`, NS: ns}, "expected letters"},
		{Registration{Name: "x\n.guru", NS: ns}, "expected letters"},
		{Registration{Name: "xn--0.guru", NS: ns}, "no"},
		{Registration{Name: strings.Repeat("a", 64) + ".guru", NS: ns}, "63"},
		{Registration{Name: "example.guru"}, "expected 1 to 13"},
		{Registration{Name: "example.guru", NS: []string{"a.b", "A.B."}}, "given twice"},
		{Registration{Name: "example.guru", NS: []string{"192.0.2.1/24"}}, "not a host name"},
		{Registration{Name: "example.guru", NS: []string{"ns.example.guru"}}, "expected glue"},
		{Registration{Name: "example.guru", NS: ns, Glue: []string{"ns1.acropolis-dns.net=127.0.0.1"}}, "addresses in zones of their own"},
		{Registration{Name: "example.guru", NS: []string{"ns.example.guru"}, Glue: []string{"ns.example.guru=nowhere"}}, "HOST=ADDRESS"},
		{Registration{Name: "example.guru", NS: []string{"ns.example.guru"}, Glue: []string{"ns.example.guru"}}, "HOST=ADDRESS"},
		{Registration{Name: "example.guru", Delete: true}, "not registered"},
		{Registration{Name: "thedns.guru", NS: ns, Delete: true}, "one or the other"},
		{Registration{Name: "acropolis-dns.net", Delete: true}, "move that domain first"},
	} {
		refused(t, fmt.Sprintf("%+v", c.r), c.want, func() (string, error) { return l.Register(t.Context(), c.r) })
	}
	for _, c := range []struct {
		c    RecordChange
		want string
	}{
		{RecordChange{Name: "a..b", Type: "A", Data: "192.0.2.1"}, "not a domain name"},
		{RecordChange{Name: "thedns.guru", Type: "AAAAA", Data: "192.0.2.1"}, "not a type"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: "192.0.2"}, "the data of the A record"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: ""}, "the data of the A record"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: "192.0.2.1\n$INCLUDE /etc/passwd"}, "control character"},
		{RecordChange{Name: "thedns.guru", Type: "TXT", Data: `"open`}, "quote"},
		{RecordChange{Name: "thedns.guru", Type: "SOA", Data: "a b 1 2 3 4 5"}, "counts its serial"},
		{RecordChange{Name: "thedns.guru", Type: "AXFR", Data: "x"}, "questions only"},
		{RecordChange{Name: "thedns.guru", Type: "OPT", Data: "x"}, "questions only"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: "192.0.2.1", TTL: new(uint32(1 << 31))}, "at most"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: "192.0.2.1", Add: true, Delete: true}, "at once"},
		{RecordChange{Name: "www.thedns.guru", Type: "A", Data: "192.0.2.1"}, "CNAME"},
		{RecordChange{Name: "thedns.guru", Type: "CNAME", Data: "example.com"}, "CNAME"},
		{RecordChange{Name: "thedns.guru", Type: "NS", Delete: true}, "NS"},
		{RecordChange{Name: "thedns.guru", Type: "AAAA", Delete: true}, "no such record"},
		{RecordChange{Name: "thedns.guru", Type: "A", Data: "192.0.2.1", Delete: true}, "no such record"},
		{RecordChange{Name: "nobody.guru", Type: "A", Data: "192.0.2.1"}, "not registered"},
		{RecordChange{Name: "guru", Type: "A", Data: "192.0.2.1"}, "no provider"},
		{RecordChange{Name: ".", Type: "A", Data: "192.0.2.1"}, "no provider"},
		{RecordChange{Name: "www.google.de", Type: "A", Data: "192.0.2.1"}, "no provider"},
		{RecordChange{Name: "ghost-town.app", Type: "A", Data: "192.0.2.1"}, "none of them is a provider"},
	} {
		refused(t, fmt.Sprintf("%+v", c.c), c.want, func() (string, error) { return l.Record(t.Context(), c.c) })
	}
	if after := snapshot(t, l.dir); after != before {
		t.Error("a refused change has touched the zone files")
	}
}

func refused(t *testing.T, what, want string, change func() (string, error)) {
	t.Helper()
	done, err := change()
	if err == nil {
		t.Errorf("%s: done (%s), expected a refusal with %q", what, done, want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, expected %q in it", what, err, want)
	}
}

// snapshot is all zone files of the lab in one text.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "zones", "*", "*"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d zone files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s", f, text)
	}
	return b.String()
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("www.x.test", "A", "192.0.2.1", false)
	f.Add("x.test", "TXT", `"a" b`, true)
	f.Add("*.x.test", "SVCB", "1 . alpn=h2", false)
	f.Add("x.test", "TYPE65280", `\# 2 abcd`, true)
	origin := dns.MustName("x.test")
	base := newZone(origin, []dns.Name{dns.MustName("ns.y.test")})
	f.Fuzz(func(t *testing.T, name, typ, data string, add bool) {
		rc, err := parseRecord(RecordChange{Name: name, Type: typ, Data: data, Add: add})
		if err != nil || !rc.name.IsSubdomainOf(origin) {
			return
		}
		records, err := rc.apply(append([]dns.Record(nil), base...))
		if err != nil {
			return
		}
		op := &operator{dir: t.TempDir(), zones: nil}
		v, err := build(origin, records)
		if err != nil {
			return
		}
		text, err := (&edited{op: op, version: v}).text()
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(op.file(origin), text); err != nil {
			t.Fatal(err)
		}
		back, err := readZone(op.file(origin), origin)
		if err != nil {
			t.Fatalf("%s\ndoes not read back: %v", text, err)
		}
		if back.Stats().Records != v.Stats().Records {
			t.Fatalf("%d records became %d:\n%s", v.Stats().Records, back.Stats().Records, text)
		}
	})
}
