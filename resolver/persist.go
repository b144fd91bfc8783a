package resolver

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onoma/resolver/cache"
)

const (
	// maxLoad is how long reading the cache's file may keep the start waiting.
	maxLoad = 5 * time.Second
	// saveRate is how many octets a second are written while questions are answered.
	saveRate = 32 << 20
)

// snapshot is what of the caches is kept in a file.
func (r *Resolver) snapshot() *cache.Snapshot {
	return &cache.Snapshot{Messages: r.messages, Records: r.iterator.Cache, Origin: r.origin(), Trust: r.trust()}
}

// origin stands for where data comes from.
func (r *Resolver) origin() uint64 {
	c := &r.cfg
	list := []string{fmt.Sprint(c.Hints, c.UpstreamPort, c.AllowLoopbackServers)}
	for _, route := range r.Routes() {
		list = append(list, fmt.Sprint(route.Zone, route.Kind, route.Servers, route.Fallback, route.Prime))
	}
	return digest(list...)
}

// trust stands for what answers were judged by.
func (r *Resolver) trust() uint64 {
	r.anchoring.Lock()
	anchors := r.anchors
	r.anchoring.Unlock()
	list := []string{fmt.Sprint(r.cfg.NotSpecial)}
	for i := range anchors {
		list = append(list, anchors[i].String())
	}
	for _, route := range r.Routes() {
		if route.Insecure {
			list = append(list, fmt.Sprint("except ", route.Zone))
		}
	}
	for name, until := range r.Exceptions() {
		list = append(list, fmt.Sprint("except ", name, until.Unix()))
	}
	slices.Sort(list)
	return digest(list...)
}

func digest(list ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
	return binary.BigEndian.Uint64(sum[:])
}

// load reads the cache's file. Whatever is wrong with it, the resolver starts: with
// empty caches then.
func (r *Resolver) load() {
	f, err := os.Open(r.cfg.CacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return // the first start
	}
	start, n := time.Now(), 0
	if err == nil {
		defer f.Close()
		n, err = r.snapshot().Read(bufio.NewReaderSize(f, 256<<10), r.now(), func() bool { return time.Since(start) > maxLoad })
	}
	if err != nil {
		r.cfg.Log.Warn("the resolver starts with an empty cache", "file", r.cfg.CacheFile, "error", err)
		return
	}
	r.cfg.Log.Info("cache read", "file", r.cfg.CacheFile, "entries", n, "took", time.Since(start).Round(time.Millisecond))
}

// keepSaving writes the cache's file now and then, and at the end.
func (r *Resolver) keepSaving() {
	defer r.wg.Done()
	every := time.NewTicker(r.cfg.CacheSaveEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			r.save(saveRate)
		case <-r.ctx.Done():
			r.save(0)
			return
		}
	}
}

// save writes the cache's file: a new one, which takes the place of the old one when
// it is whole and on the disk.
func (r *Resolver) save(rate int) {
	n, err := r.saveTo(r.cfg.CacheFile, rate)
	if err != nil {
		r.cfg.Log.Error("cache not saved", "file", r.cfg.CacheFile, "error", err)
		return
	}
	r.cfg.Log.Debug("cache saved", "file", r.cfg.CacheFile, "entries", n)
}

func (r *Resolver) saveTo(name string, rate int) (entries int, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.new") // readable by its owner alone
	if err != nil {
		return 0, fmt.Errorf("saving the cache: %w", err)
	}
	entries, err = r.snapshot().Write(&paced{w: f, r: r, rate: rate}, r.now())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return entries, err
}

// paced writes no more than rate octets a second until the resolver is closed; 0 is
// as fast as it goes.
type paced struct {
	w    io.Writer
	r    *Resolver
	rate int
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if p.rate > 0 && err == nil {
		select {
		case <-time.After(time.Duration(n) * time.Second / time.Duration(p.rate)):
		case <-p.r.ctx.Done():
		}
	}
	return n, err
}
