package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Refused is the latest version of a zone that the gate refused.
type Refused struct {
	At      time.Time
	By      zone.Author
	Refusal *zone.Refusal
	File    string // where it is kept, "" where it could not be
}

// refusals keeps the latest one of each zone, for as many zones as mostRefused.
type refusals struct {
	mu   sync.Mutex
	last map[zone.ID]Refused
}

const (
	mostRefused    = 1000 // zones
	refusedRecords = 1000 // of a change that are written down
)

// Refused returns the latest version of a zone that was refused.
func (p *Pipeline) Refused(id zone.ID) (Refused, bool) {
	p.refused.mu.Lock()
	defer p.refused.mu.Unlock()
	r, ok := p.refused.last[id]
	return r, ok
}

// refuse notes that next must not be served, and keeps it for who wants to see why:
// all of it where it came as a whole, else what changes. It returns the refusal.
func (m maker) refuse(r *zone.Refusal, d *zone.Delta) error {
	m.p.o.Log.Warn("zone keeps its version, the new one was refused", "zone", m.spec.ID.String(), "rule", r.Rule, "reason", r.Error(), "door", string(m.c.By.Door), "by", m.c.By.Name)
	// All of it only where it came as a whole: what was edited is going to be undone.
	next := m.c.Replace
	ref := Refused{At: m.at, By: m.c.By, Refusal: r}
	ref.File = m.p.keepRefused(m.spec.ID, &ref, next, d)
	m.p.refused.mu.Lock()
	defer m.p.refused.mu.Unlock()
	if _, known := m.p.refused.last[m.spec.ID]; !known && len(m.p.refused.last) >= mostRefused {
		return r // somebody has much to repair already
	}
	if m.p.refused.last == nil {
		m.p.refused.last = make(map[zone.ID]Refused)
	}
	m.p.refused.last[m.spec.ID] = ref
	return r
}

// keepRefused writes what was refused to a file of the zone, in place of the last
// one, and returns its path.
func (p *Pipeline) keepRefused(id zone.ID, ref *Refused, next *zone.Version, d *zone.Delta) string {
	if p.o.DataDir == "" {
		return ""
	}
	path := filepath.Join(p.o.DataDir, "refused", fileName(id))
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	if err == nil {
		w := bufio.NewWriter(f)
		ref.write(w, next, d)
		err = w.Flush()
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		p.o.Log.Warn("a refused version could not be kept", "zone", id.String(), "err", err)
		return ""
	}
	return path
}

// fileName returns a name for files of a zone that is one path element.
func fileName(id zone.ID) string {
	const most = 180 // of the 255 octets that file systems have
	name := url.PathEscape(strings.ToLower(id.String()))
	if strings.Trim(name, ".") == "" {
		name = "root" + name
	}
	return name[:min(len(name), most)]
}

// write writes the reason as comments, and then the zone, or what would change.
func (r *Refused) write(w io.Writer, next *zone.Version, d *zone.Delta) {
	_, _ = fmt.Fprintf(w, "; refused %s\n; by the rule %s: %s\n; it came by the door %s from %q\n",
		r.At.Format(time.RFC3339), r.Refusal.Rule, strings.ReplaceAll(r.Refusal.Reason, "\n", "\n; "), r.By.Door, r.By.Name)
	for _, f := range r.Refusal.Findings {
		_, _ = fmt.Fprintf(w, "; %s\n", strings.ReplaceAll(f.String(), "\n", "\n; "))
	}
	if next != nil {
		for rec := range next.Records() {
			_, _ = fmt.Fprintln(w, rec)
		}
		return
	}
	if d != nil {
		_, _ = fmt.Fprintln(w, "; what would change:")
		writeRecords(w, ";-", d.Removed)
		writeRecords(w, ";+", d.Added)
	}
}

func writeRecords(w io.Writer, sign string, records []dns.Record) {
	for i, r := range records {
		if i == refusedRecords {
			_, _ = fmt.Fprintf(w, "%s and %d more\n", sign, len(records)-i)
			return
		}
		_, _ = fmt.Fprintln(w, sign, r)
	}
}
