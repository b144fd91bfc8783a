// Package console serves onoma's web pages. So far that is one page: the lab's
// tree of servers, with queries drawn as they travel through it.
//
// The pages are files in page/, embedded as they are: no build step, no script
// or font from elsewhere. The browser gets its data from a small JSON API and
// the queries as server-sent events. A Handler may be used concurrently.
package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

const (
	maxBody   = 64 << 10         // octets of a request's JSON
	keepAlive = 15 * time.Second // silence on an event stream before a comment is sent
	burst     = 256              // events written to a browser at once
)

// New returns the handler of the lab's page and its API:
//
//	GET  /              the page
//	GET  /api/topology  the servers (Topology)
//	GET  /api/events    the queries as they happen (Event), server-sent
//	POST /api/ask       {"name", "type"}: one question through the resolver (Answer)
//	GET  /api/security  ?zone=NAME: how far it is on its way to be validated (Security)
//	GET  /api/chain     ?name=NAME: the chain of trust to its zone, a picture (SVG)
//	POST /api/register  a Registration
//	POST /api/record    a RecordChange
func New(lab Lab) http.Handler {
	c := &console{lab: lab}
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is embedded: it is there
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /api/topology", c.topology)
	mux.HandleFunc("GET /api/events", c.events)
	mux.HandleFunc("GET /api/security", c.security)
	mux.HandleFunc("GET /api/chain", c.chain)
	mux.HandleFunc("POST /api/ask", c.ask)
	mux.HandleFunc("POST /api/register", c.register)
	mux.HandleFunc("POST /api/record", c.record)
	return guard(mux)
}

type console struct{ lab Lab }

// guard keeps other sites' pages out. A page in the same browser could aim
// requests at a loopback address, or have its own name resolve to one; so the
// Host must be a literal address or localhost, and what changes something must
// be JSON, which no other origin can send unasked.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !localHost(r.Host) {
			http.Error(w, "this page is served under its address or localhost only", http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPost {
			if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
				http.Error(w, "expected Content-Type: application/json", http.StatusUnsupportedMediaType)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func localHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

func (c *console) topology(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	reply(w, http.StatusOK, c.lab.Topology())
}

func (c *console) security(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	s, err := c.lab.Security(r.Context(), r.URL.Query().Get("zone"))
	finish(w, s, err)
}

func (c *console) chain(w http.ResponseWriter, r *http.Request) {
	picture, err := c.lab.Chain(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		finish(w, nil, err)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'") // its colours are within it
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(picture) // the browser is gone: nobody to tell
}

func (c *console) ask(w http.ResponseWriter, r *http.Request) {
	var q struct{ Name, Type string }
	if !request(w, r, &q) {
		return
	}
	a, err := c.lab.Ask(r.Context(), q.Name, q.Type)
	finish(w, a, err)
}

func (c *console) register(w http.ResponseWriter, r *http.Request) {
	var reg Registration
	if !request(w, r, &reg) {
		return
	}
	done, err := c.lab.Register(r.Context(), reg)
	finish(w, map[string]string{"done": done}, err)
}

func (c *console) record(w http.ResponseWriter, r *http.Request) {
	var ch RecordChange
	if !request(w, r, &ch) {
		return
	}
	done, err := c.lab.Record(r.Context(), ch)
	finish(w, map[string]string{"done": done}, err)
}

// request reads the body into v, and answers the request itself if it cannot.
func request(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		status := http.StatusBadRequest
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			status = http.StatusRequestEntityTooLarge
		}
		reply(w, status, map[string]string{"error": "reading the request: " + err.Error()})
		return false
	}
	return true
}

func finish(w http.ResponseWriter, v any, err error) {
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	reply(w, http.StatusOK, v)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the browser is gone: nobody to tell
}

// events sends the lab's queries to one browser until it goes.
func (c *console) events(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events := c.lab.Subscribe(ctx)
	if _, err := fmt.Fprint(w, ": welcome\n\n"); err != nil || rc.Flush() != nil {
		return
	}
	idle := time.NewTicker(keepAlive)
	defer idle.Stop()
	var buf bytes.Buffer
	for {
		buf.Reset()
		select {
		case <-ctx.Done():
			return
		case e, open := <-events:
			if !open {
				return
			}
			appendEvents(&buf, e, events)
		case <-idle.C:
			buf.WriteString(": still here\n\n")
		}
		if _, err := w.Write(buf.Bytes()); err != nil || rc.Flush() != nil {
			return
		}
	}
}

// appendEvents writes e and what else waits, so that a burst is one write.
func appendEvents(buf *bytes.Buffer, e Event, more <-chan Event) {
	for n := 1; ; n++ {
		b, err := json.Marshal(e)
		if err != nil {
			return // a time far out of range; an Event has nothing else that fails
		}
		fmt.Fprintf(buf, "id: %d\ndata: %s\n\n", e.Seq, b)
		if n == burst {
			return
		}
		var open bool
		select {
		case e, open = <-more:
			if !open {
				return
			}
		default:
			return
		}
	}
}
