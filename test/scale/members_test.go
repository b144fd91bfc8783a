package scale

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"onoma/test/peers"
)

// The marks of many zones; of few nothing is measured but what must never happen.
const (
	mostStart = 10 * time.Second
	mostPer   = 3000 // octets of memory of one zone
)

// TestManyMembers follows a consumer of a catalog through its life: it fetches all zones, is restarted from a cold disk, asks
// nobody for what is fresh, gets and loses single members, and has many zones change.
func TestManyMembers(t *testing.T) {
	n := scaleOf(t)
	isLong := n > fewZones
	if testing.Short() {
		t.Skip("starts servers several times")
	}
	if !isLong {
		t.Parallel()
	}
	r := newRig(t, n, 3600, true)
	say := func(format string, args ...any) { t.Helper(); t.Logf(format, args...) }
	r.primary.start()
	say("%d zones: the primary has read their files after %v", n, r.primary.await("serving", func() bool { return r.primary.serves(nameOf(n-1), 1) }))
	began := time.Now()
	r.consumer.start()
	r.fetched(1)
	say("first transfer of all: %v, %v of CPU", since(began), r.consumer.busy())
	if checks, transfers := r.primary.asked(); transfers > uint64(n+n/100+1) {
		t.Errorf("the primary was asked for %d transfers and %d SOA records of %d zones", transfers, checks, n)
	} else {
		say("the primary was asked for %d transfers and %d SOA records", transfers, checks)
	}
	say("memory after it: %d octets a zone", r.perZone())
	say("SIGTERM until the end: %v", r.consumer.stop().Round(time.Millisecond))
	r.restart(isLong)
	r.quiet(isLong)
	r.pages()
	r.single()
	r.reload()
	r.changes()
	say("memory after it: %d octets a zone", r.perZone())
	say("SIGTERM until the end: %v", r.consumer.stop().Round(time.Millisecond))
}

// fetched waits until each zone is served with that serial number.
func (r *rig) fetched(serial uint32) {
	r.t.Helper()
	for i := r.n - 1; i >= 0; i-- {
		r.consumer.await(nameOf(i)+" being transferred", func() bool { return r.consumer.serves(nameOf(i), serial) })
	}
}

// restart starts the consumer from a cold disk, and waits until all zones are answered for.
func (r *rig) restart(isLong bool) {
	r.t.Helper()
	cold := "warm"
	if isLong && os.Geteuid() == 0 {
		_ = exec.Command("sync").Run() // else less is dropped
		if os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0) == nil {
			cold = "cold"
		}
	}
	began := time.Now()
	r.consumer.start()
	samples := r.samples(1000)
	for _, name := range samples {
		r.consumer.await(name+" being served", func() bool { return r.consumer.serves(name, 1) })
	}
	took := time.Since(began)
	r.t.Logf("restart, until all of %d zones answer, %s disk: %v, %v of CPU", len(samples), cold, took.Round(time.Millisecond), r.consumer.busy())
	if isLong && took > mostStart {
		r.t.Errorf("the restart took %v, expected %v at most", took, mostStart)
	}
}

// quiet holds the restarted consumer to what its zones' timers say: they are fresh, so nobody is asked.
func (r *rig) quiet(isLong bool) {
	r.t.Helper()
	checks, transfers := r.primary.asked()
	watch := time.Second
	if isLong {
		watch = time.Minute
	}
	time.Sleep(watch / 2)
	busy := r.consumer.busy()
	time.Sleep(watch / 2)
	used := r.consumer.busy() - busy
	c, x := r.primary.asked()
	r.t.Logf("in the first %v after it: %d SOA queries, %d transfers; %v of CPU in the second half", watch, c-checks, x-transfers, used)
	if c-checks > 1 || x != transfers { // the catalog alone may be asked for
		r.t.Errorf("after a restart with fresh zones the primary was asked for %d SOA records and %d transfers, expected none", c-checks, x-transfers)
	}
	if used > max(50*time.Millisecond, watch/200) {
		r.t.Errorf("doing nothing took %v of CPU in %v", used, watch/2)
	}
	if per := r.perZone(); isLong && per > mostPer {
		r.t.Errorf("a zone takes %d octets of memory, expected %d at most", per, mostPer)
	} else {
		r.t.Logf("memory: %d octets a zone", per)
	}
}

