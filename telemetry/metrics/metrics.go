// Package metrics shows a server's Report to Prometheus, and says over HTTP whether the server lives and is ready. It keeps
// no numbers: each scrape makes a Report anew, in the goroutine of its request.
package metrics

import (
	"iter"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"onoma/telemetry"
)

// Source is what is shown.
type Source struct {
	Report func() telemetry.Report
	// Zones yields zones for a line each; nil where there are none. They are left out where there are more than MaxZones.
	Zones    func() iter.Seq[telemetry.Zone]
	MaxZones int
	Revision string // of the program
}

// Handler answers /metrics, /healthz and /readyz.
func Handler(s Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 30 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		r := s.Report()
		say(w, http.StatusOK, health(&r))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if r := s.Report(); !r.Ready {
			say(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		say(w, http.StatusOK, "ready\n")
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// desc is a metric: name, help, and the names of its labels.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("onoma_"+name, help, labels, nil)
}

var (
	build      = desc("build_info", "1, with the program's version in the labels.", "version", "revision", "goversion", "role")
	ready      = desc("ready", "1 while the server answers, 0 while it starts or ends.")
	queries    = desc("queries_total", "Queries by how they came.", "transport", "family", "class", "edns")
	types      = desc("query_types_total", "Queries by the type asked for; rare ones are \"other\".", "type")
	responses  = desc("responses_total", "Responses by code.", "rcode")
	truncated  = desc("responses_truncated_total", "Responses with TC.")
	unanswered = desc("queries_unanswered_total", "Queries that got no response on purpose.")
	deferred   = desc("queries_deferred_total", "Queries that were not answered at once, but later.")
	sizes      = desc("response_size_bytes", "Octets of responses, over UDP and over streams.", "carrier")
	waits      = desc("deferred_seconds", "Time until deferred queries were answered.")
	outcomes   = desc("authority_outcomes_total", "What became of an authority's questions.", "outcome")

	limited = desc("rate_limited_total", "Answers that were too many, by class.", "class")
	slipped = desc("rate_limit_slipped_total", "Of the answers that were too many, those sent without records.")

	received    = desc("transport_queries_total", "Queries handed to a worker.", "transport")
	answered    = desc("transport_answers_total", "Messages sent back.", "transport")
	bytesIn     = desc("transport_receive_bytes_total", "Octets of queries.", "transport")
	bytesOut    = desc("transport_transmit_bytes_total", "Octets of answers.", "transport")
	dropped     = desc("transport_dropped_total", "Messages dropped, by reason.", "transport", "reason")
	sendErrors  = desc("transport_send_errors_total", "Answers that the system refused to send.", "transport")
	loopQueries = desc("loop_queries_total", "Queries of each UDP loop.", "loop")
	kernelDrops = desc("udp_kernel_drops_total", "UDP packets that found a receive buffer full.")
	pressed     = desc("udp_pressed_sockets", "UDP sockets that are flooded, so that known sources go first.")
	known       = desc("udp_known_sources", "Sources that go first on sockets that are flooded.")
	connsOpen   = desc("connections", "Connections open now.", "transport")
	connsIn     = desc("connections_accepted_total", "Connections accepted.", "transport")
	connsClosed = desc("connections_closed_total", "Connections closed by this server, by reason.", "transport", "reason")
	handshakes  = desc("tls_handshakes_total", "Handshakes completed.", "transport", "resumed")

	zones        = desc("zones", "Zones served.")
	zonesMissing = desc("zones_missing", "Of the zones served, those without a version to answer from.")
	zonesRecords = desc("zones_records", "Records of all zones.")
	zonesBytes   = desc("zones_memory_bytes", "Memory held for all zones.")
	zoneSerial   = desc("zone_serial", "Serial number of the zone; only where there are few zones.", "zone")
	zoneRecords  = desc("zone_records", "Records of the zone; only where there are few zones.", "zone")

	tapUp      = desc("dnstap_connected", "1 while the dnstap sink is open.")
	tapFrames  = desc("dnstap_frames_total", "Frames written to the dnstap sink.")
	tapDropped = desc("dnstap_dropped_total", "Events dropped because the dnstap sink was slow or gone.")
	queryLines = desc("query_log_lines_total", "Lines of the log of queries, by what became of them.", "fate")
	logLines   = desc("log_lines_total", "Log lines, by what became of them.", "fate")
)

var all = []*prometheus.Desc{
	build, ready, queries, types, responses, truncated, unanswered, deferred, sizes, waits, outcomes, limited, slipped,
	received, answered, bytesIn, bytesOut, dropped, sendErrors, loopQueries, kernelDrops, pressed, known, connsOpen, connsIn, connsClosed, handshakes,
	zones, zonesMissing, zonesRecords, zonesBytes, zoneSerial, zoneRecords, tapUp, tapFrames, tapDropped, queryLines, logLines,
}

// collector makes metrics of a Report.
type collector struct{ Source }

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(all, allChanging, allSigning, allResolving) {
		out <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	r := c.Report()
	p := page{out}
	p.gauge(build, 1, r.Version, c.Revision, runtime.Version(), r.Role)
	p.gauge(ready, truth(r.Ready))
	p.traffic(&r)
	p.transports(&r)
	p.zones(&r)
	p.changing(r.Changing)
	p.resolving(r.Resolving)
	c.eachZone(p, r.Zones.Count)
	p.sinks(&r)
}

func (c *collector) eachZone(p page, count int) {
	if c.Zones == nil || count > c.MaxZones {
		return
	}
	for z := range c.Zones() {
		p.gauge(zoneSerial, float64(z.Serial), z.Name)
		p.gauge(zoneRecords, float64(z.Records), z.Name)
	}
}
