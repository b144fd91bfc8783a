package resolver

import (
	"fmt"
	"os"
	"time"

	"onoma/resolver/local"
)

// watchHosts reads the hosts file, and has it read again when it changes.
func (r *Resolver) watchHosts() error {
	if r.cfg.HostsFile == "" {
		return nil
	}
	stamp, err := r.readHosts()
	if err != nil {
		return err
	}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		tick := time.NewTicker(r.cfg.HostsEvery)
		defer tick.Stop()
		for {
			select {
			case <-r.ctx.Done():
				return
			case <-tick.C:
				stamp = r.rereadHosts(stamp)
			}
		}
	}()
	return nil
}

// fileStamp tells versions of a file apart.
type fileStamp struct {
	changed time.Time
	size    int64
}

func stampOf(info os.FileInfo) fileStamp { return fileStamp{info.ModTime(), info.Size()} }

func (r *Resolver) readHosts() (fileStamp, error) {
	f, err := os.Open(r.cfg.HostsFile)
	if err != nil {
		return fileStamp{}, fmt.Errorf("reading the hosts file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fileStamp{}, fmt.Errorf("reading the hosts file: %w", err)
	}
	h, problems, err := local.ReadHosts(f, r.cfg.HostsFile)
	if err != nil {
		return fileStamp{}, err
	}
	for _, p := range problems {
		r.cfg.Log.Warn("line of the hosts file ignored: " + p)
	}
	r.hosts.Store(h)
	r.forgetAnswers() // answers made with the old file; the rest is soon built again
	return stampOf(info), nil
}

// rereadHosts reads the file if it is another than old. One that cannot be read
// leaves the last one in force.
func (r *Resolver) rereadHosts(old fileStamp) fileStamp {
	info, err := os.Stat(r.cfg.HostsFile)
	if err == nil && stampOf(info) == old {
		return old
	}
	if err == nil {
		var stamp fileStamp
		if stamp, err = r.readHosts(); err == nil {
			r.cfg.Log.Info("hosts file read", "file", r.cfg.HostsFile, "names", r.hosts.Load().Len())
			return stamp
		}
	}
	if old != (fileStamp{}) {
		r.cfg.Log.Warn("hosts file not read, the last version stays in force", "error", err)
	}
	return fileStamp{}
}
