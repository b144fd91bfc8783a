package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/signer/offline"
	"onoma/zone"
)

// responses is the signed key responses of one zone, whose KSK is not here, as the file has them. Who puts another file there
// has it taken; one that is not good is told of, and the one before goes on. It is a signer.Offline.
type responses struct {
	path string
	zone dns.Name
	said func(error)

	mu    sync.Mutex
	stamp string        // of the file that was read
	file  *offline.File // nil: none was good
	err   error         // of the file that is there now
}

// look reads the file if it is another one than before, and reports whether it is.
func (r *responses) look() (isOther bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path)
	stamp := ""
	if err == nil {
		stamp = fmt.Sprint(info.ModTime().UnixNano(), info.Size())
	}
	if stamp == r.stamp && (err == nil || r.err != nil) {
		return false
	}
	r.stamp = stamp
	file, err := readResponses(r.path, r.zone)
	if r.err = err; err == nil {
		r.file = file
	} else if r.file != nil {
		r.said(err)
	}
	return err == nil
}

func readResponses(path string, name dns.Name) (*offline.File, error) {
	f, err := offline.Read(path)
	if err != nil {
		return nil, err
	}
	if !f.Zone.Equal(name) {
		return nil, fmt.Errorf("%s is a response for %s; one for %s was expected", path, f.Zone, name)
	}
	return f, f.Verify(nil)
}

// now returns the responses to go by.
func (r *responses) now() (*offline.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		err := r.err
		if err == nil {
			err = fs.ErrNotExist
		}
		return nil, fmt.Errorf("its KSK is not here, and there is no signed key response: make a request of its ZSK, have it signed, and put the response where offline-ksk says: %w", err)
	}
	return r.file, nil
}

// At returns what stands at the zone's apex at a time.
func (r *responses) At(at time.Time) ([]dns.Record, error) {
	f, err := r.now()
	if err != nil {
		return nil, err
	}
	return f.At(at)
}

// Next returns when that changes.
func (r *responses) Next(at time.Time) time.Time {
	f, err := r.now()
	if err != nil {
		return time.Time{}
	}
	return f.Next(at)
}

// Until returns when the last signature ends.
func (r *responses) Until() time.Time {
	f, err := r.now()
	if err != nil {
		return time.Time{}
	}
	return f.Until()
}

// responsesOf returns those of a zone, nil where its KSK is here.
func (d *Daemon) responsesOf(e *entry) *responses {
	if e.plan.offline == "" {
		d.awayKSKs.Delete(e.id)
		return nil
	}
	path := config.ExpandFile(e.plan.offline, e.id.Name, e.id.View)
	if had, ok := d.awayKSKs.Load(e.id); ok && had.(*responses).path == path {
		had.(*responses).look()
		return had.(*responses)
	}
	r := &responses{path: path, zone: e.id.Name, said: func(err error) {
		d.log.Error("a signed key response is not taken, and the one before goes on", "zone", e.id, "error", err)
	}}
	r.look()
	d.awayKSKs.Store(e.id, r)
	return r
}

// responsePoll is how often is looked whether there is another response.
const responsePoll = 10 * time.Second

// watchResponses has zones whose responses are others looked at.
func (d *Daemon) watchResponses(ctx context.Context) error {
	ticker := time.NewTicker(responsePoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			d.lookAtResponses()
		}
	}
}

func (d *Daemon) lookAtResponses() {
	d.awayKSKs.Range(func(id, r any) bool {
		if r.(*responses).look() {
			d.log.Info("signed key responses taken", "zone", id, "file", r.(*responses).path, "until", r.(*responses).Until())
			d.signer.Wake(id.(zone.ID))
		}
		return true
	})
}
