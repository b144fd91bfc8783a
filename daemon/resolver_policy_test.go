package daemon

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver"
)

const policyConfig = `
resolver:
  listen: ["127.0.0.1:5354"]
  root-hints: DIR/root.hints
  policy:
    local-zones:
      corp: static
      play: {kind: always_nxdomain, tags: kids}
    local-data: ["host.corp. 60 IN A 192.0.2.1"]
    rpz:
      file.rpz: {file: DIR/file.rpz, error: filtered}
      own.rpz:
    block-lists:
      ads: {url: URL}
      more: {file: DIR/more.txt, tags: kids}
    views:
      kids: {clients: 10.3.0.0/16, tags: kids, tag-zones: {kids: always_refuse}}
zones:
  own.rpz: {file: DIR/own.rpz}
`

// ruled returns what rules have to say about a name, as a client at an address hears it.
func (r *rig) ruled(name, client string) string {
	r.t.Helper()
	q := dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}
	res, err := r.Resolver().Resolve(r.t.Context(), q, resolver.Options{Client: netip.MustParseAddr(client), CacheOnly: true})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(res.Rulings) == 0 {
		return "none"
	}
	last := res.Rulings[len(res.Rulings)-1]
	return last.List + " " + last.Action.String()
}

// becomes waits until rules have something to say.
func (r *rig) becomes(name, client, want string) {
	r.t.Helper()
	got := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = r.ruled(name, client); got == want {
			return
		}
		r.rules.nudge()
	}
	r.t.Errorf("%s for %s: rules say %q, expected %q", name, client, got, want)
}

func (r *rig) policyZone(file, rules string) {
	r.write(file, "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n"+rules+"\n")
}

func TestResolverPolicy(t *testing.T) {
	var list atomic.Pointer[string]
	set := func(text string) { list.Store(&text) }
	set("ads.test\n")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, *list.Load()) }))
	defer web.Close()
	text := strings.ReplaceAll(policyConfig, "URL", web.URL)

	r := &rig{t: t, dir: t.TempDir()}
	r.policyZone("file.rpz", "one.test CNAME .")
	r.policyZone("own.rpz", "two.test CNAME *.")
	r.write("more.txt", "||games.test^\n")
	r = newRigIn(t, r.dir, text)
	const me, kid = "127.0.0.1", "10.3.0.1"
	r.becomes("one.test.", me, "file.rpz. nxdomain")
	r.becomes("two.test.", me, "own.rpz. nodata")
	r.becomes("ads.test.", me, "ads nxdomain")
	r.becomes("host.corp.", me, "local data")
	r.becomes("x.play.", kid, "local refuse")
	r.becomes("games.test.", kid, "more nxdomain")
	if got := r.ruled("games.test.", me); got != "none" {
		t.Errorf("games.test for those without the tag: %s", got)
	}

	// Files and zones that change are read again; what is bad leaves the last good one.
	r.policyZone("file.rpz", "three.test CNAME .")
	r.becomes("three.test.", me, "file.rpz. nxdomain")
	r.write("file.rpz", "$TTL 60\nfour.test CNAME (\n")
	r.policyZone("own.rpz", "five.test CNAME .")
	r.files.Reload(context.Background())
	r.becomes("five.test.", me, "own.rpz. nxdomain")
	r.becomes("three.test.", me, "file.rpz. nxdomain")
	r.write("more.txt", "||toys.test^\n")
	r.becomes("toys.test.", kid, "more nxdomain")

	// A reload changes all of it.
	r.reload(strings.Replace(text, "      file.rpz: {file: DIR/file.rpz, error: filtered}\n", "", 1))
	r.becomes("three.test.", me, "none")
	r.becomes("five.test.", me, "own.rpz. nxdomain")
	r.reload("resolver: {listen: [\"127.0.0.1:5354\"], root-hints: DIR/root.hints}\n")
	r.becomes("ads.test.", me, "none")
}

// A restart without a network has what was fetched before.
func TestListsSurviveARestart(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ads.test\n") }))
	text := "resolver:\n  listen: [\"127.0.0.1:5354\"]\n  root-hints: DIR/root.hints\n  policy: {block-lists: {ads: {url: \"" + web.URL + "\"}}}\n"
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		newRigIn(t, dir, text).becomes("ads.test.", "127.0.0.1", "ads nxdomain")
	})
	web.Close()
	if got := newRigIn(t, dir, text).ruled("ads.test.", "127.0.0.1"); got != "ads nxdomain" {
		t.Errorf("after the restart rules say %q", got)
	}
}
