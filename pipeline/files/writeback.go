package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onoma/dns/zonefile"
	"onoma/zone"
)

// Published tells the Door that a zone has a new version: what a pipeline calls its
// listeners with. It is quick.
func (d *Door) Published(r zone.Receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.zones[r.Zone]
	if e == nil || !e.zone.WriteBack || !e.dirty.IsZero() || r.By.Door == zone.DoorSigner { // who changes nothing that is written
		return
	}
	e.dirty = time.Now().Add(d.o.WriteAfter)
	signal(d.rewrite)
}

// nextWrite returns when the next file is to be written, zero where none is.
func (d *Door) nextWrite() (next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.writing() {
		next = earlier(next, e.dirty)
	}
	return next
}

// writing returns the entries that are to be written. Who calls it has mu.
func (d *Door) writing() (out []*entry) {
	for _, e := range d.order {
		if !e.dirty.IsZero() {
			out = append(out, e)
		}
	}
	return out
}

// writeDue writes the files whose time has come.
func (d *Door) writeDue(ctx context.Context, now time.Time) {
	d.mu.Lock()
	due := d.writing()
	d.mu.Unlock()
	for _, e := range due {
		d.mu.Lock()
		isDue := !e.dirty.After(now)
		if isDue {
			e.dirty = time.Time{} // what is published from now on is another reason
		}
		d.mu.Unlock()
		if isDue && ctx.Err() == nil {
			d.writeBack(ctx, e)
		}
	}
	d.flush(ctx)
}

// writeBack writes the served version of e's zone to its file, unless somebody else
// has changed that.
func (d *Door) writeBack(ctx context.Context, e *entry) {
	e.busy.Lock()
	defer e.busy.Unlock()
	z, _ := d.get(e)
	d.take(e, z.ID)
	number, v, ok := d.o.Head(z.ID)
	if !ok || v == nil || number == 0 || number == e.stamp.version && e.stamp.source != nil {
		return
	}
	_, err := os.Stat(z.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case !e.stamp.source.LooksCurrent(z.Path):
		d.initial(ctx, e, z, number, v)
		return
	}
	if err := d.write(e, z, number, v); err != nil {
		state := State{Status: Broken, Version: e.stamp.version, Serial: e.stamp.served}
		state.problem(fmt.Sprintf("version %d is not written back: %v", number, err))
		d.set(e, state)
		d.o.Log.Error("zone not written to its file", "zone", z.ID, "file", z.Path, "version", number, "error", err)
		return
	}
	d.keep(ctx, e, z.ID)
	d.set(e, State{Status: Good, Version: number, Serial: v.Serial()})
	d.o.Log.Info("zone written to its file", "zone", z.ID, "file", z.Path, "version", number, "serial", v.Serial())
}

// write puts a file with the version in the place of e's, in one step: whoever reads
// it sees the old one or the new one. Where it is a symbolic link, it stays one.
func (d *Door) write(e *entry, z Zone, number uint64, v *zone.Version) error {
	path, err := filepath.Abs(z.Path)
	if err != nil {
		return err
	}
	target, mode := path, fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	} else if link, err := os.Readlink(path); err == nil { // which leads to what is not there yet
		if target = link; !filepath.IsAbs(link) {
			target = filepath.Join(filepath.Dir(path), link)
		}
	}
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which is gone where all goes well
	err = errors.Join(d.dump(f, z, number, v), f.Chmod(mode), f.Sync())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return err
	}
	// Nobody but us has written it, so that it counts as read a while after that.
	modified := info.ModTime().UnixNano()
	d.stamped(e, stamp{version: number, served: v.Serial(), serial: v.Serial(), source: &zone.Source{
		Read: modified + int64(time.Second), Files: []zone.SourceFile{{Path: path, Size: info.Size(), ModTime: modified}},
	}})
	return syncDir(filepath.Dir(target))
}

// dump writes a version with a remark on whose it is.
func (d *Door) dump(w io.Writer, z Zone, number uint64, v *zone.Version) error {
	buf := bufio.NewWriter(w)
	fmt.Fprintf(buf, "; Zone %s, version %d, serial %d, written by onoma at %s.\n", z.ID, number, v.Serial(), d.o.Clock().UTC().Format(time.RFC3339))
	fmt.Fprintf(buf, "; The zone is changed in other ways than by this file. What is written here by hand is not\n; read, until: onoma ctl zone reload %s --take-file\n", z.ID)
	if err := zonefile.Write(buf, v.Origin(), d.o.Authored(z.ID, v)); err != nil {
		return err
	}
	return buf.Flush()
}

// syncDir makes a renaming in dir last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