// perZone is what a zone takes of the consumer's memory: what the process has beyond that of one without zones.
func (r *rig) perZone() int64 {
	r.t.Helper()
	to := peers.Addr(r.t)
	r.configure("empty.yaml", "data: DIR/empty\ncontrol: DIR/empty.ctl\nlisten: [\"TO\"]\nzones:\n  empty.example: {primaries: 127.0.0.1:1}\n", "", to.String())
	empty := newServer(r.t, "empty", r.dir, r.binary, to, "serve", "--config", r.dir+"/empty.yaml")
	empty.start()
	empty.await("listening", func() bool {
		_, err := empty.ctl.Report(r.t.Context())
		return err == nil
	})
	defer empty.stop()
	p := r.consumer.report().Process
	r.t.Logf("PSS %d MB, heap %d MB; without zones %d MB", r.consumer.memory()>>20, p.Heap>>20, empty.memory()>>20)
	return (r.consumer.memory() - empty.memory()) / int64(r.n)
}

// pages measures what operators look at.
func (r *rig) pages() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	zones, err := r.consumer.ctl.Zones(ctx)
	if err != nil || len(zones) != r.n+1 {
		r.t.Errorf("ctl zones lists %d zones, expected %d: %v", len(zones), r.n+1, err)
	}
	r.t.Logf("ctl zones: %v", since(began))
	began = time.Now()
	states := r.consumer.report().Changing.States
	r.t.Logf("ctl stats: %v: %v", since(began), states)
	began = time.Now()
	octets := r.scrape()
	r.t.Logf("metrics: %v, %d octets", since(began), octets)
}

func (r *rig) scrape() int64 {
	r.t.Helper()
	resp, err := http.Get("http://" + r.metrics.String() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Errorf("metrics: %s, %v", resp.Status, err)
	}
	return n
}

// single adds a member to the catalog, removes it, and adds it again.
func (r *rig) single() {
	r.t.Helper()
	name := nameOf(r.n / 2)
	publish := func(listed bool) (took time.Duration) {
		r.listed[name] = listed
		r.publish()
		began := time.Now()
		r.consumer.await("the catalog's news", func() bool {
			_, ok := r.consumer.serial(name)
			return ok == listed
		})
		return since(began)
	}
	r.t.Logf("a member is removed: served no more %v after the primary has the catalog", publish(false))
	r.t.Logf("it is added again: served after %v", publish(true))
	checks, transfers := r.primary.asked()
	r.t.Logf("a third time: %v and %v", publish(false), publish(true))
	c, x := r.primary.asked()
	if x-transfers > 3 { // the catalog twice, the zone once
		r.t.Errorf("for one member that goes and comes the primary was asked for %d transfers and %d SOA records", x-transfers, c-checks)
	}
}

// reload has the consumer read its configuration again.
func (r *rig) reload() {
	r.t.Helper()
	busy, began := r.consumer.busy(), time.Now()
	if _, err := r.consumer.ctl.Reload(r.t.Context(), ""); err != nil {
		r.t.Error(err)
	}
	r.t.Logf("reload of the configuration: %v, %v of CPU", since(began), r.consumer.busy()-busy)
}

// changes has a tenth of the zones change at once.
func (r *rig) changes() {
	r.t.Helper()
	k := r.n / 10
	for i := range k {
		r.write(fileOf(i), r.text(i, 2))
	}
	checks, transfers := r.primary.asked()
	busy := r.consumer.busy()
	r.primary.hangUp()
	r.primary.await("reading the files again", func() bool { return r.primary.serves(nameOf(k-1), 2) })
	began := time.Now()
	for i := range k {
		r.consumer.await(nameOf(i)+"'s news", func() bool { return r.consumer.serves(nameOf(i), 2) })
	}
	took := since(began)
	c, x := r.primary.asked()
	r.t.Logf("%d zones change: served %v after the primary has the last, %v of CPU; %d SOA queries, %d transfers",
		k, took, r.consumer.busy()-busy, c-checks, x-transfers)
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Microsecond * 100) }
