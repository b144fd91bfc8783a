package feeds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// web serves one file, as its fields say.
type web struct {
	*httptest.Server
	body     atomic.Pointer[string]
	status   atomic.Int32
	asked    atomic.Int32
	modified atomic.Int32 // answers that were not 304
}

func newWeb(t *testing.T) *web {
	w := &web{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.asked.Add(1)
		if s := w.status.Load(); s != 0 {
			rw.WriteHeader(int(s))
			return
		}
		body := *w.body.Load()
		etag := `"` + body[:min(4, len(body))] + `"`
		if req.Header.Get("If-None-Match") == etag {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		w.modified.Add(1)
		rw.Header().Set("ETag", etag)
		io.WriteString(rw, body)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) set(body string) { w.body.Store(&body) }

func TestKeeper(t *testing.T) {
	w := newWeb(t)
	w.set("one\n")
	now := time.Unix(1e9, 0)
	o := Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }}
	o.Check = func(_ File, path string) error {
		if text, err := os.ReadFile(path); err != nil || strings.HasPrefix(string(text), "<html>") {
			return errors.Join(err, errors.New("not a list"))
		}
		return nil
	}
	file := File{Name: "l", URL: w.URL, Every: time.Hour, MaxSize: 100}
	k := New(o)
	k.Set([]File{file})
	// step does what Run would, and returns the copy, whether it was said to have changed, and until when nothing is due.
	step := func() (copied string, changed bool, wait time.Duration) {
		if f, s, _ := k.next(); s != nil {
			k.fetch(context.Background(), f, s)
		}
		_, _, wait = k.next()
		text, _ := os.ReadFile(k.Path(w.URL))
		select {
		case <-k.Changed():
			changed = true
		default:
		}
		return string(text), changed, wait
	}
	expect := func(what, copied string, changed bool, least, most time.Duration) {
		t.Helper()
		got, did, wait := step()
		if got != copied || did != changed || wait < least || wait > most {
			t.Errorf("%s: copy %q (changed: %v), next in %v; want %q (%v), %v to %v", what, got, did, wait, copied, changed, least, most)
		}
	}
	expect("first", "one\n", true, time.Hour, time.Hour)
	now = now.Add(time.Hour)
	expect("not modified", "one\n", false, time.Hour, time.Hour)
	now = now.Add(time.Hour)
	w.set("two\n")
	expect("modified", "two\n", true, time.Hour, time.Hour)
	now = now.Add(time.Hour)
	w.set("<html>error")
	expect("not a list", "two\n", false, time.Minute, 66*time.Second)
	w.set(strings.Repeat("x", 101))
	now = now.Add(66 * time.Second)
	expect("too large", "two\n", false, 2*time.Minute, 132*time.Second)
	w.status.Store(500)
	now = now.Add(132 * time.Second)
	expect("an error", "two\n", false, 4*time.Minute, 264*time.Second)
	w.status.Store(0)
	w.set("tree\n")
	now = now.Add(264 * time.Second)
	expect("back again", "tree\n", true, time.Hour, time.Hour)

	// A restart without a network has the last copy, and asks by what it knows of it.
	asked := w.modified.Load()
	k = New(o)
	k.Set([]File{file})
	expect("restarted", "tree\n", false, time.Hour, time.Hour)
	now = now.Add(time.Hour)
	expect("still not modified", "tree\n", false, time.Hour, time.Hour)
	if w.modified.Load() != asked {
		t.Error("the file was sent once more after the restart, expected 304")
	}
	// A copy that somebody has changed is fetched anew.
	if err := os.WriteFile(k.Path(w.URL), []byte("other things\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k = New(o)
	k.Set([]File{file})
	expect("changed behind our back", "tree\n", true, time.Hour, time.Hour)
}

func TestRedirects(t *testing.T) {
	plain := newWeb(t)
	plain.set("one\n")
	tls := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer tls.Close()
	client := tls.Client()
	client.CheckRedirect = checkRedirect
	k := New(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Client: client})
	if _, err := k.ask(context.Background(), File{URL: tls.URL, MaxSize: 10}, state{}); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("a redirect that leaves TLS: %v", err)
	}
	if plain.asked.Load() != 0 {
		t.Error("it was followed")
	}
}

func TestRunFetches(t *testing.T) {
	w := newWeb(t)
	w.set("one\n")
	k := New(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	k.Set([]File{{Name: "l", URL: w.URL, Every: time.Hour, MaxSize: 100}})
	<-k.Changed()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
