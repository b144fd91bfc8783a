// Package feeds keeps copies of files that are on the web, such as block lists: each is asked for from time to time, by the validators that
// came with it (ETag, Last-Modified), and the last good copy is on the disk, so that a start without a network has it.
//
// What to do when (a file's state) is without I/O; a [Keeper] has the goroutine that fetches, one file after the other. Its other methods
// may be called by any goroutine.
//
// RFCs: 9110 §13 (conditional requests), 9111.
package feeds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// File is a file on the web.
type File struct {
	Name    string // for logs
	URL     string
	Every   time.Duration // how often it is asked for
	MaxSize int64         // octets that are taken, after decompression
}

// Options say how a Keeper works.
type Options struct {
	Dir    string                          // where the copies are; made where it is not there
	Check  func(f File, path string) error // says what is wrong with a new copy, which is then not taken; nil: nothing is
	Log    *slog.Logger
	Client *http.Client     // nil: one with sensible limits
	Clock  func() time.Time // nil: time.Now
}

// Keeper keeps copies.
type Keeper struct {
	o       Options
	wake    chan struct{}
	changed chan struct{}

	mu    sync.Mutex
	files []File
	known map[string]*state // by URL
}

// New returns a Keeper of no files.
func New(o Options) *Keeper {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Minute, CheckRedirect: checkRedirect}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Keeper{o: o, wake: make(chan struct{}, 1), changed: make(chan struct{}, 1), known: map[string]*state{}}
}

// checkRedirect follows a few, and none that leaves TLS.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("more than five redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("a redirect from https to %s", req.URL.Scheme)
	}
	return nil
}

// Set says which files are kept. Copies of others stay on the disk.
func (k *Keeper) Set(files []File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files = slices.Clone(files)
	for _, f := range files {
		if k.known[f.URL] == nil {
			k.known[f.URL] = k.recall(f)
		}
	}
	nudge(k.wake)
}

// Changed gets a value when copies have changed.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Path returns where the copy of a URL is, whether or not there is one.
func (k *Keeper) Path(url string) string {
	sum := sha256.Sum256([]byte(url))
	return filepath.Join(k.o.Dir, hex.EncodeToString(sum[:12])+".list")
}

// Run fetches files as they are due until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		f, s, wait := k.next()
		if s != nil {
			k.fetch(ctx, f, s)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-k.wake:
			timer.Stop()
		}
	}
}

// next returns a file that is due, else how long it is until one is.
func (k *Keeper) next() (File, *state, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, wait := k.o.Clock(), time.Hour
	for _, f := range k.files {
		s := k.known[f.URL]
		left := s.due(f.Every).Sub(now)
		if left <= 0 {
			return f, s, 0
		}
		wait = min(wait, left)
	}
	return File{}, nil, wait
}

// fetch asks for a file and takes what has changed.
func (k *Keeper) fetch(ctx context.Context, f File, s *state) {
	fresh, err := k.ask(ctx, f, *s)
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		s.failed(k.o.Clock(), f.Every, rand.Int64N(1000))
		k.o.Log.Warn("list not fetched, the last copy stays in force", "list", f.Name, "url", f.URL, "error", err, "again", s.Next.Format(time.RFC3339))
		return
	}
	isNew := fresh.ETag != s.ETag || fresh.Modified != s.Modified || fresh.Size != s.Size || fresh.Sum != s.Sum
	*s = fresh
	if err := k.remember(f, s); err != nil {
		k.o.Log.Warn("what is known of a list is not kept", "list", f.Name, "error", err)
	}
	if isNew {
		k.o.Log.Info("list fetched", "list", f.Name, "url", f.URL, "octets", s.Size)
		nudge(k.changed)
	}
}

// ask sends one request.
func (k *Keeper) ask(ctx context.Context, f File, s state) (state, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return s, err
	}
	req.Header.Set("User-Agent", "onoma")
	if s.ETag != "" {
		req.Header.Set("If-None-Match", s.ETag)
	}
	if s.Modified != "" {
		req.Header.Set("If-Modified-Since", s.Modified)
	}
	resp, err := k.o.Client.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return s.unchanged(k.o.Clock()), nil
	case http.StatusOK:
		return k.take(f, resp)
	}
	return s, fmt.Errorf("the server says %s, expected 200 or 304", resp.Status)
}

// take writes the body of a response beside the copy, and in its place where it is good.
func (k *Keeper) take(f File, resp *http.Response) (s state, err error) {
	if err := os.MkdirAll(k.o.Dir, 0o700); err != nil {
		return s, err
	}
	tmp, err := os.CreateTemp(k.o.Dir, "new-*")
	if err != nil {
		return s, err
	}
	defer os.Remove(tmp.Name())
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, sum), io.LimitReader(resp.Body, f.MaxSize+1))
	if err == nil && n > f.MaxSize {
		err = fmt.Errorf("it has more than %d octets", f.MaxSize)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return s, err
	}
	if k.o.Check != nil {
		if err := k.o.Check(f, tmp.Name()); err != nil {
			return s, err
		}
	}
	s = state{ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"), Size: n, Sum: hex.EncodeToString(sum.Sum(nil))}
	return s.unchanged(k.o.Clock()), os.Rename(tmp.Name(), k.Path(f.URL))
}

// recall reads what is known of a file; what cannot be read is fetched anew.
func (k *Keeper) recall(f File) *state {
	s := &state{}
	info, err := os.Stat(k.Path(f.URL))
	if err != nil {
		return s
	}
	text, err := os.ReadFile(k.Path(f.URL) + ".json")
	if err != nil || json.Unmarshal(text, s) != nil || s.Size != info.Size() {
		return &state{}
	}
	return s
}

func (k *Keeper) remember(f File, s *state) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := k.Path(f.URL) + ".json"
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
