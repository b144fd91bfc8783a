package files

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run watches the files in mode Watch and writes back what is to be written, until
// ctx ends. Files in directories that cannot be watched, as on some network file
// systems, are looked at every Options.Poll.
func (d *Door) Run(ctx context.Context) error {
	w := &watcher{d: d, due: make(map[string]time.Time), dirs: make(map[string]bool)}
	var events chan fsnotify.Event
	var faults chan error
	if fs, err := fsnotify.NewWatcher(); err != nil {
		d.o.Log.Warn("files cannot be watched and are looked at now and then instead", "every", d.o.Poll, "error", err)
	} else {
		defer fs.Close()
		w.fs, events, faults = fs, fs.Events, fs.Errors
	}
	poll := time.NewTicker(d.o.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			d.flush(context.WithoutCancel(ctx))
			return nil
		case e := <-events:
			w.event(e, time.Now())
		case err := <-faults:
			w.fault(err)
		case <-d.rewatch:
			w.watch(ctx)
		case <-d.rewrite:
		case <-poll.C:
			w.poll(ctx)
		case <-w.wake(time.Now()):
			w.check(ctx, time.Now())
			d.writeDue(ctx, time.Now())
		}
	}
}

// watcher turns events about directories into looks at files. It belongs to the
// goroutine of Run.
type watcher struct {
	d    *Door
	fs   *fsnotify.Watcher    // nil: nothing can be watched
	dirs map[string]bool      // of files in mode Watch: whether it is watched
	due  map[string]time.Time // paths that have changed: when they may be looked at
	all  time.Time            // when all files are looked at, zero: not
}

// watch brings the watched directories up to date with the zones. Files may have
// changed before they were watched, so that those in new directories are looked at.
func (w *watcher) watch(ctx context.Context) {
	wanted := w.d.watched()
	for dir := range w.dirs {
		if _, ok := wanted[dir]; !ok {
			if w.dirs[dir] {
				_ = w.fs.Remove(dir) // it may be gone
			}
			delete(w.dirs, dir)
		}
	}
	fresh := make(map[string]bool)
	for dir := range wanted {
		if !w.dirs[dir] {
			w.dirs[dir] = w.add(dir)
			if w.dirs[dir] {
				fresh[dir] = true
			}
		}
	}
	if len(fresh) > 0 {
		w.d.readAll(ctx, w.d.touched(nil, fresh, false), causePoll)
	}
}

// add watches a directory, if that is possible.
func (w *watcher) add(dir string) bool {
	if w.fs == nil {
		return false
	}
	err := w.fs.Add(dir)
	if _, known := w.dirs[dir]; err != nil && !known {
		w.d.o.Log.Warn("directory cannot be watched, its zone files are looked at now and then instead", "directory", dir, "every", w.d.o.Poll, "error", err)
	}
	return err == nil
}

// event notes that a path has changed. A new file that is no zone's may still be one
// that zone files are symbolic links to, or the whole directory swapped for another:
// then all files in it are looked at.
func (w *watcher) event(e fsnotify.Event, now time.Time) {
	if e.Op == fsnotify.Chmod {
		return
	}
	w.due[e.Name] = now.Add(w.d.o.Quiet)
	if _, ok := w.dirs[e.Name]; ok && e.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
		w.dirs[e.Name] = false // and with it, its watch; the next poll tries again
	}
}

// fault sees to events that have been lost.
func (w *watcher) fault(err error) {
	w.d.o.Log.Warn("watching zone files has failed, all of them are looked at", "error", err)
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		w.all = time.Now().Add(w.d.o.Quiet)
	}
}

// wake returns a channel that is ready when something is due.
func (w *watcher) wake(now time.Time) <-chan time.Time {
	next := w.all
	for _, at := range w.due {
		next = earlier(next, at)
	}
	if next = earlier(next, w.d.nextWrite()); next.IsZero() {
		return nil
	}
	return time.After(next.Sub(now))
}

// earlier returns the earlier time; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// check looks at the files that have changed and have been quiet since.
func (w *watcher) check(ctx context.Context, now time.Time) {
	paths := make(map[string]bool)
	for path, at := range w.due {
		if !at.After(now) {
			delete(w.due, path)
			paths[path] = true
		}
	}
	all := !w.all.IsZero() && !w.all.After(now)
	if all {
		w.all = time.Time{}
	}
	if all || len(paths) > 0 {
		w.d.readAll(ctx, w.d.touched(paths, make(map[string]bool), all), causeChange)
	}
}

// poll looks at the files in directories that are not watched, and tries to watch those.
func (w *watcher) poll(ctx context.Context) {
	dirs := make(map[string]bool)
	for dir, ok := range w.dirs {
		if !ok {
			dirs[dir] = true
			w.dirs[dir] = w.add(dir)
		}
	}
	if len(dirs) > 0 {
		w.d.readAll(ctx, w.d.touched(nil, dirs, false), causePoll)
	}
}

// watched returns the directories of the files in mode Watch, those of their includes
// and of what symbolic links lead to.
func (d *Door) watched() map[string]struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	dirs := make(map[string]struct{})
	for _, e := range d.order {
		if e.zone.Mode != Watch {
			continue
		}
		if e.paths == nil {
			e.paths = whereabouts(e.zone.Path, e.files)
		}
		for _, path := range e.paths {
			dirs[filepath.Dir(path)] = struct{}{}
		}
	}
	return dirs
}

// whereabouts returns where a zone's files are: by name, and where symbolic links lead.
func whereabouts(path string, files []string) []string {
	paths := []string{}
	if abs, err := filepath.Abs(path); err == nil && !slices.Contains(files, abs) {
		paths = append(paths, abs)
	}
	paths = append(paths, files...)
	for _, path := range paths[:len(paths):len(paths)] {
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			paths = append(paths, real)
		}
	}
	return paths
}

// touched returns the zones in mode Watch that may be others now: one of their files
// is among paths or lies in one of dirs. A path that is no zone's stands for its
// directory: a symbolic link in it may have been turned elsewhere, or it is an include
// that was missing.
func (d *Door) touched(paths, dirs map[string]bool, all bool) (out []*entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make(map[string]bool)
	for _, e := range d.order {
		for _, path := range e.paths {
			known[path] = known[path] || paths[path]
		}
	}
	for path := range paths {
		if !known[path] {
			dirs[filepath.Dir(path)] = true
		}
	}
	for _, e := range d.order {
		if e.zone.Mode == Watch && (all || slices.ContainsFunc(e.paths, func(path string) bool { return paths[path] || dirs[filepath.Dir(path)] })) {
			out = append(out, e)
		}
	}
	return out
}
