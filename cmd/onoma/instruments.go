package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"onoma/telemetry"
	"onoma/telemetry/control"
	"onoma/telemetry/dnstap"
	"onoma/telemetry/metrics"
	"onoma/transport"
)

// operations are what the operator of a server may see and do. What is nil is not there.
type operations struct {
	role     string
	identity string // what the server is called: NSID
	reload   func(ctx context.Context, zone string) ([]control.Reloaded, error)
	zones    func() iter.Seq[telemetry.Zone]
	dump     func(zone string) (control.Text, error)
	report   func(*telemetry.Report) // adds what only this kind of server counts
	serving  func()                  // is called once clients are answered
	manage   *control.ZoneDesk       // what can be done about zones that change
	resolver *control.ResolverDesk   // and about a resolver
}

// instruments watch a server and tell of it.
type instruments struct {
	operations
	app     *app
	started time.Time
	ready   atomic.Bool
	hub     *telemetry.Hub // nil: nothing is watched
	tap     *dnstap.Output
	queries *dnstap.Output // the log of queries
	top     bool
	metrics net.Listener
	control *control.Server

	totals    telemetry.Totals
	reloading sync.Mutex // one at a time: SIGHUP and the socket may ask at once

	listen []string // addresses
	counts func(*telemetry.Report)

	stderr io.Writer // before begin
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// watch opens everything that the flags ask for, or nothing.
func (f *telemetryFlags) watch(a *app, ops operations) (*instruments, error) {
	in := &instruments{operations: ops, app: a, started: time.Now(), cancel: func() {}}
	if f.TopSample < 0 {
		return nil, fmt.Errorf("--top-sample %d: expected 0 or more", f.TopSample)
	}
	var err error
	if in.tap, err = f.tap(a, ops.identity); err != nil {
		return nil, err
	}
	if in.queries, err = f.queryLog(a); err != nil {
		return nil, err
	}
	if !f.isOn() {
		return in, nil
	}
	var o telemetry.Options
	for _, tap := range []*dnstap.Output{in.tap, in.queries} {
		if tap != nil {
			o.Taps = append(o.Taps, tap)
		}
	}
	if f.Control != "" {
		o.TopSample, in.top = f.TopSample, f.TopSample > 0
	}
	in.hub = telemetry.NewHub(o)
	if f.Metrics != "" {
		if in.metrics, err = net.Listen("tcp", f.Metrics); err != nil {
			return nil, hint(fmt.Errorf("--metrics %s: %w", f.Metrics, err), "the address needs a port, as in 127.0.0.1:9153, that nothing else uses")
		}
	}
	if f.Control != "" {
		if in.control, err = control.Listen(f.Control); err != nil {
			in.close()
			return nil, hint(err, "each server needs a socket of its own: --control PATH")
		}
	}
	return in, nil
}

// handler returns that of a place, watched if anything asks for it.
func (in *instruments) handler(p place) transport.Handler {
	if in.hub == nil {
		return p.handler
	}
	return in.hub.Watch(p.role, p.handler)
}

// begin tells of the server from now on: it listens on these addresses, and counts adds what its sockets count.
func (in *instruments) begin(listen string, counts func(*telemetry.Report)) {
	in.listen, in.counts = strings.Split(listen, ","), counts
	in.ready.Store(true)
	// From now on nothing may wait for whoever reads standard error, zones that are read again included.
	in.stderr = in.app.stderr
	in.app.stderr = in.app.journal.Writer()
	if in.hub == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(in.app.ctx))
	in.cancel = cancel
	in.wg.Go(func() { in.hub.Run(ctx) })
	for _, tap := range []*dnstap.Output{in.tap, in.queries} {
		if tap != nil {
			in.wg.Go(func() { tap.Run(ctx) })
		}
	}
	if in.metrics != nil {
		in.app.log.Info("metrics", "url", "http://"+in.metrics.Addr().String()+"/metrics")
		in.wg.Go(func() { in.serveMetrics(ctx) })
	}
	if in.control != nil {
		in.control.Log = in.app.log
		in.control.Staff(in.desk())
		in.wg.Go(func() { in.failed(in.control.Serve(ctx)) })
	}
}

// close ends what begin has begun, after the last answer.
func (in *instruments) close() {
	in.ready.Store(false)
	in.cancel()
	if in.metrics != nil {
		in.metrics.Close()
	}
	if in.control != nil {
		in.control.Close()
	}
	in.wg.Wait()
	if in.stderr != nil {
		in.app.stderr = in.stderr
	}
}

func (in *instruments) failed(err error) {
	if err != nil {
		in.app.log.Error("an instrument has failed; answers go on", "error", err)
	}
}

func (in *instruments) serveMetrics(ctx context.Context) {
	s := http.Server{
		Handler:           metrics.Handler(metrics.Source{Report: in.reportNow, Zones: in.zones, MaxZones: zonesInMetrics, Revision: revision()}),
		ReadHeaderTimeout: 5 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(in.app.log.Handler(), slog.LevelWarn),
	}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(netutil.LimitListener(in.metrics, metricsConns)); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		in.failed(fmt.Errorf("serving metrics: %w", err))
	}
}

// metricsConns is how many may be connected at once; a few monitoring systems keep one open each.
const metricsConns = 64

// zonesInMetrics is how many zones get lines of their own: a monitoring system keeps each for ever.
const zonesInMetrics = 100

func (in *instruments) desk() control.Desk {
	d := control.Desk{Report: in.reportNow, Zones: in.zones, Dump: in.dump, Manage: in.manage, Resolver: in.resolver}
	if in.top {
		d.Top = in.hub.Top
	}
	if in.reload != nil {
		d.Reload = in.again
	}
	return d
}

// again reloads a zone, or all where the name is empty.
func (in *instruments) again(ctx context.Context, zone string) ([]control.Reloaded, error) {
	in.reloading.Lock()
	defer in.reloading.Unlock()
	return in.reload(ctx, zone)
}

// hangup does what SIGHUP asks for.
func (in *instruments) hangup() {
	if in.reload != nil {
		_, _ = in.again(in.app.ctx, "") // which logs what is wrong
	}
	for _, tap := range []*dnstap.Output{in.tap, in.queries} {
		if tap != nil {
			tap.Rotate()
		}
	}
}

// reportNow gathers all that is counted.
func (in *instruments) reportNow() telemetry.Report {
	r := telemetry.NewReport(time.Now())
	r.Role, r.Version, r.PID, r.Started = in.role, version(), os.Getpid(), in.started
	r.Ready, r.Listen = in.ready.Load() && in.app.ctx.Err() == nil, in.listen
	r.Traffic = in.hub.Traffic()
	in.counts(&r)
	if in.zones != nil {
		r.Zones = in.totals.Of(in.zones())
	}
	if in.report != nil {
		in.report(&r)
	}
	if in.tap != nil {
		s := in.tap.Stats()
		r.Dnstap = &s
	}
	if in.queries != nil {
		s := in.queries.Stats()
		r.QueryLog = &s
	}
	r.Log.Lines, r.Log.Dropped = in.app.journal.Stats()
	return r
}
